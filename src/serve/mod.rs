//! The serving room: listeners, connections and what is answered on them.
//!
//! `listen` takes connections, `connection` drives one of them through hyper, `device` and `admin` answer. What this
//! room deliberately does not do: it decides nothing and stores nothing; it turns requests into calls of the rooms
//! below it, and their results into HTTP.

mod activity;
pub mod admin;
mod admission;
mod bodies;
mod certificate;
mod connection;
pub mod device;
mod framing;
pub mod http;
mod limits;
mod listen;
mod metrics;
mod not_found;
mod pace;
mod peer;
mod probe;
mod problem;
mod pulled;
mod quota;
mod statements;
mod steady_clock;
mod stream;
mod tls;

pub use bodies::{RequestBody, RequestBodyError};
pub use certificate::{CertificateNames, ClientCertificate, IdentityRule, NameSource, NotAnIdentityRule};
pub use connection::Handler;
pub use limits::{Limits, PaceLimit};
pub use listen::{BindError, Drained, Listener, ServeOptions, serve};
pub use metrics::{ConnectionMetrics, ListenerName};
pub use not_found::not_found;
pub use peer::Peer;
pub use probe::{health_of, health_of_socket};
pub use problem::{Problem, ProblemDocument};
pub use pulled::pulled;
pub use quota::QuotaOptions;
pub use tls::{ClientTrust, Expired, LoadedTls, MinimumVersion, Tls, TlsError, TlsMetrics, TlsOptions};

#[cfg(test)]
mod tests;
