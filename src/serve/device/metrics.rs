//! Metrics of the device listener's answers, looked up once: nothing is hashed on the way of a request.

use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::route::RouteKind;
use crate::serve::ListenerName;
use crate::serve::quota::OverQuota;
use crate::telemetry::room;

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// From 50 µs to 1.6 s; a file that has to be read from the disk first is at the far end.
const BUCKETS_S: [f64; 8] = [0.000_05, 0.000_2, 0.000_8, 0.003_2, 0.012_8, 0.05, 0.2, 1.6];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    listener: ListenerName,
    reason: &'static str,
}

/// Answers by route and status class, and the time to each answer's head by route, and the requests that
/// were too many.
#[derive(Debug, Clone)]
pub struct DeviceMetrics {
    answers: [[Counter; CLASSES.len()]; RouteKind::ALL.len()],
    seconds: [Histogram; RouteKind::ALL.len()],
    refused: [Counter; OverQuota::ALL.len()],
}

impl DeviceMetrics {
    /// Counters registered as `ringfence_serve_device_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let answers = Family::<Answered, Counter>::default();
        let seconds = Family::<Timed, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS_S));
        let refused = Family::<Refused, Counter>::default();
        let room = room(registry, "serve");
        room.register("device_answers", "Answers on the device listener", answers.clone());
        room.register_with_unit("device_answer", "Time to the head of an answer", Unit::Seconds, seconds.clone());
        room.register("refused", "Requests refused at a cap", refused.clone());
        let listener = ListenerName::Device;
        Self {
            answers: RouteKind::ALL.map(|kind| {
                CLASSES.map(|status| answers.get_or_create_owned(&Answered { route: kind.pattern(), status }))
            }),
            seconds: RouteKind::ALL.map(|kind| seconds.get_or_create_owned(&Timed { route: kind.pattern() })),
            refused: OverQuota::ALL.map(|cap| refused.get_or_create_owned(&Refused { listener, reason: cap.as_str() })),
        }
    }

    pub(super) fn refused(&self, cap: OverQuota) {
        self.refused[cap as usize].inc();
    }

    pub(super) fn answered(&self, kind: RouteKind, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.answers[kind as usize][class].inc();
        self.seconds[kind as usize].observe(took.as_secs_f64());
    }
}
