//! The service manager: the sockets that it hands over, and the watchdog that it wants to hear from.
//!
//! Sockets that the service manager keeps outlive the server: who connects while it restarts waits, and is answered.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::SockRef;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::backend::DeviceBackend;
use super::core::Core;
use super::wiring::Handlers;
use crate::catalog::Catalog;
use crate::config::Settings;
use crate::serve::device::DeviceApi;
use crate::serve::{health_of, health_of_socket};

/// A unit with more sockets than this is not meant for us.
const SOCKETS_MAX: usize = 16;

/// One of the three listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Device,
    Admin,
    AdminSocket,
}

impl Place {
    const ALL: [Self; 3] = [Self::Device, Self::Admin, Self::AdminSocket];

    /// What `FileDescriptorName=` says.
    const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Admin => "admin",
            Self::AdminSocket => "admin-socket",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Device | Self::Admin => "a TCP socket",
            Self::AdminSocket => "a unix socket",
        }
    }
}

/// Why the sockets of the service manager cannot be used. The text is a whole sentence.
#[derive(Debug, thiserror::Error)]
pub enum SocketsError {
    /// Far too many.
    #[error(
        "the service manager hands over {0} sockets: one each for device, admin and admin-socket is all there is to do"
    )]
    TooMany(usize),
    /// Not a listening stream socket.
    #[error(
        "the service manager hands over {name:?}, which cannot be listened on: {why}; use ListenStream= in the socket unit"
    )]
    Unfit {
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// Nobody can say what it is for.
    #[error(
        "the service manager hands over {address} under the name {name:?}, and no listener of the configuration has \
         that port: set FileDescriptorName= to device, admin or admin-socket"
    )]
    Unplaced {
        /// Its name.
        name: String,
        /// Where it listens.
        address: String,
    },
    /// The name belongs to another kind of socket.
    #[error("the service manager hands over {address} as {name:?}, which must be {kind}")]
    WrongKind {
        /// Its name.
        name: &'static str,
        /// Where it listens.
        address: String,
        /// What it should be.
        kind: &'static str,
    },
    /// Two for one listener.
    #[error("the service manager hands over two sockets for {0}: take one out of the socket units")]
    Twice(&'static str),
    /// One is missing, and binding it here might be seen by nobody.
    #[error("the service manager hands over sockets, but none for {0}: add one to the socket units, or hand over none")]
    Missing(&'static str),
    /// The kernel refuses what a socket is asked.
    #[error("a socket of the service manager cannot be used: {0}")]
    Io(#[from] std::io::Error),
}

/// The sockets of the service manager.
#[derive(Debug)]
pub(super) struct HandedSockets {
    pub(super) device: TcpListener,
    pub(super) admin: TcpListener,
    /// With the path that it is bound to. Without one, the server binds its own.
    pub(super) socket: Option<(UnixListener, PathBuf)>,
}

/// A socket with where it listens.
enum Found {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

impl Found {
    fn address(&self) -> String {
        match self {
            Self::Tcp(_, address) => address.to_string(),
            Self::Unix(_, path) => path.display().to_string(),
        }
    }

    fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(_, address) => Some(address.port()),
            Self::Unix(..) => None,
        }
    }
}

/// Takes the sockets that were handed over; none where the server was started by hand. Call it before any thread runs:
/// it takes the variables out of the environment.
pub(super) fn handed_sockets(settings: &Settings) -> Result<Option<HandedSockets>, SocketsError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut sockets = ListenFd::from_env();
    match sockets.len() {
        0 => return Ok(None),
        many if many > SOCKETS_MAX => return Err(SocketsError::TooMany(many)),
        _ => {}
    }
    let mut names = names.split(':');
    let (mut device, mut admin, mut socket) = (None, None, None);
    for number in 0..sockets.len() {
        let name = names.next().unwrap_or_default();
        let found = take(&mut sockets, number, name)?;
        let place = place_of(name, found.port(), settings)
            .ok_or_else(|| SocketsError::Unplaced { name: name.to_owned(), address: found.address() })?;
        let is_taken = match (place, found) {
            (Place::Device, Found::Tcp(listener, _)) => device.replace(listener).is_some(),
            (Place::Admin, Found::Tcp(listener, _)) => admin.replace(listener).is_some(),
            (Place::AdminSocket, Found::Unix(listener, path)) => socket.replace((listener, path)).is_some(),
            (_, found) => {
                return Err(SocketsError::WrongKind {
                    name: place.name(),
                    address: found.address(),
                    kind: place.kind(),
                });
            }
        };
        if is_taken {
            return Err(SocketsError::Twice(place.name()));
        }
    }
    let device = device.ok_or(SocketsError::Missing(Place::Device.name()))?;
    let admin = admin.ok_or(SocketsError::Missing(Place::Admin.name()))?;
    Ok(Some(HandedSockets { device, admin, socket }))
}

fn take(sockets: &mut ListenFd, number: usize, name: &str) -> Result<Found, SocketsError> {
    let unfit = |why: String| SocketsError::Unfit { name: name.to_owned(), why };
    let found = if let Ok(Some(listener)) = sockets.take_unix_listener(number) {
        let address = listener.local_addr()?;
        let path = address.as_pathname().ok_or_else(|| unfit("it has no path".to_owned()))?.to_owned();
        Found::Unix(listener, path)
    } else {
        let listener = sockets.take_tcp_listener(number).map_err(|error| unfit(error.to_string()))?;
        let listener = listener.ok_or_else(|| unfit("it was taken before".to_owned()))?;
        let address = listener.local_addr()?;
        Found::Tcp(listener, address)
    };
    let is_listening = match &found {
        Found::Tcp(listener, _) => SockRef::from(listener).is_listener(),
        Found::Unix(listener, _) => SockRef::from(listener).is_listener(),
    }?;
    if is_listening { Ok(found) } else { Err(unfit("it does not listen".to_owned())) }
}

/// What a socket is for: by its name, or else by what the configuration has on that port. `admin` is also the unix
/// socket, as one socket unit gives all of its sockets the same name.
fn place_of(name: &str, port: Option<u16>, settings: &Settings) -> Option<Place> {
    if name == Place::Admin.name() && port.is_none() {
        return Some(Place::AdminSocket);
    }
    let named = Place::ALL.into_iter().find(|place| place.name() == name);
    named.or(match port {
        None => Some(Place::AdminSocket),
        Some(port) if port == settings.device.listen.port() => Some(Place::Device),
        Some(port) if port == settings.admin.listen.port() => Some(Place::Admin),
        Some(_) => None,
    })
}

/// What the watchdog looks at.
pub(super) struct Probe {
    device: DeviceApi<DeviceBackend>,
    socket: PathBuf,
    catalog: Arc<Catalog>,
}

impl Probe {
    pub(super) fn new(core: &Core, handlers: &Handlers, socket: PathBuf) -> Self {
        Self { device: handlers.device.clone(), socket, catalog: core.catalog.clone() }
    }

    /// Asks as a client would: the device listener's answers over a connection in memory, as the sandbox has no network
    /// to connect through, and the admin socket over the kernel.
    async fn run(&self) -> Result<(), String> {
        health_of(&self.device).await.map_err(|why| format!("the device listener does not answer: {why}"))?;
        let socket = health_of_socket(&self.socket).await;
        socket.map_err(|why| format!("the admin socket {} does not answer: {why}", self.socket.display()))?;
        let (seen, written) = (self.catalog.snapshot().seq(), self.catalog.head().0);
        // A change is journaled before it is seen.
        if seen > written { Err(format!("the snapshot is at event {seen}, the journal at {written}")) } else { Ok(()) }
    }
}

/// Tells the service manager at a third of its limit that the server works, but only after it was seen to work.
pub(super) async fn pet_watchdog(probe: Probe, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let every = (limit / 3).max(Duration::from_millis(1));
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let probed = timeout(every, probe.run()).await;
        match probed.unwrap_or_else(|_| Err(format!("no answer within {every:?}"))) {
            Ok(()) => {
                if is_failing {
                    tracing::info!("the server answers again");
                }
                is_failing = false;
                if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]) {
                    tracing::warn!(%error, "the service manager cannot be told that the server works");
                }
            }
            Err(why) => {
                if !is_failing {
                    tracing::error!(why, "the server does not work; the service manager will end it if that stays so");
                }
                is_failing = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, place_of};
    use crate::config::Settings;

    #[test]
    fn a_socket_is_placed_by_its_name_and_else_by_its_port() {
        let settings = Settings::default();
        for (name, port, place) in [
            ("device", Some(1), Some(Place::Device)),
            ("device", Some(8481), Some(Place::Device)),
            ("admin", Some(1), Some(Place::Admin)),
            ("admin", None, Some(Place::AdminSocket)),
            ("admin-socket", None, Some(Place::AdminSocket)),
            ("ringfence.socket", Some(8480), Some(Place::Device)),
            ("", Some(8481), Some(Place::Admin)),
            ("unknown", None, Some(Place::AdminSocket)),
            ("unknown", Some(80), None),
        ] {
            assert_eq!(place_of(name, port, &settings), place, "{name} on {port:?}");
        }
        // A name is believed; that the kind does not fit is refused by who takes it.
        assert_eq!(place_of("device", None, &settings), Some(Place::Device));
    }
}
