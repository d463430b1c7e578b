//! Running the server: bind, take over, serve, and end in order.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::alert_command::{AT_ONCE, AlertQueue, run_commands};
use super::alerts::Alerts;
use super::background;
use super::bootstrap::bootstrap;
use super::core::Core;
use super::error::AppError;
use super::keeper::Keeper;
use super::service::{HandedSockets, Probe, handed_sockets, pet_watchdog};
use super::tls::{self, TlsFiles, TlsInForce};
use super::wiring::{Handlers, admin_limits, device_limits, handlers, log_filter, log_options};
use super::{filling, mirroring, origin_key, stager, ticker};
use crate::config::{Settings, TlsSettings};
use crate::journal::RawReader;
use crate::mirror::{Elsewhere, Filler, Mirror};
use crate::serve::admin::Following;
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
    /// The device listener's address with its scheme: `https` where it speaks TLS.
    pub device_url: String,
    /// The same of the admin listener.
    pub admin_url: String,
}

/// Runs the server until SIGTERM or SIGINT, or until something could not be made durable. `reload` reads the settings
/// again on SIGHUP.
pub fn serve(
    settings: &Settings,
    reload: impl Fn() -> Result<Settings, String> + Send + 'static,
) -> Result<(), AppError> {
    let sockets = handed_sockets(settings)?;
    let log = install_log(&log_options(&settings.log))?;
    let open_files_max = open_files::raise_limit();
    tracing::debug!(open_files_max, "files that may be open");
    let runtime = runtime()?;
    let (settings_read, reread) = mpsc::channel(1);
    // A SIGHUP that nobody waits for ends a process, and a long journal takes a while to open.
    runtime.block_on(async { reload_on_hangup(log, reload, settings_read) })?;
    let core = Core::open(settings, Arc::new(SystemClock))?;
    let ended = runtime.block_on(async {
        let stop = stop_signal()?;
        run(Arc::new(core), settings, sockets, stop, reread, |bound| {
            let Bound { device_url, admin_url, socket, .. } = bound;
            tracing::info!(device = device_url, admin = admin_url, socket = %socket.display(), "serving");
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
    reload: impl Fn() -> Result<Settings, String> + Send + 'static,
    settings_read: mpsc::Sender<Settings>,
) -> Result<(), AppError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(AppError::Runtime)?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let applied = reload().and_then(|settings| {
                log.set_filter(&log_filter(&settings.log)).map_err(|error| error.to_string())?;
                Ok(settings)
            });
            match applied {
                Ok(settings) => {
                    tracing::warn!(
                        level = settings.log.level.as_str(),
                        "configuration read again: the log level is in force, files of TLS and of the identity provider \
                         are read again, everything else at the next start"
                    );
                    // Gone only when the server is about to end.
                    settings_read.send(settings).await.ok();
                }
                Err(error) => {
                    tracing::error!(%error, "the configuration cannot be read again; what was in force stays")
                }
            }
        }
    });
    Ok(())
}

/// Serves an open data directory until `stop`, then drains. Binds what is not handed over. `ready` runs once every listener is bound.
pub(super) async fn run<F: Future<Output = ()>>(
    core: Arc<Core>,
    settings: &Settings,
    sockets: Option<HandedSockets>,
    stop: CancellationToken,
    reread: mpsc::Receiver<Settings>,
    ready: impl FnOnce(Bound) -> F,
) -> Result<(), AppError> {
    let tls = TlsFiles::read(settings, core.catalog.clock_now())?;
    let follow = following(&core, settings, &stop)?;
    let (mirror, filler) = (follow.mirror.clone(), follow.filler.clone());
    let origin = match &mirror {
        // A mirror's policy, tokens and keys are its origin's.
        Some(_) => mirroring::no_key(&core.data)?,
        None => {
            bootstrap(&core, settings).await?;
            origin_key::open(&core, settings).await?
        }
    };
    let listeners = Listeners::bind(settings, sockets).await?;
    let keeper = Arc::new(Keeper::new(&core, settings.store.scrub_bytes_per_second));
    let stale_groups = Arc::new(AtomicUsize::new(0));
    let handlers = handlers(&core, settings, keeper.clone(), listeners.named(), stale_groups.clone(), origin, follow)?;
    let note = core.data.join("server.json");
    let text = serde_json::to_vec(&listeners.bound).map_err(AppError::demo)?;
    durable::write_atomically(&note, &text, 0o644).map_err(AppError::io("write", &note))?;

    let tasks = TaskTracker::new();
    let bound = listeners.bound.clone();
    tasks.spawn(pet_watchdog(Probe::new(&core, &handlers, bound.socket.clone()), stop.clone()));
    let tls = tls.into_force(&handlers.tls, core.catalog.clock_now());
    tasks.spawn(tls::watch(tls.clone(), reread, stop.clone()));
    if let Some(oidc) = handlers.oidc.clone() {
        let hangup = signal(SignalKind::hangup()).map_err(AppError::Runtime)?;
        tasks.spawn(background::watch_jwks(oidc, hangup, stop.clone()));
    }
    listeners.serve(handlers, settings, tls, &tasks, &stop);
    tasks.spawn(background::write_token_uses(core.clone(), stop.clone()));
    tasks.spawn(background::expire_uploads(core.clone(), stop.clone()));
    tasks.spawn(background::expire_reports(core.clone(), stop.clone()));
    tasks.spawn(background::scrub(keeper.clone(), settings.store.scrub_every, stop.clone()));
    spawn_rollouts(&core, settings, mirror.as_ref().zip(filler.as_ref()), &stale_groups, &tasks, &stop);
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
    mirror: Option<(&Arc<Mirror>, &Arc<Filler>)>,
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
    if let Some((mirror, filler)) = mirror {
        // Steps and switches are the origin's, and so are the alerts of them.
        mirroring::spawn(core, mirror, &alerts, tasks, stop);
        filling::spawn(filler, mirror, tasks, stop);
        // What its own stagers are behind with is for people here.
        tasks.spawn(ticker::watch_staleness(catalog.clone(), core.shares.clone(), alerts, stop.clone()));
        return;
    }
    tasks.spawn(ticker::advance(catalog.clone(), core.shares.clone(), alerts.clone(), stop.clone()));
    tasks.spawn(ticker::switch_shares(core.shares.clone(), alerts.clone(), stop.clone()));
    tasks.spawn(ticker::watch_staleness(catalog.clone(), core.shares.clone(), alerts, stop.clone()));
}

/// What following needs: of mirrors, and of this server if it is one.
fn following(core: &Core, settings: &Settings, stop: &CancellationToken) -> Result<Following, AppError> {
    let mirror = mirroring::open(core, settings)?;
    let own_token = mirror.as_ref().map(|_| mirroring::own_token(&settings.admin.token_file)).transpose()?;
    let dir = mirroring::elsewhere_dir(&core.data);
    let elsewhere = Elsewhere::open(dir.clone(), core.catalog.clone()).map_err(AppError::io("read", &dir))?;
    let (lines, elsewhere) = (RawReader::new(core.journal_dir()), Arc::new(elsewhere));
    let filler = filling::open(core, settings, mirror.as_deref(), stop);
    Ok(Following { lines, elsewhere, mirror, own_token, stop: stop.clone(), filler })
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
    async fn bind(settings: &Settings, handed: Option<HandedSockets>) -> Result<Self, AppError> {
        let (device, admin, handed_socket) = match handed {
            Some(HandedSockets { device, admin, socket }) => {
                (Listener::handed_tcp(device), Listener::handed_tcp(admin), socket)
            }
            None => (Listener::bind_tcp(settings.device.listen), Listener::bind_tcp(settings.admin.listen), None),
        };
        let (device, admin) = (device?, admin?);
        let (socket, socket_path) = match handed_socket {
            Some((socket, path)) => (Listener::handed_unix(socket, &path)?, path),
            None => {
                let path = settings.admin.socket.clone();
                (Listener::bind_unix(&path, durable::remove_file).await?, path)
            }
        };
        if socket_path != settings.admin.socket {
            tracing::warn!(socket = %socket_path.display(), expected = %settings.admin.socket.display(),
                "the service manager's admin socket is not the configuration's: the command line will not find it");
        }
        let url = |address: SocketAddr, tls: &Option<TlsSettings>| {
            format!("{}://{address}", if tls.is_some() { "https" } else { "http" })
        };
        let device_address = device.local_address().unwrap_or(settings.device.listen);
        let admin_address = admin.local_address().unwrap_or(settings.admin.listen);
        let bound = Bound {
            pid: std::process::id(),
            device: device_address,
            admin: admin_address,
            socket: socket_path,
            device_url: url(device_address, &settings.device.tls),
            admin_url: url(admin_address, &settings.admin.tls),
        };
        Ok(Self { device, admin, socket, bound })
    }

    fn named(&self) -> BTreeMap<String, Vec<String>> {
        let Bound { device_url, admin_url, socket, .. } = &self.bound;
        let socket = socket.display().to_string();
        let listeners = [("device", device_url.clone()), ("admin", admin_url.clone()), ("socket", socket)];
        listeners.into_iter().map(|(name, address)| (name.to_owned(), vec![address])).collect()
    }

    fn serve(
        self,
        handlers: Handlers,
        settings: &Settings,
        tls: TlsInForce,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let metrics = handlers.connections;
        let options = |name, limits, tls| ServeOptions { name, limits, metrics: metrics.clone(), tls };
        let device = options(ListenerName::Device, device_limits(settings), tls.device);
        let admin = options(ListenerName::Admin, admin_limits(settings), tls.admin);
        let socket = options(ListenerName::Socket, admin_limits(settings), None);
        tasks.spawn(crate::serve::serve(self.device, handlers.device, device, stop.clone()));
        tasks.spawn(crate::serve::serve(self.admin, handlers.admin.clone(), admin, stop.clone()));
        tasks.spawn(crate::serve::serve(self.socket, handlers.admin, socket, stop.clone()));
    }
}
