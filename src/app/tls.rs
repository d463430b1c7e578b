//! TLS of the listeners: its files are read before anything else starts, and again when they change.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::error::AppError;
use crate::config::{Settings, TlsSettings};
use crate::serve::{ListenerName, LoadedTls, Tls, TlsMetrics, TlsOptions};
use crate::sys::clock::{Clock as _, SystemClock};

/// How often the files are looked at; what has changed is read at the second look that finds it alike.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The files of both listeners, read and in order.
pub(super) struct TlsFiles {
    device: Option<LoadedTls>,
    admin: Option<LoadedTls>,
}

impl TlsFiles {
    pub(super) fn read(settings: &Settings, now: Timestamp) -> Result<Self, AppError> {
        Ok(Self {
            device: read(settings.device.tls.as_ref(), "device", now)?,
            admin: read(settings.admin.tls.as_ref(), "admin", now)?,
        })
    }

    /// Puts them into force.
    pub(super) fn into_force(self, metrics: &TlsMetrics, now: Timestamp) -> TlsInForce {
        let tls = |name, files: Option<LoadedTls>| files.map(|files| Tls::new(name, files, metrics, now));
        TlsInForce { device: tls(ListenerName::Device, self.device), admin: tls(ListenerName::Admin, self.admin) }
    }
}

fn read(settings: Option<&TlsSettings>, listener: &'static str, now: Timestamp) -> Result<Option<LoadedTls>, AppError> {
    let Some(settings) = settings else { return Ok(None) };
    LoadedTls::read(&settings.options, now).map(Some).map_err(|source| AppError::Tls { listener, source })
}

/// Reads the files as a start would: what is odd about them, one sentence each.
///
/// # Errors
/// The first thing with which no server would start.
pub fn check_tls(settings: &Settings) -> Result<Vec<String>, AppError> {
    let now = SystemClock.now();
    let TlsFiles { device, admin } = TlsFiles::read(settings, now)?;
    let warnings = |name: &str, files: Option<LoadedTls>| -> Vec<String> {
        let warnings = files.map(|files| files.warnings(now)).unwrap_or_default();
        warnings.into_iter().map(|warning| format!("{name}.tls: {warning}")).collect()
    };
    Ok([warnings("device", device), warnings("admin", admin)].concat())
}

/// What the TCP listeners shake hands with; none where they speak in the clear.
#[derive(Clone)]
pub(super) struct TlsInForce {
    pub(super) device: Option<Arc<Tls>>,
    pub(super) admin: Option<Arc<Tls>>,
}

/// Takes over changed files until `stop`: now and then, and at once when settings come in that were read again.
pub(super) async fn watch(tls: TlsInForce, mut reread: mpsc::Receiver<Settings>, stop: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        let settings = tokio::select! {
            () = stop.cancelled() => return,
            Some(settings) = reread.recv() => Some(settings),
            _ = looks.tick() => None,
        };
        let tls = tls.clone();
        // Files are read and parsed: not on a thread that serves. A panic there is logged, and the next look goes on.
        let looked = tokio::task::spawn_blocking(move || look(&tls, settings.as_ref(), SystemClock.now())).await;
        if let Err(error) = looked {
            tracing::error!(%error, "the TLS files could not be looked at");
        }
    }
}

fn look(tls: &TlsInForce, settings: Option<&Settings>, now: Timestamp) {
    let both = [
        ("device", &tls.device, settings.map(|settings| settings.device.tls.as_ref())),
        ("admin", &tls.admin, settings.map(|settings| settings.admin.tls.as_ref())),
    ];
    for (listener, tls, settings) in both {
        let options = |settings: &TlsSettings| -> TlsOptions { settings.options.clone() };
        match (tls, settings) {
            (Some(tls), Some(Some(settings))) => tls.reload(Some(options(settings)), now),
            (Some(tls), None) => tls.look(now),
            (None, Some(None) | None) => {}
            (Some(_), Some(None)) | (None, Some(Some(_))) => {
                tracing::warn!(listener, "TLS is switched on or off at the next start only");
            }
        }
    }
}
