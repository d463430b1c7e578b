//! TLS of a TCP listener: a certificate from files, handshakes within bounds, and new files taken over while it runs.
//!
//! What this part deliberately does not do: choose among several certificates by name (a listener has one), take early
//! data (it can be replayed), or decide who a client is: it verifies the client's certificate and hands on its names.

mod current;
mod error;
mod files;
mod handshake;
mod load;
mod metrics;
mod names;
mod options;

pub use current::{LoadedTls, Tls};
pub use error::TlsError;
pub(super) use handshake::Handshakes;
pub use metrics::TlsMetrics;
pub use options::{ClientTrust, Expired, MinimumVersion, TlsOptions};

#[cfg(test)]
mod tests;
