//! The checked settings, as the rest of the program takes them: absolute meaning, no text left to parse.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::GateSettings;
use crate::model::{Actor, DeviceId, PublicKey, Reach, Role, ShareName, SiteName};
use crate::serve::{IdentityRule, TlsOptions};

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
    /// What releases have to pass.
    pub gate: GateSettings,
    /// The log.
    pub log: LogSettings,
    /// How targets are kept.
    pub stager: StagerSettings,
    /// Enrolment.
    pub enrol: EnrolSettings,
    /// The directories that shares are staged to.
    pub targets: Vec<TargetSettings>,
    /// The people whom certificates and an identity provider's tokens may name.
    pub people: Vec<PersonSettings>,
    /// The identity provider whose tokens are taken.
    pub oidc: Option<OidcSettings>,
    /// Signed answers.
    pub signing: SigningSettings,
    /// This server as an offline site.
    pub site: SiteSettings,
}

/// The listener that devices talk to.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceSettings {
    /// Its address.
    pub listen: SocketAddr,
    /// The networks whose `Ringfence-Device` header is believed.
    pub header_trusted_from: Vec<IpNet>,
    /// The names of proxies whose certificates prove no device.
    pub proxies: Vec<DeviceId>,
    /// Its TLS; `None` is plain HTTP.
    pub tls: Option<TlsSettings>,
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq)]
pub struct TlsSettings {
    /// Its files and rules.
    pub options: TlsOptions,
    /// How a client's identity is read from its certificate: the first rule that finds one.
    pub identity: Vec<IdentityRule>,
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
    /// The address's TLS; `None` is plain HTTP. The socket never has any.
    pub tls: Option<TlsSettings>,
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
    /// How long after its request a 404 of the device listener is given; at most 1 s.
    pub refusal_time: Duration,
    /// Requests of one address in a second.
    pub requests_per_second_per_address: u32,
    /// Requests of one device in a second.
    pub requests_per_second_per_device: u32,
    /// Requests of one device at once.
    pub requests_burst_per_device: u32,
    /// Running requests of one device.
    pub requests_per_device_max: u32,
    /// Reports of one device in a minute.
    pub reports_per_minute_per_device: u32,
    /// The longest request head of the device listener, in bytes; 8 KiB to 1 MiB.
    pub header_max_bytes: u32,
    /// Header fields of one request, at most 1000.
    pub header_max_fields: usize,
    /// Open streams of one HTTP/2 connection.
    pub h2_streams_max: u32,
    /// Streams of one HTTP/2 connection that were reset before they were answered.
    pub h2_reset_streams_max: usize,
    /// From a connection's start to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// TLS handshakes of a listener under way at once.
    pub handshakes_max: usize,
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

/// How devices come by their credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrolSettings {
    /// How long a code is taken; not zero.
    pub code_valid_for: Duration,
    /// How long a token is taken; until revoked where absent.
    pub token_valid_for: Option<Duration>,
    /// Who signs certificates, if anybody does.
    pub ca: Option<EnrolCaFiles>,
    /// How long a certificate is good; not zero.
    pub certificate_valid_for: Duration,
}

/// The files of the CA that signs the certificates of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolCaFiles {
    /// Its certificate, and its issuers.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
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

/// A person with a role.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonSettings {
    /// The name, as a credential says it.
    pub name: Actor,
    /// What may be done.
    pub role: Role,
    /// Over which products and groups.
    pub reach: Reach,
}

/// An identity provider whose tokens are taken.
#[derive(Debug, Clone, PartialEq)]
pub struct OidcSettings {
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be or contain.
    pub audience: String,
    /// The file with its keys.
    pub jwks_file: PathBuf,
    /// The claim with the name.
    pub name_claim: String,
    /// The claim with the roles.
    pub roles_claim: Option<String>,
    /// The role that each value of it stands for.
    pub roles: BTreeMap<String, Role>,
    /// Whether a token without `nbf` is refused.
    pub is_nbf_required: bool,
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

/// This server as an offline site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteSettings {
    /// Its name at the origin.
    pub name: Option<SiteName>,
    /// The origin's keys.
    pub origin_keys: Vec<PublicKey>,
    /// A file with one more.
    pub origin_key_file: Option<PathBuf>,
}
