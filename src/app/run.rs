//! Running the server: bind, take over, serve, and end in order.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::alert_command::{AT_ONCE, AlertQueue, run_commands};
use super::alerts::Alerts;
use super::background;
use super::bootstrap::bootstrap;
use super::core::Core;
use super::error::AppError;
use super::keeper::Keeper;
use super::wiring::{Handlers, admin_limits, device_limits, handlers, log_filter, log_options};
use super::{origin_key, stager, ticker};
use crate::config::{LogSettings, Settings};
use crate::serve::{Listener, ListenerName, ServeOptions};
use crate::sys::clock::SystemClock;
use crate::sys::{durable, open_files};
use crate::telemetry::{LogControl, install_log};

/// Where a running server listens. Kept in `server.json` in the data directory for as long as it runs.
#[derive(Debug, Clone, Serialize)]
pub struct Bound {
    /// The server's process.
    pub pid: u32,
    /// The device listener's address.
    pub device: SocketAddr,
    /// The admin listener's address.
    pub admin: SocketAddr,
    /// The admin socket.
    pub socket: PathBuf,
}

/// Runs the server until SIGTERM or SIGINT, or until something could not be made durable. `reload` reads the log
/// settings again on SIGHUP.
pub fn serve(
    settings: &Settings,
    reload: impl Fn() -> Result<LogSettings, String> + Send + 'static,
) -> Result<(), AppError> {
    let log = install_log(&log_options(&settings.log))?;
    let open_files_max = open_files::raise_limit();
    tracing::debug!(open_files_max, "files that may be open");
    let runtime = runtime()?;
    let core = Core::open(settings, Arc::new(SystemClock))?;
    let ended = runtime.block_on(async {
        let stop = stop_signal()?;
        reload_on_hangup(log, reload)?;
        run(Arc::new(core), settings, stop, |bound| {
            tracing::info!(device = %bound.device, admin = %bound.admin, socket = %bound.socket.display(), "serving");
            std::future::ready(())
        })
        .await
    });
    // Work that still blocks (a scrub's read) must not hold up the end.
    runtime.shutdown_background();
    ended
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, AppError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(AppError::Runtime)
}

/// A token that is cancelled by the first SIGTERM or SIGINT.
pub(super) fn stop_signal() -> Result<CancellationToken, AppError> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).map_err(AppError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AppError::Runtime)?;
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancel.cancel();
    });
    Ok(stop)
}

fn reload_on_hangup(
    log: LogControl,
    reload: impl Fn() -> Result<LogSettings, String> + Send + 'static,
) -> Result<(), AppError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(AppError::Runtime)?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let applied = reload().and_then(|settings| {
                log.set_filter(&log_filter(&settings)).map_err(|error| error.to_string())?;
                Ok(settings.level)
            });
            match applied {
                Ok(level) => tracing::warn!(
                    level = level.as_str(),
                    "configuration read again: the log level is in force, everything else at the next start"
                ),
                Err(error) => {
                    tracing::error!(%error, "the configuration cannot be read again; what was in force stays")
                }
            }
        }
    });
    Ok(())
}

/// Serves an open data directory until `stop`, then drains. `ready` runs once every listener is bound.
pub(super) async fn run<F: Future<Output = ()>>(
    core: Arc<Core>,
    settings: &Settings,
    stop: CancellationToken,
    ready: impl FnOnce(Bound) -> F,
) -> Result<(), AppError> {
    bootstrap(&core, settings).await?;
    let origin = origin_key::open(&core, settings).await?;
    let listeners = Listeners::bind(settings).await?;
    let keeper = Arc::new(Keeper::new(&core, settings.store.scrub_bytes_per_second));
    let stale_groups = Arc::new(AtomicUsize::new(0));
    let handlers = handlers(&core, settings, keeper.clone(), listeners.named(), stale_groups.clone(), origin)?;
    let note = core.data.join("server.json");
    let text = serde_json::to_vec(&listeners.bound).map_err(AppError::demo)?;
    durable::write_atomically(&note, &text, 0o644).map_err(AppError::io("write", &note))?;

    let tasks = TaskTracker::new();
    let bound = listeners.bound.clone();
    listeners.serve(handlers, settings, &tasks, &stop);
    tasks.spawn(background::expire_uploads(core.clone(), stop.clone()));
    tasks.spawn(background::expire_reports(core.clone(), stop.clone()));
    tasks.spawn(background::scrub(keeper.clone(), settings.store.scrub_every, stop.clone()));
    spawn_rollouts(&core, settings, &stale_groups, &tasks, &stop);
    stager::spawn(&core, settings, &tasks, &stop);
    tasks.close();
    // Without a service manager there is nobody to tell, which is no error.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    ready(bound).await;

    let fatal = tokio::select! {
        () = stop.cancelled() => None,
        reason = background::fatal_failure(&core) => Some(reason),
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    stop.cancel();
    keeper.is_stopping.store(true, Ordering::Relaxed);
    remove_note(&note);
    if let Some(reason) = fatal {
        // Nothing more can be made durable, so there is nothing to drain for.
        leave_open(core);
        return Err(AppError::Fatal(reason.to_owned()));
    }
    tracing::info!("stopping: running answers may finish");
    tasks.wait().await;
    if let Err(error) = core.catalog.flush_index() {
        tracing::warn!(%error, "the index could not be flushed; the next start replays more");
        leave_open(core);
    }
    tracing::info!("stopped");
    Ok(())
}

/// Starts what lets rollouts take their steps, and what tells people of it.
fn spawn_rollouts(
    core: &Core,
    settings: &Settings,
    stale_groups: &Arc<AtomicUsize>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let queue = (!settings.alert.command.is_empty()).then(|| Arc::new(AlertQueue::default()));
    for queue in queue.iter().flat_map(|queue| std::iter::repeat_n(queue, AT_ONCE)) {
        tasks.spawn(run_commands(queue.clone(), settings.alert.clone(), stop.clone()));
    }
    let catalog = &core.catalog;
    let alerts = Arc::new(Alerts::new(queue, catalog.snapshot().seq(), stale_groups.clone()));
    tasks.spawn(ticker::advance(catalog.clone(), core.shares.clone(), alerts.clone(), stop.clone()));
    tasks.spawn(ticker::switch_shares(core.shares.clone(), alerts.clone(), stop.clone()));
    tasks.spawn(ticker::watch_staleness(catalog.clone(), core.shares.clone(), alerts, stop.clone()));
}

/// Leaves closing to the end of the process. Dropped after an error, sled writes once more, and panics or hangs.
fn leave_open(core: Arc<Core>) {
    std::mem::forget(core);
}

/// A note that stays names a process that is gone; readers notice, so a failure is no more than a nuisance.
fn remove_note(path: &Path) {
    if let Err(error) = durable::remove_file(path) {
        tracing::debug!(%error, path = %path.display(), "the note of where this server listened stays");
    }
}

/// The bound listeners.
struct Listeners {
    device: Listener,
    admin: Listener,
    socket: Listener,
    bound: Bound,
}

impl Listeners {
    async fn bind(settings: &Settings) -> Result<Self, AppError> {
        let device = Listener::bind_tcp(settings.device.listen)?;
        let admin = Listener::bind_tcp(settings.admin.listen)?;
        let socket_path = settings.admin.socket.clone();
        let socket = Listener::bind_unix(&socket_path, durable::remove_file).await?;
        let bound = Bound {
            pid: std::process::id(),
            device: device.local_address().unwrap_or(settings.device.listen),
            admin: admin.local_address().unwrap_or(settings.admin.listen),
            socket: socket_path,
        };
        Ok(Self { device, admin, socket, bound })
    }

    fn named(&self) -> BTreeMap<String, Vec<String>> {
        let Bound { device, admin, socket, .. } = &self.bound;
        let listeners =
            [("device", device.to_string()), ("admin", admin.to_string()), ("socket", socket.display().to_string())];
        listeners.into_iter().map(|(name, address)| (name.to_owned(), vec![address])).collect()
    }

    fn serve(self, handlers: Handlers, settings: &Settings, tasks: &TaskTracker, stop: &CancellationToken) {
        let metrics = handlers.connections;
        let options = |name, limits| ServeOptions { name, limits, metrics: metrics.clone() };
        let device = options(ListenerName::Device, device_limits(settings));
        let admin = options(ListenerName::Admin, admin_limits(settings));
        let socket = options(ListenerName::Socket, admin_limits(settings));
        tasks.spawn(crate::serve::serve(self.device, handlers.device, device, stop.clone()));
        tasks.spawn(crate::serve::serve(self.admin, handlers.admin.clone(), admin, stop.clone()));
        tasks.spawn(crate::serve::serve(self.socket, handlers.admin, socket, stop.clone()));
    }
}
