//! From settings to the options of each room.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use jiff::SignedDuration;
use prometheus_client::registry::Registry;

use super::backend::DeviceBackend;
use super::core::Core;
use super::enrolment_ca::Enrolment;
use super::error::AppError;
use super::figures::Figures;
use super::keeper::Keeper;
use crate::config::{LogFormat, LogSettings, OidcSettings, Settings};
use crate::control::OriginKeys;
use crate::mirror::Mirror;
use crate::serve::admin::{About, AdminApi, AdminServices, Following, Oidc, OidcOptions, People};
use crate::serve::device::{DeviceApi, DeviceMetrics, DeviceOptions};
use crate::serve::{ConnectionMetrics, IdentityRule, Limits, PaceLimit, QuotaOptions, TlsMetrics};
use crate::sys::random::random_bytes;
use crate::telemetry::{self, LogOptions, Metrics};

pub(super) fn log_options(settings: &LogSettings) -> LogOptions {
    let format = match settings.format {
        LogFormat::Text => telemetry::LogFormat::Text,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    LogOptions { format, filter: log_filter(settings) }
}

/// The level is that of our own lines; of the libraries' only warnings are wanted.
pub(super) fn log_filter(settings: &LogSettings) -> String {
    format!("warn,ringfence={}", settings.level.as_str())
}

pub(super) fn device_limits(settings: &Settings) -> Limits {
    let limits = &settings.limits;
    Limits {
        header_timeout: limits.header_timeout,
        idle_timeout: limits.idle_timeout,
        pace: PaceLimit {
            min_bytes_per_second: u32::try_from(limits.slow_reader_bytes_per_second).unwrap_or(u32::MAX),
            window: limits.slow_reader_window,
        },
        connections_max: limits.connections_max,
        connections_per_address_max: limits.connections_per_address_max,
        drain_timeout: limits.drain_timeout,
        header_max_bytes: limits.header_max_bytes,
        header_max_fields: limits.header_max_fields,
        h2_streams_max: limits.h2_streams_max,
        h2_reset_streams_max: limits.h2_reset_streams_max,
        handshake_timeout: limits.handshake_timeout,
        handshakes_max: limits.handshakes_max,
        ..Limits::default()
    }
}

fn quota(settings: &Settings) -> QuotaOptions {
    let limits = &settings.limits;
    QuotaOptions {
        requests_per_second_per_address: limits.requests_per_second_per_address,
        requests_per_second_per_device: limits.requests_per_second_per_device,
        requests_burst_per_device: limits.requests_burst_per_device,
        requests_per_device_max: limits.requests_per_device_max,
        reports_per_minute_per_device: limits.reports_per_minute_per_device,
        ..QuotaOptions::default()
    }
}

pub(super) fn admin_limits(settings: &Settings) -> Limits {
    let admin = Limits::for_admin();
    Limits {
        header_max_bytes: admin.header_max_bytes,
        connections_max: settings.limits.admin_connections_max,
        connections_per_address_max: settings.limits.admin_connections_max,
        ..device_limits(settings)
    }
}

/// The handlers of both listeners, and where their connections count.
pub(super) struct Handlers {
    pub(super) device: DeviceApi<DeviceBackend>,
    pub(super) admin: AdminApi,
    pub(super) connections: ConnectionMetrics,
    pub(super) tls: TlsMetrics,
    pub(super) oidc: Option<Arc<Oidc>>,
}

pub(super) fn handlers(
    core: &Core,
    settings: &Settings,
    keeper: Arc<Keeper>,
    listeners: BTreeMap<String, Vec<String>>,
    stale_groups: Arc<AtomicUsize>,
    origin: Arc<OriginKeys>,
    follow: Following,
) -> Result<Handlers, AppError> {
    let mut registry = Registry::default();
    let connections = ConnectionMetrics::register(&mut registry);
    let tls = TlsMetrics::register(&mut registry);
    let device_metrics = DeviceMetrics::register(&mut registry);
    let (catalog, publisher) = (core.catalog.clone(), core.publisher.clone());
    registry.register_collector(Box::new(Figures {
        catalog: catalog.clone(),
        publisher: publisher.clone(),
        shares: core.shares.clone(),
        stale_groups,
        mirror: follow.mirror.clone(),
        filler: follow.filler.clone(),
    }));
    let certificate_identity: Vec<_> = settings.device.tls.iter().flat_map(|tls| tls.identity.clone()).collect();
    let backend = backend(core, settings, &certificate_identity, &follow)?;
    let salt = random_bytes().map_err(AppError::io("read randomness for", &core.data))?;
    let download_grace = download_grace(settings);
    let options = DeviceOptions {
        header_trusted_from: settings.device.header_trusted_from.clone(),
        download_grace,
        longest_transfer: settings.shares.longest_transfer,
        straggler_grace: SignedDuration::try_from(settings.shares.straggler_grace).unwrap_or(SignedDuration::MAX),
        boundary_salt: u64::from_le_bytes(salt),
        refusal_time: settings.limits.refusal_time,
        quota: quota(settings),
        certificate_identity,
        proxies: settings.device.proxies.clone(),
        origin: Some(origin.clone()),
        mirror: follow.mirror.clone(),
        ..DeviceOptions::default()
    };
    let oidc = oidc(settings)?;
    let services = AdminServices {
        publisher,
        shares: core.shares.clone(),
        exporter: core.exporter.clone(),
        imports: core.imports.clone(),
        download_grace,
        token_key: core.token_key.clone(),
        code_valid_for: SignedDuration::try_from(settings.enrol.code_valid_for).unwrap_or(SignedDuration::MAX),
        origin,
        metrics: Metrics::new(registry),
        maintenance: keeper,
        readiness: readiness(core, follow.mirror.clone()),
        about: about(core, listeners),
        json_body_max_bytes: usize::try_from(settings.limits.json_body_max_bytes).unwrap_or(usize::MAX),
        people: people(settings),
        oidc: oidc.clone(),
        certificate_identity: settings.admin.tls.iter().flat_map(|tls| tls.identity.clone()).collect(),
        catalog,
        follow,
    };
    Ok(Handlers {
        device: DeviceApi::new(backend, options, device_metrics),
        admin: AdminApi::new(services),
        connections,
        tls,
        oidc,
    })
}

fn backend(
    core: &Core,
    settings: &Settings,
    certificate_identity: &[IdentityRule],
    follow: &Following,
) -> Result<DeviceBackend, AppError> {
    let catalog = core.catalog.clone();
    let enrolment = Enrolment::new(&settings.enrol, certificate_identity, catalog.clock_now())?;
    let pulls = follow.filler.as_ref().map(|filler| filler.pulls().clone());
    Ok(DeviceBackend { catalog, token_key: core.token_key.clone(), enrolment, pulls })
}

fn about(core: &Core, listeners: BTreeMap<String, Vec<String>>) -> About {
    let (started_at, data) = (core.catalog.clock_now(), core.data.clone());
    About { started_at, data, journal_dir: core.journal_dir(), listeners }
}

fn people(settings: &Settings) -> People {
    settings.people.iter().map(|person| (person.name.clone(), person.role, person.reach.clone())).collect()
}

fn oidc(settings: &Settings) -> Result<Option<Arc<Oidc>>, AppError> {
    let Some(oidc) = settings.oidc.clone() else { return Ok(None) };
    let OidcSettings { issuer, audience, jwks_file, name_claim, roles_claim, roles, is_nbf_required } = oidc;
    let options = OidcOptions { issuer, audience, jwks_file, name_claim, roles_claim, roles, is_nbf_required };
    Ok(Some(Arc::new(Oidc::open(options)?)))
}

/// For how long what was decided or shown before may still be read.
pub(super) fn download_grace(settings: &Settings) -> SignedDuration {
    SignedDuration::try_from(settings.decision.download_grace).unwrap_or(SignedDuration::MAX)
}

/// Ready means: a policy is in force and can be read, so that devices get decisions.
fn readiness(core: &Core, mirror: Option<Arc<Mirror>>) -> Box<dyn Fn() -> Result<(), String> + Send + Sync> {
    let catalog = core.catalog.clone();
    Box::new(move || match catalog.snapshot().policies().last() {
        None if mirror.as_ref().is_some_and(|mirror| !mirror.has_followed()) => {
            Err("this server is a mirror and has not reached its upstream yet".to_owned())
        }
        None => Err("no policy is in force: apply one with `ringfence policy apply`".to_owned()),
        Some(policy) => policy.policy().map(|_| ()).map_err(|error| error.to_string()),
    })
}
