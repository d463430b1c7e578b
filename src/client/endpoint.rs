//! Where a server listens, as people write it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// A server's admin listener: `http://host:port`, `https://host:port` or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Cleartext HTTP/1.1 over TCP.
    Tcp {
        /// A name or address, IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// HTTP/1.1 over TLS.
    Tls {
        /// A name or address, IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// HTTP/1.1 over a unix socket.
    Unix(PathBuf),
}

/// Why a text is no server address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// None of the three forms.
    #[error("{0:?} is not a server address: write http://host:port, https://host:port or unix:/path/to/admin.sock")]
    Form(String),
}

impl Endpoint {
    /// The endpoint of a listener; one that listens everywhere is reached over loopback.
    pub fn of_listener(listen: SocketAddr, is_tls: bool) -> Self {
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let (host, port) = (ip.to_string(), listen.port());
        if is_tls { Self::Tls { host, port } } else { Self::Tcp { host, port } }
    }

    /// What the `Host` header says.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port } | Self::Tls { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port } | Self::Tls { host, port } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let form = || EndpointError::Form(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(form()) } else { Ok(Self::Unix(path.into())) };
        }
        let (rest, is_tls) = match text.strip_prefix("https://") {
            Some(rest) => (rest, true),
            None => (text.strip_prefix("http://").ok_or_else(form)?, false),
        };
        let authority: http::uri::Authority = rest.strip_suffix('/').unwrap_or(rest).parse().map_err(|_| form())?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(form());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16();
        Ok(match is_tls {
            true => Self::Tls { host, port: port.unwrap_or(443) },
            false => Self::Tcp { host, port: port.unwrap_or(80) },
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { .. } => write!(f, "http://{}", self.authority()),
            Self::Tls { .. } => write!(f, "https://{}", self.authority()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
