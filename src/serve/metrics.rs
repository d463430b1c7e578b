//! Metrics of the listeners.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::telemetry::room;

/// Which listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerName {
    /// For devices.
    Device,
    /// For people and programs, over TCP.
    Admin,
    /// The same, over the unix socket.
    Socket,
}

impl ListenerName {
    /// The word used in logs, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Admin => "admin",
            Self::Socket => "socket",
        }
    }
}

/// Why a connection was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum DropReason {
    /// The header of a request did not come in time.
    Header,
    /// The peer took an answer too slowly.
    SlowReader,
    /// The server stopped before the answer was taken.
    Drain,
}

impl DropReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header_timeout",
            Self::SlowReader => "slow_reader",
            Self::Drain => "drain_timeout",
        }
    }
}

/// Why a connection was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RefuseReason {
    /// The listener has as many as it may have.
    Total,
    /// The address has as many as it may have.
    Address,
}

impl RefuseReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Total => "connections_max",
            Self::Address => "connections_per_address_max",
        }
    }
}

macro_rules! label_value {
    ($($name:ty),*) => {$(
        impl prometheus_client::encoding::EncodeLabelValue for $name {
            fn encode(
                &self,
                encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
            ) -> Result<(), std::fmt::Error> {
                prometheus_client::encoding::EncodeLabelValue::encode(&self.as_str(), encoder)
            }
        }
    )*};
}
pub(crate) use label_value;
label_value!(ListenerName, DropReason, RefuseReason);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfListener {
    listener: ListenerName,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dropped {
    listener: ListenerName,
    reason: DropReason,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    listener: ListenerName,
    reason: RefuseReason,
}

/// The counters of all listeners. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ConnectionMetrics {
    accepted: Family<OfListener, Counter>,
    accept_errors: Family<OfListener, Counter>,
    open: Family<OfListener, Gauge>,
    written: Family<OfListener, Counter>,
    dropped: Family<Dropped, Counter>,
    refused: Family<Refused, Counter>,
}

impl ConnectionMetrics {
    /// Counters registered as `ringfence_serve_connections_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let new = Self::default();
        let room = room(registry, "serve");
        room.register("connections_accepted", "Connections accepted", new.accepted.clone());
        room.register("connections_accept_errors", "Failures to accept a connection", new.accept_errors.clone());
        room.register("connections_open", "Connections open now", new.open.clone());
        room.register("connections_written_bytes", "Bytes written to peers", new.written.clone());
        room.register("connections_dropped", "Connections cut off", new.dropped.clone());
        room.register("connections_refused", "Connections refused at a cap", new.refused.clone());
        new
    }

    /// The counters of one listener, looked up once.
    pub(crate) fn of(&self, listener: ListenerName) -> ListenerMetrics {
        let labels = OfListener { listener };
        let dropped = |reason| self.dropped.get_or_create_owned(&Dropped { listener, reason });
        let refused = |reason| self.refused.get_or_create_owned(&Refused { listener, reason });
        ListenerMetrics {
            accepted: self.accepted.get_or_create_owned(&labels),
            accept_errors: self.accept_errors.get_or_create_owned(&labels),
            open: self.open.get_or_create_owned(&labels),
            written: self.written.get_or_create_owned(&labels),
            dropped_header: dropped(DropReason::Header),
            dropped_slow_reader: dropped(DropReason::SlowReader),
            dropped_drain: dropped(DropReason::Drain),
            refused_total: refused(RefuseReason::Total),
            refused_address: refused(RefuseReason::Address),
        }
    }
}

/// The counters of one listener.
#[derive(Debug, Clone)]
pub(crate) struct ListenerMetrics {
    pub(crate) accepted: Counter,
    pub(crate) accept_errors: Counter,
    pub(crate) open: Gauge,
    pub(crate) written: Counter,
    dropped_header: Counter,
    dropped_slow_reader: Counter,
    dropped_drain: Counter,
    refused_total: Counter,
    refused_address: Counter,
}

impl ListenerMetrics {
    pub(crate) fn dropped(&self, reason: DropReason) -> &Counter {
        match reason {
            DropReason::Header => &self.dropped_header,
            DropReason::SlowReader => &self.dropped_slow_reader,
            DropReason::Drain => &self.dropped_drain,
        }
    }

    pub(crate) fn refused(&self, reason: RefuseReason) -> &Counter {
        match reason {
            RefuseReason::Total => &self.refused_total,
            RefuseReason::Address => &self.refused_address,
        }
    }
}
