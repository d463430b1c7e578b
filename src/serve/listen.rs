//! Listeners: bound sockets and the loop that takes connections from them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::Admission;
use super::connection::{Handler, Shared, drive, drive_secured, http_settings};
use super::limits::Limits;
use super::metrics::{ConnectionMetrics, ListenerName, RefuseReason};
use super::peer::Peer;
use super::stream::linger;
use super::tls::{Handshakes, Tls};

/// Connections the kernel may hold for us before they are accepted.
const BACKLOG: u32 = 4096;
/// Refused connections that are told so at a time; more are just closed.
const REFUSALS_MAX: usize = 64;
/// How long a refused connection is read from, so that it sees the refusal.
const REFUSAL_LINGER: Duration = Duration::from_millis(500);
/// Pause after a failure to accept, for example without a free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\n\
    content-length: 65\r\n\
    retry-after: 30\r\n\
    connection: close\r\n\
    \r\n\
    {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503}";

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A TCP address.
    #[error("cannot listen on {address}: {source}")]
    Tcp {
        /// Which.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// A unix socket.
    #[error("cannot listen on the unix socket {}: {source}", path.display())]
    Unix {
        /// Its path.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// Something that is not a socket stands where the socket should be.
    #[error("cannot listen on the unix socket {}: there is a file that is not a socket", path.display())]
    NotASocket {
        /// Its path.
        path: PathBuf,
    },
    /// Another process answers on the socket.
    #[error("cannot listen on the unix socket {}: another process listens on it", path.display())]
    Taken {
        /// Its path.
        path: PathBuf,
    },
}

/// A bound socket, not yet accepting.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

impl Listener {
    /// Binds a TCP address; port 0 takes a free one.
    pub fn bind_tcp(address: SocketAddr) -> Result<Self, BindError> {
        let bind = || {
            let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        bind().map(Self::Tcp).map_err(|source| BindError::Tcp { address, source })
    }

    /// Binds a unix socket that only this user and root may connect to. A socket that nobody listens on any more is
    /// replaced by `remove`; nothing else ever is.
    pub async fn bind_unix(path: &Path, remove: fn(&Path) -> io::Result<()>) -> Result<Self, BindError> {
        let failed = |source| BindError::Unix { path: path.to_owned(), source };
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket { path: path.to_owned() }),
            Ok(_) => match UnixStream::connect(path).await {
                Ok(_) => return Err(BindError::Taken { path: path.to_owned() }),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => remove(path).map_err(failed)?,
                Err(error) => return Err(failed(error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        // Between the two calls the umask holds; the peer's uid is checked on every connection anyway.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self::Unix(listener))
    }

    /// A TCP socket that the service manager listens on.
    pub fn handed_tcp(listener: std::net::TcpListener) -> Result<Self, BindError> {
        let address = listener.local_addr().unwrap_or(SocketAddr::from(([0; 4], 0)));
        let failed = |source| BindError::Tcp { address, source };
        listener.set_nonblocking(true).map_err(failed)?;
        TcpListener::from_std(listener).map(Self::Tcp).map_err(failed)
    }

    /// A unix socket that the service manager listens on. Whose connections are let in is its socket unit's part, and
    /// the check of the peer's uid.
    pub fn handed_unix(listener: std::os::unix::net::UnixListener, path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Unix { path: path.to_owned(), source };
        listener.set_nonblocking(true).map_err(failed)?;
        UnixListener::from_std(listener).map(Self::Unix).map_err(failed)
    }

    /// The TCP address it is bound to, with the port the kernel chose.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

/// What a listener is served with.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Which listener it is.
    pub name: ListenerName,
    /// What its peers are granted.
    pub limits: Limits,
    /// Where it counts.
    pub metrics: ConnectionMetrics,
    /// What a TCP listener shakes hands with; `None` speaks without TLS, as a unix socket always does.
    pub tls: Option<Arc<Tls>>,
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off because they did not end within the drain timeout.
    pub cut: usize,
}

/// Accepts and serves until `stop` is cancelled; then takes what has connected already, closes the socket, lets running
/// answers finish for up to the drain timeout, cuts off the rest, and returns.
pub async fn serve<H: Handler>(
    listener: Listener,
    handler: H,
    options: ServeOptions,
    stop: CancellationToken,
) -> Drained {
    let drain_timeout = options.limits.drain_timeout;
    let abort = CancellationToken::new();
    let shared = Arc::new(Shared {
        name: options.name,
        handler,
        http: http_settings(&options.limits),
        metrics: options.metrics.of(options.name),
        handshakes: options.tls.map(|tls| Handshakes::new(tls, &options.limits)),
        limits: options.limits,
        drain: stop.clone(),
        abort: abort.clone(),
        cut_by_drain: AtomicUsize::new(0),
    });
    let connections = TaskTracker::new();
    match listener {
        Listener::Tcp(listener) => accept(&listener, &shared, &connections, &stop).await,
        Listener::Unix(listener) => accept(&listener, &shared, &connections, &stop).await,
    }
    connections.close();
    // Past the drain timeout whatever is left is cut off.
    let _ = tokio::time::timeout(drain_timeout, connections.wait()).await;
    abort.cancel();
    connections.wait().await;
    Drained { cut: shared.cut_by_drain.load(Ordering::Relaxed) }
}

/// A socket that connections come out of.
trait Accept {
    type Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    async fn accept(&self) -> io::Result<(Self::Socket, Peer)>;
    /// Sets what the socket's kind can be told. A socket that the peer has already reset fails here; it is served
    /// nevertheless, and ends at the first read.
    fn prepare(socket: &Self::Socket, limits: &Limits) -> io::Result<()>;
    /// Serves the socket until either side ends it.
    fn drive<H: Handler>(socket: Self::Socket, peer: Peer, shared: Arc<Shared<H>>) -> impl Future<Output = ()> + Send;
}

impl Accept for TcpListener {
    type Socket = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (socket, address) = self.accept().await?;
        Ok((socket, Peer::Tcp(address.ip().to_canonical())))
    }

    fn prepare(socket: &TcpStream, limits: &Limits) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let socket = socket2::SockRef::from(socket);
        // A peer that takes nothing at all, or is gone, is seen by the kernel first: what it holds of an answer hides
        // from us for how long it has not moved.
        socket.set_tcp_user_timeout(Some(limits.pace.window))?;
        // Bounds what a slow reader pins in the kernel.
        socket.set_tcp_notsent_lowat(limits.unsent_max_bytes)
    }

    async fn drive<H: Handler>(socket: TcpStream, peer: Peer, shared: Arc<Shared<H>>) {
        match &shared.handshakes {
            None => drive(socket, peer, &shared).await,
            Some(handshakes) => drive_secured(socket, peer, handshakes, &shared).await,
        }
    }
}

impl Accept for UnixListener {
    type Socket = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (socket, _) = self.accept().await?;
        let uid = socket.peer_cred()?.uid();
        Ok((socket, Peer::Unix { uid }))
    }

    fn prepare(_: &UnixStream, _: &Limits) -> io::Result<()> {
        Ok(())
    }

    async fn drive<H: Handler>(socket: UnixStream, peer: Peer, shared: Arc<Shared<H>>) {
        drive(socket, peer, &shared).await;
    }
}

async fn accept<L: Accept, H: Handler>(
    listener: &L,
    shared: &Arc<Shared<H>>,
    connections: &TaskTracker,
    stop: &CancellationToken,
) {
    let name = shared.name.as_str();
    let door = Door {
        shared,
        connections,
        admission: Admission::new(shared.limits.connections_max, shared.limits.connections_per_address_max),
        refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
    };
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            // The peer was gone before it was taken.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                shared.metrics.accept_errors.inc();
                if !failing {
                    tracing::error!(listener = name, %error, "cannot accept connections; trying again");
                }
                failing = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if failing {
            tracing::info!(listener = name, "accepting connections again");
            failing = false;
        }
        door.let_in::<L>(socket, peer);
    }
    // Whoever has connected already would be reset with the socket. The runtime learns first who that is.
    tokio::task::yield_now().await;
    for _ in 0..BACKLOG {
        let waiting = tokio::select! {
            biased;
            accepted = tokio::task::unconstrained(listener.accept()) => accepted,
            () = std::future::ready(()) => return,
        };
        match waiting {
            Ok((socket, peer)) => door.let_in::<L>(socket, peer),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => return,
        }
    }
}

/// Where connections are let in, or told that there is no room.
struct Door<'a, H> {
    shared: &'a Arc<Shared<H>>,
    connections: &'a TaskTracker,
    admission: Arc<Admission>,
    refusals: Arc<Semaphore>,
}

impl<H: Handler> Door<'_, H> {
    fn let_in<L: Accept>(&self, socket: L::Socket, peer: Peer) {
        let shared = self.shared.clone();
        if let Err(error) = L::prepare(&socket, &shared.limits) {
            tracing::debug!(listener = shared.name.as_str(), ?peer, %error, "socket options not set");
        }
        match self.admission.admit(peer) {
            Ok(place) => {
                shared.metrics.accepted.inc();
                shared.metrics.open.inc();
                self.connections.spawn(async move {
                    // Given back on every way out, a panic of a handler included.
                    let _place = place;
                    let _open = OpenGauge(shared.metrics.open.clone());
                    L::drive(socket, peer, shared).await;
                });
            }
            Err(reason) => refuse(socket, reason, &shared, &self.refusals, self.connections),
        }
    }
}

struct OpenGauge(prometheus_client::metrics::gauge::Gauge);

impl Drop for OpenGauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Tells the peer that there is no room, if not too many are being told already.
fn refuse<S, H>(
    mut socket: S,
    reason: RefuseReason,
    shared: &Shared<H>,
    refusals: &Arc<Semaphore>,
    connections: &TaskTracker,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    shared.metrics.refused(reason).inc();
    if let Ok(turn) = refusals.clone().try_acquire_owned() {
        connections.spawn(async move {
            let _turn = turn;
            // Far less than a fresh socket's buffer: this never waits.
            if socket.write_all(REFUSAL).await.is_ok() {
                linger(socket, REFUSAL_LINGER).await;
            }
        });
    }
}
