//! Tests of TLS: files that are wrong, handshakes that must fail, and files that change while the listener runs.

mod clients;
mod files;
mod handshakes;
mod pki;
mod reloads;

use jiff::Timestamp;
use prometheus_client::registry::Registry;

use super::super::metrics::ListenerName;
use super::*;
use crate::sys::clock::{Clock as _, SystemClock};
use crate::telemetry::Metrics;

fn now() -> Timestamp {
    SystemClock.now()
}

fn days(count: i64) -> jiff::SignedDuration {
    jiff::SignedDuration::from_hours(24 * count)
}

/// A listener's TLS with these options, and what it counts.
fn in_force(options: &TlsOptions) -> (std::sync::Arc<Tls>, Metrics) {
    let mut registry = Registry::default();
    let metrics = TlsMetrics::register(&mut registry);
    let files = LoadedTls::read(options, now()).unwrap();
    let tls = Tls::new(ListenerName::Device, files, &metrics, now());
    (tls, Metrics::new(registry))
}

fn counts(metrics: &Metrics, line: &str) -> bool {
    let text = metrics.render().unwrap();
    text.lines().any(|found| found == line) || {
        eprintln!("no line {line}\n{text}");
        false
    }
}
