//! What devices tell of a release: fetched, installed, healthy, failed.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

use super::name::{NameError, name};
use super::{DeviceId, MetricName, ProductName, Version};

name!(
    /// A report's identity, chosen by the device; the same id again is the same report.
    ReportId,
    "report id",
    "1 to 64 letters, digits, '.', '_' or '-'",
    |text| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    }
);

/// What happened to a release on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportEvent {
    /// The device was told of it.
    Offered,
    /// Its bytes arrived.
    Fetched,
    /// It is installed: the device's confirmed version from now on.
    Installed,
    /// It is installed and works.
    Healthy,
    /// It could not be installed, or does not work.
    Failed,
    /// The device went back to the version it had before.
    RolledBack,
}

impl ReportEvent {
    /// The word used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Fetched => "fetched",
            Self::Installed => "installed",
            Self::Healthy => "healthy",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// One report of one device. The device is the proven identity of the request, never a field of its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its identity within the device.
    pub id: ReportId,
    /// Who reported.
    pub device: DeviceId,
    /// Which product.
    pub product: ProductName,
    /// Which version of it.
    pub version: Version,
    /// What happened.
    pub event: ReportEvent,
    /// When the server received it.
    pub received_at: Timestamp,
    /// When it happened, by the device's clock. Kept for people; no decision uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The device's own error code, at most 64 printable characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Usage metrics that the policy's gates name, such as restarts or CPU seconds; at most [`METRICS_MAX`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<MetricName, MetricValue>,
}

/// The most usage metrics in one report.
pub const METRICS_MAX: usize = 16;

/// A usage metric's value: from 0 to 1e12, kept in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricValue {
    milli: u64,
}

impl MetricValue {
    /// The value in thousandths.
    pub const fn milli(self) -> u64 {
        self.milli
    }

    /// The value, or `None` where it is not a number from 0 to 1e12.
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1e12).contains(&value).then(|| Self { milli: (value * 1e3).round() as u64 })
    }
}

impl Serialize for MetricValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.milli as f64 / 1e3)
    }
}

impl<'de> Deserialize<'de> for MetricValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::new(value).ok_or_else(|| serde::de::Error::custom("a metric is a number from 0 to 1e12"))
    }
}

/// Why a report is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// No such product or release, or one the device cannot see: the same words for all of them.
    #[error("the report names a release that is not known here")]
    UnknownRelease,
    /// The code is too long or not printable.
    #[error("a report's code has at most 64 printable characters")]
    BadCode,
    /// It says it happened later than now.
    #[error("the report says that it happened in the future: set the device's clock and report again")]
    FromTheFuture,
    /// More metrics than a report may have.
    #[error("a report has at most {METRICS_MAX} metrics")]
    TooManyMetrics,
}

impl Report {
    /// Checks what the field types cannot.
    pub fn check(&self) -> Result<(), ReportError> {
        let printable = |code: &String| code.chars().count() <= 64 && !code.chars().any(char::is_control);
        if !self.code.as_ref().is_none_or(printable) {
            return Err(ReportError::BadCode);
        }
        if self.metrics.len() > METRICS_MAX { Err(ReportError::TooManyMetrics) } else { Ok(()) }
    }
}
