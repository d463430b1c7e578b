//! How far filling is, for people and metrics.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What filling does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FillState {
    /// It has not looked yet.
    #[default]
    Starting,
    /// Everything that devices may get is here.
    Complete,
    /// Blobs come in.
    Filling,
    /// No window is open; what devices ask for comes in all the same.
    Waiting,
    /// The last blobs could not be pulled; it is tried again.
    Failing,
}

impl FillState {
    /// The word used in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Complete => "complete",
            Self::Filling => "filling",
            Self::Waiting => "waiting",
            Self::Failing => "failing",
        }
    }
}

/// How far filling is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FillStanding {
    /// What it does now.
    pub state: FillState,
    /// The event up to which it knows what is wanted.
    pub seq: u64,
    /// Blobs that devices may get now.
    pub desired_blobs: u64,
    /// Their bytes.
    pub desired_bytes: u64,
    /// Those of them that are not here.
    pub missing_blobs: u64,
    /// The bytes that have yet to come for them.
    pub missing_bytes: u64,
    /// How fast bytes come in, for filling and for devices together.
    pub bytes_per_second: u64,
    /// Bytes that came from the upstream since the start.
    pub received_bytes: u64,
    /// When all is here if it goes on like this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete_at: Option<Timestamp>,
    /// When the next window opens, while none is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
    /// Why the last pull that failed did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Why what comes cannot be kept here, for as long as that lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_kept: Option<String>,
}
