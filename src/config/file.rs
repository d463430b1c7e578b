//! The file as it is written: every key optional, unknown keys refused. The doc comments here are the descriptions of
//! the JSON Schema that `ringfence check-config --schema` prints.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::GateTable;
use super::people::{OidcTable, PersonTable};
use super::settings::{LogFormat, LogLevel};
use super::targets::{StagerTable, TargetTable};
use super::tls::TlsTable;
use super::values::{ByteSize, Length};
use crate::model::{DeviceId, PublicKey, SiteName};

/// The JSON Schema of `ringfence.toml`.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}

/// Declares one table of the file: its keys, their types, defaults and descriptions in one place.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($(#[$key_doc:meta])* $key:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct $name { $($(#[$key_doc])* pub(super) $key: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }
    };
}

pub(super) use table;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

pub(super) const fn seconds(count: u64) -> Length {
    Length(std::time::Duration::from_secs(count))
}

pub(super) const fn hours(count: u64) -> Length {
    seconds(count * 3600)
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port))
}

/// The two loopback addresses: only a proxy on the same machine may name devices.
fn loopback_networks() -> Vec<IpNet> {
    vec![IpNet::from(loopback(0).ip()), IpNet::from(std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST))]
}

table! {
    /// The configuration of a Ringfence server.
    File {
        /// The directory that holds everything: journal, blobs, reports, index. Relative to this file.
        data: PathBuf = "data".into(),
        /// The listener that devices talk to.
        device: DeviceTable = DeviceTable::default(),
        /// The listener and the socket that admins talk to.
        admin: AdminTable = AdminTable::default(),
        /// Where the first policy comes from.
        policy: PolicyTable = PolicyTable::default(),
        /// The blob store and its index.
        store: StoreTable = StoreTable::default(),
        /// The journal of all changes.
        journal: JournalTable = JournalTable::default(),
        /// The reports of devices.
        reports: ReportsTable = ReportsTable::default(),
        /// What decisions allow.
        decision: DecisionTable = DecisionTable::default(),
        /// How shares are read.
        shares: SharesTable = SharesTable::default(),
        /// What is run for each alert.
        alert: AlertTable = AlertTable::default(),
        /// Bounds on what one client, or all of them, may use.
        limits: LimitsTable = LimitsTable::default(),
        /// What releases have to pass before they are published.
        gate: GateTable = GateTable::default(),
        /// The server's own log, on standard error.
        log: LogTable = LogTable::default(),
        /// How targets are kept.
        stager: StagerTable = StagerTable::default(),
        /// How devices come by their credentials.
        enrol: EnrolTable = EnrolTable::default(),
        /// The directories that shares are staged to.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[schemars(length(max = 64))]
        target: Vec<TargetTable> = Vec::new(),
        /// The people whom client certificates and an identity provider's tokens may name.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[schemars(length(max = 1000))]
        person: Vec<PersonTable> = Vec::new(),
        /// The identity provider whose tokens are taken.
        #[serde(skip_serializing_if = "Option::is_none")]
        oidc: Option<OidcTable> = None,
        /// What the origin signs its answers with.
        signing: SigningTable = SigningTable::default(),
        /// This server as an offline site, which bundles are imported into.
        site: SiteTable = SiteTable::default(),
    }
}

table! {
    /// The listener that devices talk to.
    DeviceTable {
        /// The address and port.
        listen: SocketAddr = loopback(8480),
        /// The networks from which the header `Ringfence-Device` is believed: those of your authenticating proxies.
        #[schemars(with = "Vec<String>")]
        header_trusted_from: Vec<IpNet> = loopback_networks(),
        /// TLS; without it devices talk to this listener in the clear.
        #[serde(skip_serializing_if = "Option::is_none")]
        tls: Option<TlsTable> = None,
        /// The names of proxies that have client certificates: such a certificate proves no device.
        #[schemars(with = "Vec<String>")]
        proxies: Vec<DeviceId> = Vec::new(),
    }
}

table! {
    /// The listener and the socket that admins talk to.
    AdminTable {
        /// The address and port.
        listen: SocketAddr = loopback(8481),
        /// The unix socket, on which the server's own user and root need no token. Relative to `data`.
        socket: PathBuf = "admin.sock".into(),
        /// The file with the first admin token, also read by the command line. Relative to this file.
        token_file: PathBuf = "admin.token".into(),
        /// TLS of the address; without it tokens travel in the clear. The socket never needs it.
        #[serde(skip_serializing_if = "Option::is_none")]
        tls: Option<TlsTable> = None,
    }
}

table! {
    /// Where the first policy comes from.
    PolicyTable {
        /// Applied once, when the journal holds no policy yet; afterwards only `ringfence policy apply` changes it.
        /// Relative to this file.
        bootstrap: PathBuf = "policy.toml".into(),
    }
}

table! {
    /// The blob store and its index.
    StoreTable {
        /// Bodies up to this size are also kept in the index and answered from it; at most 128 KiB.
        inline_max_bytes: ByteSize = ByteSize(4 * KIB),
        /// How much memory the index may use as its cache.
        index_cache_bytes: ByteSize = ByteSize(64 * MIB),
        /// How many blob files may be mapped at once.
        mapped_files_max: u32 = 1024,
        /// How often every blob is read and hashed again.
        scrub_every: Length = hours(7 * 24),
        /// How fast a scrub may read, in bytes per second.
        scrub_bytes_per_second: ByteSize = ByteSize(64 * MIB),
    }
}

table! {
    /// The journal of all changes.
    JournalTable {
        /// A segment that has reached this size is closed and a new one begun.
        segment_max_bytes: ByteSize = ByteSize(64 * MIB),
    }
}

table! {
    /// The reports of devices.
    ReportsTable {
        /// A segment that has reached this size is closed and a new one begun.
        segment_max_bytes: ByteSize = ByteSize(64 * MIB),
        /// How long reports are kept.
        keep_for: Length = hours(90 * 24),
    }
}

table! {
    /// What decisions allow.
    DecisionTable {
        /// How long a device may still download what was decided for it before, so that running downloads finish.
        download_grace: Length = hours(24),
    }
}

table! {
    /// How shares are read over HTTP.
    SharesTable {
        /// The longest that a download may take: a client's own date answers 304 only if it lies later than the file's
        /// by more than that.
        longest_transfer: Length = seconds(15 * 60),
        /// How long after a switch a client gets the rest of a set of files from the version that it began with.
        straggler_grace: Length = seconds(15),
    }
}

table! {
    /// What is run for each alert.
    AlertTable {
        /// The program and its arguments; it gets the alert as JSON on its standard input. Empty: nothing is run.
        command: Vec<String> = Vec::new(),
        /// A command that runs for longer is killed.
        timeout: Length = seconds(10),
    }
}

table! {
    /// Bounds on what one client, or all of them, may use.
    LimitsTable {
        /// A connection that has not sent a whole request head by then is closed.
        header_timeout: Length = seconds(10),
        /// A connection without a request for this long is closed.
        idle_timeout: Length = seconds(75),
        /// A reader slower than this, in bytes per second averaged over `slow_reader_window`, is dropped.
        slow_reader_bytes_per_second: ByteSize = ByteSize(KIB),
        /// The time over which a reader's speed is averaged.
        slow_reader_window: Length = seconds(30),
        /// How many connections the device listener holds at once.
        connections_max: u32 = 20_000,
        /// How many of them one address may hold.
        connections_per_address_max: u32 = 256,
        /// How many connections the admin listener holds at once.
        admin_connections_max: u32 = 256,
        /// How long running answers may take to finish when the server stops.
        drain_timeout: Length = seconds(30),
        /// The largest JSON or policy body of a request.
        json_body_max_bytes: ByteSize = ByteSize(8 * MIB),
        /// The largest artifact.
        upload_max_bytes: ByteSize = ByteSize(64 * GIB),
        /// How many uploads may be open at once.
        uploads_open_max: u32 = 2000,
        /// An upload that nobody continues for this long is dropped.
        upload_idle_timeout: Length = hours(24),
        /// How many artifacts a release may have.
        artifacts_max: u32 = 1000,
        /// How long after its request a 404 of the device listener is given: what is withheld and what is not there
        /// answer in the same time.
        refusal_time: Length = Length(std::time::Duration::from_millis(5)),
        /// Requests of one address in a second, and twice as many at once; addresses in `device.header_trusted_from`
        /// are not counted.
        requests_per_second_per_address: u32 = 1000,
        /// Requests of one device in a second.
        requests_per_second_per_device: u32 = 50,
        /// Requests of one device at once, after it was quiet for a while.
        requests_burst_per_device: u32 = 500,
        /// Requests of one device that run at the same time; a download runs until its last byte.
        requests_per_device_max: u32 = 64,
        /// Reports of one device in a minute.
        reports_per_minute_per_device: u32 = 600,
        /// The longest request head of the device listener, from 8 KiB to 1 MiB.
        header_max_bytes: ByteSize = ByteSize(16 * KIB),
        /// How many header fields a request may have, at most 1000.
        header_max_fields: u32 = 64,
        /// How many streams of one HTTP/2 connection may be open, at most 10,000.
        h2_streams_max: u32 = 100,
        /// How many streams of one HTTP/2 connection may be reset before they are answered; at most 10,000.
        h2_reset_streams_max: u32 = 20,
        /// A connection that has not finished its TLS handshake by then is closed.
        handshake_timeout: Length = seconds(5),
        /// How many TLS handshakes of a listener may be under way at once; more wait within their time.
        handshakes_max: u32 = 512,
    }
}

table! {
    /// The server's own log, on standard error.
    LogTable {
        /// `text` for people, `json` for machines.
        format: LogFormat = LogFormat::Text,
        /// The least important level that is written.
        level: LogLevel = LogLevel::Info,
    }
}

table! {
    /// How devices come by their credentials.
    EnrolTable {
        /// How long the code of an enrolment is taken, where nothing else is said; at most 30 days.
        code_valid_for: Length = hours(24),
        /// How long a token that a device enrolled for is taken; until it is revoked where absent.
        token_valid_for: Option<Length> = None,
        /// The certificate of the CA that signs the certificates of devices, and its issuers, as PEM. Relative to this
        /// file. Without it devices enrol for tokens only.
        ca_certificate: Option<PathBuf> = None,
        /// Its private key, as PEM. Relative to this file.
        ca_key: Option<PathBuf> = None,
        /// How long a certificate of a device is good.
        certificate_valid_for: Length = hours(90 * 24),
    }
}

table! {
    /// What the origin signs its answers with.
    SigningTable {
        /// The file with the secret key, readable by the server alone. Relative to this file. A systemd credential
        /// `origin.key` comes before it.
        key: PathBuf = "origin.key".into(),
        /// How long a signed statement of what a device is to have may be believed.
        statement_valid_for: Length = seconds(15 * 60),
        /// How long an old key still counts after it was replaced.
        key_overlap: Length = hours(30 * 24),
    }
}

table! {
    /// This server as an offline site, which bundles are imported into.
    SiteTable {
        /// The site's name at its origin. Without one, the first bundle decides.
        #[schemars(with = "Option<String>")]
        name: Option<SiteName> = None,
        /// The public keys of the origin, as `ringfence key show` prints them there. Its bundles may be signed by these, and
        /// by the keys that these vouch for.
        #[schemars(with = "Vec<String>", length(max = 16))]
        origin_keys: Vec<PublicKey> = Vec::new(),
        /// A file with such a key, as minisign writes it. Relative to this file.
        origin_key_file: Option<PathBuf> = None,
    }
}
