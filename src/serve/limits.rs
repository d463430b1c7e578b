//! The limits of a listener: a bound on everything a peer can make the server hold or wait for.

use std::time::Duration;

/// What one listener grants its peers. Durations are wall time, sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// From the accepted connection, or from the first byte of a later request, to the end of the request's header.
    pub header_timeout: Duration,
    /// How long a connection may stay open without a request after an answer.
    pub idle_timeout: Duration,
    /// The pace below which a peer that is waited for, to take an answer or to send a body, is dropped.
    pub pace: PaceLimit,
    /// Longest request line and header together, at least 8,192; more is answered 431. Also the most that is read of a
    /// connection at once, so a listener that takes uploads wants more.
    pub header_max_bytes: u32,
    /// Most header fields of one request; more is answered 431.
    pub header_max_fields: usize,
    /// Most connections of this listener at a time; more are answered 503 and closed.
    pub connections_max: usize,
    /// Most connections of one address at a time (of one /64 network for IPv6); more are answered 503 and closed.
    pub connections_per_address_max: usize,
    /// Most streams of one HTTP/2 connection at a time.
    pub h2_streams_max: u32,
    /// Most streams of one HTTP/2 connection that were reset before they were answered; more close the connection.
    pub h2_reset_streams_max: usize,
    /// How much unsent data the kernel takes for one connection (`TCP_NOTSENT_LOWAT`).
    pub unsent_max_bytes: u32,
    /// How long a closing connection is still read from, so that the peer gets the last answer and not a reset.
    pub linger_timeout: Duration,
    /// How long running answers may still take once the server is asked to stop.
    pub drain_timeout: Duration,
    /// From the accepted connection to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// Most TLS handshakes of this listener under way at a time; more wait, within their time.
    pub handshakes_max: usize,
    /// How much encrypted data waits for the socket in one connection: more makes large answers a little cheaper, and
    /// every slow reader dearer.
    pub tls_buffer_max_bytes: usize,
}

/// A minimum pace and how far behind it a peer may fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceLimit {
    /// The minimum.
    pub min_bytes_per_second: u32,
    /// For how long a peer may fall short of it.
    pub window: Duration,
}

impl Default for PaceLimit {
    fn default() -> Self {
        Self { min_bytes_per_second: 1024, window: Duration::from_secs(30) }
    }
}

impl Limits {
    /// For the admin listener: fewer peers, and uploads in large pieces.
    pub fn for_admin() -> Self {
        Self {
            header_max_bytes: 256 * 1024,
            connections_max: 1024,
            connections_per_address_max: 256,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            pace: PaceLimit::default(),
            header_max_bytes: 16 * 1024,
            header_max_fields: 64,
            connections_max: 16_384,
            connections_per_address_max: 512,
            h2_streams_max: 100,
            h2_reset_streams_max: 20,
            unsent_max_bytes: 128 * 1024,
            linger_timeout: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(5),
            handshakes_max: 512,
            tls_buffer_max_bytes: 64 * 1024,
        }
    }
}
