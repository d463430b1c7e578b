//! What is counted of TLS.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::super::metrics::{ListenerName, label_value};
use crate::telemetry::room;

/// How a handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum HandshakeResult {
    /// Well, with all of it.
    Full,
    /// Well, from a ticket.
    Resumed,
    /// Not within its time.
    Timeout,
    /// The peer spoke HTTP without TLS.
    PlainHttp,
    /// The client showed no certificate, and one is required.
    NoCertificate,
    /// The client's certificate was refused.
    BadCertificate,
    /// The client refused, for example because it does not trust the server's certificate.
    RefusedByClient,
    /// The client offered nothing that is spoken here, for example only old versions.
    Incompatible,
    /// The client went away.
    Closed,
    /// Anything else, for example bytes that are not TLS.
    Other,
}

impl HandshakeResult {
    const ALL: [Self; 10] = [
        Self::Full,
        Self::Resumed,
        Self::Timeout,
        Self::PlainHttp,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::RefusedByClient,
        Self::Incompatible,
        Self::Closed,
        Self::Other,
    ];

    /// The word used in metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Timeout => "timeout",
            Self::PlainHttp => "plain_http",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::RefusedByClient => "refused_by_client",
            Self::Incompatible => "incompatible",
            Self::Closed => "closed",
            Self::Other => "other",
        }
    }
}

/// How a reload of the files ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ReloadResult {
    Loaded,
    Refused,
}

impl ReloadResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Refused => "refused",
        }
    }
}

label_value!(HandshakeResult, ReloadResult);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfListener {
    listener: ListenerName,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Handshake {
    listener: ListenerName,
    result: HandshakeResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    listener: ListenerName,
    result: ReloadResult,
}

/// What is counted of TLS, for all listeners; those without TLS do not appear. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TlsMetrics {
    handshakes: Family<Handshake, Counter>,
    running: Family<OfListener, Gauge>,
    reloads: Family<Reload, Counter>,
    expiry: Family<OfListener, Gauge>,
}

impl TlsMetrics {
    /// Counters registered as `ringfence_serve_handshakes…` and `ringfence_serve_certificate_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let new = Self::default();
        let room = room(registry, "serve");
        room.register("handshakes", "TLS handshakes by how they ended", new.handshakes.clone());
        room.register("handshakes_running", "TLS handshakes under way", new.running.clone());
        room.register("certificate_reloads", "Changed TLS files taken over or refused", new.reloads.clone());
        room.register(
            "certificate_expiry_seconds",
            "When the listener's certificate expires, in unix time",
            new.expiry.clone(),
        );
        new
    }

    /// The counters of one listener, looked up once.
    pub(super) fn of(&self, listener: ListenerName) -> ListenerTlsMetrics {
        let reloads = |result| self.reloads.get_or_create_owned(&Reload { listener, result });
        ListenerTlsMetrics {
            handshakes: HandshakeResult::ALL
                .map(|result| self.handshakes.get_or_create_owned(&Handshake { listener, result })),
            running: self.running.get_or_create_owned(&OfListener { listener }),
            loaded: reloads(ReloadResult::Loaded),
            refused: reloads(ReloadResult::Refused),
            expiry: self.expiry.get_or_create_owned(&OfListener { listener }),
        }
    }
}

/// The counters of one listener.
#[derive(Debug, Clone)]
pub(super) struct ListenerTlsMetrics {
    handshakes: [Counter; HandshakeResult::ALL.len()],
    pub(super) running: Gauge,
    pub(super) loaded: Counter,
    pub(super) refused: Counter,
    pub(super) expiry: Gauge,
}

impl ListenerTlsMetrics {
    pub(super) fn handshake(&self, result: HandshakeResult) -> &Counter {
        // In the order of ALL, which is that of the declaration.
        &self.handshakes[result as usize]
    }
}
