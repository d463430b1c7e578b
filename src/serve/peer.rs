//! Who is at the other end of a connection.

use std::net::IpAddr;

/// The peer of a connection, as the kernel tells it; in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A TCP peer. An IPv4 address that came in over an IPv6 socket is given as IPv4.
    Tcp(IpAddr),
    /// A process on this machine, through the unix socket.
    Unix {
        /// The user the process ran as when it connected.
        uid: u32,
    },
}

impl Peer {
    /// Its address, if it has one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix { .. } => None,
        }
    }
}
