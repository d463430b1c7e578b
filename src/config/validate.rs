//! What the file's grammar cannot say: listeners that overlap, limits of zero, sizes beyond their bounds, and a data
//! path that cannot be a directory.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::enrol::enrol_settings;
use super::error::Finding;
use super::file::{AdminTable, AlertTable, DeviceTable, File, LimitsTable, LogTable, SigningTable, StoreTable};
use super::gate::gate_settings;
use super::people::{oidc_settings, people_settings};
use super::settings::{
    AdminSettings, AlertSettings, DecisionSettings, DeviceSettings, JournalSettings, LimitSettings, LogSettings,
    PolicySettings, ReportSettings, Settings, SharesSettings, SigningSettings, StoreSettings,
};
use super::site::site_settings;
use super::targets::{stager_settings, target_settings};
use super::tls::tls_settings;
use super::values::{ByteSize, Length};

/// The largest body that the index may hold: larger sled values become files of their own that are never fsynced.
const INLINE_LIMIT: ByteSize = ByteSize(128 << 10);
/// A segment must hold the largest event with room to spare.
const SEGMENT_LEAST: ByteSize = ByteSize(1 << 20);
const HEADER_LEAST: ByteSize = ByteSize(8 << 10);
const HEADER_MOST: ByteSize = ByteSize(1 << 20);
const INDEX_CACHE_LEAST: ByteSize = ByteSize(1 << 20);
/// What a freshness statement may be valid for.
const STATEMENT_VALIDITY: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(7 * 24 * 3600);
/// The longest path the kernel takes for a unix socket, without its end marker.
const SOCKET_PATH_MAX_BYTES: usize = 107;

/// Checks the whole file.
pub(super) fn settings(file: File, base: &Path) -> Result<Settings, Finding> {
    let File {
        data,
        device,
        admin,
        policy,
        store,
        journal,
        reports,
        decision,
        shares,
        alert,
        limits,
        gate,
        log,
        stager,
        enrol,
        target,
        person,
        oidc,
        signing,
        site,
    } = file;
    let data = data_directory(&data, base)?;
    let LogTable { format, level } = log;
    let settings = Settings {
        device: device_settings(device, base)?,
        admin: admin_settings(admin, base, &data)?,
        policy: PolicySettings { bootstrap: base.join(policy.bootstrap) },
        store: store_settings(store)?,
        journal: JournalSettings {
            segment_max_bytes: segment("journal.segment_max_bytes", journal.segment_max_bytes)?,
        },
        reports: ReportSettings {
            segment_max_bytes: segment("reports.segment_max_bytes", reports.segment_max_bytes)?,
            keep_for: length("reports.keep_for", reports.keep_for)?,
        },
        decision: DecisionSettings { download_grace: decision.download_grace.0 },
        shares: SharesSettings {
            longest_transfer: shares.longest_transfer.0,
            straggler_grace: shares.straggler_grace.0,
        },
        alert: alert_settings(alert)?,
        limits: limit_settings(limits)?,
        gate: gate_settings(gate)?,
        log: LogSettings { format, level },
        stager: stager_settings(stager)?,
        enrol: enrol_settings(enrol, base)?,
        targets: target_settings(target, base)?,
        people: people_settings(person)?,
        oidc: oidc_settings(oidc, base)?,
        signing: signing_settings(signing, base)?,
        site: site_settings(site, base)?,
        data,
    };
    if overlap(settings.device.listen, settings.admin.listen) {
        let message = format!(
            "admin.listen {} overlaps device.listen {}: devices and admins need listeners of their own",
            settings.admin.listen, settings.device.listen
        );
        return Err(Finding { key: "admin.listen".into(), message });
    }
    Ok(settings)
}

/// The defaults; that they pass every check is a test's business.
pub(super) fn defaults() -> Settings {
    settings(File::default(), Path::new(""))
        .unwrap_or_else(|finding| unreachable!("default {}: {}", finding.key, finding.message))
}

fn data_directory(data: &Path, base: &Path) -> Result<PathBuf, Finding> {
    let finding = |message| Finding { key: "data".into(), message };
    if data.as_os_str().is_empty() {
        return Err(finding("data is empty: name a directory".to_owned()));
    }
    let data = base.join(data);
    match std::fs::metadata(&data) {
        Ok(metadata) if !metadata.is_dir() => Err(finding(format!("data {} is not a directory", data.display()))),
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(finding(format!("data {} cannot be used: {cause}", data.display())))
        }
        _ => Ok(data),
    }
}

fn device_settings(table: DeviceTable, base: &Path) -> Result<DeviceSettings, Finding> {
    let DeviceTable { listen, header_trusted_from, proxies, tls } = table;
    let tls = tls_settings(tls, "device", "san-uri urn:ringfence:device:*", base)?;
    Ok(DeviceSettings { listen, header_trusted_from, proxies, tls })
}

fn admin_settings(table: AdminTable, base: &Path, data: &Path) -> Result<AdminSettings, Finding> {
    let AdminTable { listen, socket, token_file, tls } = table;
    if socket.as_os_str().is_empty() {
        return Err(Finding { key: "admin.socket".into(), message: "admin.socket is empty: name a path".to_owned() });
    }
    let socket = data.join(socket);
    if socket.as_os_str().len() > SOCKET_PATH_MAX_BYTES {
        let message = format!(
            "admin.socket {} is longer than the {SOCKET_PATH_MAX_BYTES} bytes the system allows: name a shorter path",
            socket.display()
        );
        return Err(Finding { key: "admin.socket".into(), message });
    }
    let tls = tls_settings(tls, "admin", "san-uri urn:ringfence:person:*", base)?;
    Ok(AdminSettings { listen, socket, token_file: base.join(token_file), tls })
}

fn store_settings(table: StoreTable) -> Result<StoreSettings, Finding> {
    let StoreTable { inline_max_bytes, index_cache_bytes, mapped_files_max, scrub_every, scrub_bytes_per_second } =
        table;
    if inline_max_bytes > INLINE_LIMIT {
        let message = format!("store.inline_max_bytes is {inline_max_bytes}: at most {INLINE_LIMIT} may be inline");
        return Err(Finding { key: "store.inline_max_bytes".into(), message });
    }
    Ok(StoreSettings {
        inline_max_bytes: inline_max_bytes.0,
        index_cache_bytes: at_least("store.index_cache_bytes", index_cache_bytes, INDEX_CACHE_LEAST)?,
        mapped_files_max: count("store.mapped_files_max", mapped_files_max)?,
        scrub_every: length("store.scrub_every", scrub_every)?,
        scrub_bytes_per_second: bytes("store.scrub_bytes_per_second", scrub_bytes_per_second)?,
    })
}

fn alert_settings(table: AlertTable) -> Result<AlertSettings, Finding> {
    if table.command.first().is_some_and(String::is_empty) {
        let message = "alert.command begins with an empty text: name a program, or leave the list empty".to_owned();
        return Err(Finding { key: "alert.command".into(), message });
    }
    Ok(AlertSettings { command: table.command, timeout: length("alert.timeout", table.timeout)? })
}

fn signing_settings(table: SigningTable, base: &Path) -> Result<SigningSettings, Finding> {
    let SigningTable { key, statement_valid_for, key_overlap } = table;
    if key.as_os_str().is_empty() {
        return Err(Finding { key: "signing.key".into(), message: "signing.key is empty: name a file".to_owned() });
    }
    if !STATEMENT_VALIDITY.contains(&statement_valid_for.0) {
        let message = format!(
            "signing.statement_valid_for is {statement_valid_for}: clients that ask every few minutes need at least a \
             minute, and after more than 7 days a statement says nothing"
        );
        return Err(Finding { key: "signing.statement_valid_for".into(), message });
    }
    let (statement_valid_for, key_overlap) = (statement_valid_for.0, key_overlap.0);
    Ok(SigningSettings { key: base.join(key), statement_valid_for, key_overlap })
}

fn limit_settings(table: LimitsTable) -> Result<LimitSettings, Finding> {
    let settings = LimitSettings {
        header_timeout: length("limits.header_timeout", table.header_timeout)?,
        idle_timeout: length("limits.idle_timeout", table.idle_timeout)?,
        slow_reader_bytes_per_second: bytes("limits.slow_reader_bytes_per_second", table.slow_reader_bytes_per_second)?,
        slow_reader_window: length("limits.slow_reader_window", table.slow_reader_window)?,
        connections_max: count("limits.connections_max", table.connections_max)?,
        connections_per_address_max: count("limits.connections_per_address_max", table.connections_per_address_max)?,
        admin_connections_max: count("limits.admin_connections_max", table.admin_connections_max)?,
        drain_timeout: length("limits.drain_timeout", table.drain_timeout)?,
        json_body_max_bytes: bytes("limits.json_body_max_bytes", table.json_body_max_bytes)?,
        upload_max_bytes: bytes("limits.upload_max_bytes", table.upload_max_bytes)?,
        uploads_open_max: count("limits.uploads_open_max", table.uploads_open_max)?,
        upload_idle_timeout: length("limits.upload_idle_timeout", table.upload_idle_timeout)?,
        artifacts_max: count("limits.artifacts_max", table.artifacts_max)?,
        refusal_time: refusal_time(table.refusal_time)?,
        requests_per_second_per_address: some(
            "limits.requests_per_second_per_address",
            table.requests_per_second_per_address,
        )?,
        requests_per_second_per_device: some(
            "limits.requests_per_second_per_device",
            table.requests_per_second_per_device,
        )?,
        requests_burst_per_device: some("limits.requests_burst_per_device", table.requests_burst_per_device)?,
        requests_per_device_max: some("limits.requests_per_device_max", table.requests_per_device_max)?,
        reports_per_minute_per_device: some(
            "limits.reports_per_minute_per_device",
            table.reports_per_minute_per_device,
        )?,
        header_max_bytes: header_bytes(table.header_max_bytes)?,
        header_max_fields: at_most("limits.header_max_fields", table.header_max_fields, 1000)? as usize,
        h2_streams_max: at_most("limits.h2_streams_max", table.h2_streams_max, 10_000)?,
        h2_reset_streams_max: at_most("limits.h2_reset_streams_max", table.h2_reset_streams_max, 10_000)? as usize,
        handshake_timeout: length("limits.handshake_timeout", table.handshake_timeout)?,
        handshakes_max: count("limits.handshakes_max", table.handshakes_max)?,
    };
    if settings.connections_per_address_max > settings.connections_max {
        let message = format!(
            "limits.connections_per_address_max {} is above limits.connections_max {}",
            settings.connections_per_address_max, settings.connections_max
        );
        return Err(Finding { key: "limits.connections_per_address_max".into(), message });
    }
    Ok(settings)
}

/// The HTTP/1.1 parser takes no less than 8 KiB, and each connection may hold this much.
fn header_bytes(value: ByteSize) -> Result<u32, Finding> {
    let key = "limits.header_max_bytes";
    if value > HEADER_MOST {
        return Err(Finding {
            key: key.into(),
            message: format!("{key} is {value}: it must be at most {HEADER_MOST}"),
        });
    }
    at_least(key, value, HEADER_LEAST).map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// Longer than a second, and every device whose product is withheld would seem to hang.
fn refusal_time(value: Length) -> Result<std::time::Duration, Finding> {
    let key = "limits.refusal_time";
    if value > Length(std::time::Duration::from_secs(1)) {
        return Err(Finding { key: key.into(), message: format!("{key} is {value}: it must be at most 1s") });
    }
    length(key, value)
}

fn some(key: &'static str, value: u32) -> Result<u32, Finding> {
    if value == 0 { Err(zero(key)) } else { Ok(value) }
}

fn at_most(key: &'static str, value: u32, most: u32) -> Result<u32, Finding> {
    if value > most {
        return Err(Finding { key: key.into(), message: format!("{key} is {value}: it must be at most {most}") });
    }
    some(key, value)
}

fn zero(key: &'static str) -> Finding {
    Finding {
        key: key.into(),
        message: format!("{key} is zero: nothing could be served with it; give a limit above zero"),
    }
}

pub(super) fn count(key: &'static str, value: u32) -> Result<usize, Finding> {
    if value == 0 { Err(zero(key)) } else { usize::try_from(value).map_err(|_| zero(key)) }
}

pub(super) fn bytes(key: &'static str, value: ByteSize) -> Result<u64, Finding> {
    if value.0 == 0 { Err(zero(key)) } else { Ok(value.0) }
}

pub(super) fn length(key: &'static str, value: Length) -> Result<std::time::Duration, Finding> {
    if value.0.is_zero() { Err(zero(key)) } else { Ok(value.0) }
}

fn at_least(key: &'static str, value: ByteSize, least: ByteSize) -> Result<u64, Finding> {
    if value < least {
        return Err(Finding { key: key.into(), message: format!("{key} is {value}: it must be at least {least}") });
    }
    Ok(value.0)
}

fn segment(key: &'static str, value: ByteSize) -> Result<u64, Finding> {
    at_least(key, value, SEGMENT_LEAST)
}

/// Whether two listeners would want the same port of the same address. Port 0 means any free one.
fn overlap(left: SocketAddr, right: SocketAddr) -> bool {
    let same_ip = left.ip() == right.ip() || left.ip().is_unspecified() || right.ip().is_unspecified();
    left.port() != 0 && left.port() == right.port() && same_ip
}
