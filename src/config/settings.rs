//! The checked settings, as the rest of the program takes them: absolute meaning, no text left to parse.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ShareName;

/// Everything `ringfence.toml` says, checked. Paths are joined to the file's (or the data) directory.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The data directory.
    pub data: PathBuf,
    /// The device listener.
    pub device: DeviceSettings,
    /// The admin listener and socket.
    pub admin: AdminSettings,
    /// The first policy.
    pub policy: PolicySettings,
    /// The blob store and index.
    pub store: StoreSettings,
    /// The journal.
    pub journal: JournalSettings,
    /// Device reports.
    pub reports: ReportSettings,
    /// Decisions.
    pub decision: DecisionSettings,
    /// Shares.
    pub shares: SharesSettings,
    /// Alerts.
    pub alert: AlertSettings,
    /// Bounds.
    pub limits: LimitSettings,
    /// The log.
    pub log: LogSettings,
    /// How targets are kept.
    pub stager: StagerSettings,
    /// The directories that shares are staged to.
    pub targets: Vec<TargetSettings>,
    /// Signed answers.
    pub signing: SigningSettings,
}

/// The listener that devices talk to.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceSettings {
    /// Its address.
    pub listen: SocketAddr,
    /// The networks whose `Ringfence-Device` header is believed.
    pub header_trusted_from: Vec<IpNet>,
}

/// The listener and socket that admins talk to.
#[derive(Debug, Clone, PartialEq)]
pub struct AdminSettings {
    /// Its address.
    pub listen: SocketAddr,
    /// The unix socket's path.
    pub socket: PathBuf,
    /// The file with the first admin token.
    pub token_file: PathBuf,
}

/// Where the first policy comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySettings {
    /// The policy file applied when the journal holds none.
    pub bootstrap: PathBuf,
}

/// The blob store and its index.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreSettings {
    /// Bodies up to this size, in bytes, are also kept in the index; at most 131,072.
    pub inline_max_bytes: u64,
    /// The index's cache in bytes, at least 1 MiB.
    pub index_cache_bytes: u64,
    /// How many blob files may be mapped at once, at least 1.
    pub mapped_files_max: usize,
    /// How often every blob is hashed again.
    pub scrub_every: Duration,
    /// How fast a scrub reads.
    pub scrub_bytes_per_second: u64,
}

/// The journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalSettings {
    /// The size at which a segment is closed, in bytes.
    pub segment_max_bytes: u64,
}

/// Device reports.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportSettings {
    /// The size at which a segment is closed, in bytes.
    pub segment_max_bytes: u64,
    /// How long reports are kept.
    pub keep_for: Duration,
}

/// Decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionSettings {
    /// How long a former decision may still be downloaded; may be zero.
    pub download_grace: Duration,
}

/// How shares are read over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct SharesSettings {
    /// The longest that a download may take; may be zero.
    pub longest_transfer: Duration,
    /// How long a reader of a set keeps the version that it began with; may be zero.
    pub straggler_grace: Duration,
}

/// What is run for each alert.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSettings {
    /// The program and its arguments; empty: nothing is run.
    pub command: Vec<String>,
    /// How long it may run; not zero.
    pub timeout: Duration,
}

/// Bounds on what one client, or all of them, may use. None is zero.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitSettings {
    /// From a connection's (or request's) start to the end of its head.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// The least speed of a reader, averaged over `slow_reader_window`.
    pub slow_reader_bytes_per_second: u64,
    /// The time over which a reader's speed is averaged.
    pub slow_reader_window: Duration,
    /// Connections of the device listener.
    pub connections_max: usize,
    /// Connections of one address on the device listener.
    pub connections_per_address_max: usize,
    /// Connections of the admin listener and socket.
    pub admin_connections_max: usize,
    /// How long running answers may take when the server stops.
    pub drain_timeout: Duration,
    /// The largest JSON or policy body, in bytes.
    pub json_body_max_bytes: u64,
    /// The largest artifact, in bytes.
    pub upload_max_bytes: u64,
    /// Open uploads.
    pub uploads_open_max: usize,
    /// How long an upload may rest before it is dropped.
    pub upload_idle_timeout: Duration,
    /// Artifacts of one release.
    pub artifacts_max: usize,
}

/// How targets are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StagerSettings {
    /// Whether `ringfence serve` keeps them itself.
    pub in_server: bool,
    /// How often every file of a target is hashed, whatever its size and times say.
    pub rehash_every: Duration,
    /// How often a target is looked over for changes by others.
    pub look_every: Duration,
    /// For how long a name that somebody has open is tried.
    pub retry_for: Duration,
}

/// A directory that a share is staged to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSettings {
    /// The share.
    pub share: ShareName,
    /// The directory.
    pub to: PathBuf,
    /// Whether the tree before is kept beside the live one.
    pub keep_previous: bool,
}

/// The server's own log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    /// For people or for machines.
    pub format: LogFormat,
    /// The least important level written.
    pub level: LogLevel,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something needs attention.
    Warn,
    /// What happened.
    Info,
    /// Each request.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word used in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Default for Settings {
    /// The defaults, with paths relative to the working directory.
    fn default() -> Self {
        super::validate::defaults()
    }
}

/// What the origin signs its answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningSettings {
    /// The secret key's file.
    pub key: PathBuf,
    /// How long a statement may be believed; at least a minute.
    pub statement_valid_for: Duration,
    /// How long a key that was replaced still counts; may be zero.
    pub key_overlap: Duration,
}
