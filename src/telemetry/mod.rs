//! Telemetry: where log lines go, and the registry that metrics are registered in.
//!
//! The registry is a value that the application builds and passes on; there are no global metrics. What this room
//! deliberately does not do: it knows no other room, so that every room may use it, and it writes logs only to
//! standard error, which belongs to the service manager.

mod log;
mod metrics;

pub use log::{LogControl, LogError, LogFormat, LogOptions, install_log};
pub use metrics::{METRICS_CONTENT_TYPE, Metrics, room};
