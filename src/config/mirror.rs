//! The part of the file for a mirror: whom it follows, and what it believes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Finding;
use super::file::seconds;
use super::validate::length;
use super::values::{ByteSize, Length};
use crate::mirror::{UpstreamAddress, WAIT_MAX_S};
use crate::model::policy::{Window, Windows};
use crate::model::{ProductName, PublicKey, SiteName};

/// The most keys of an origin that are pinned.
const KEYS_MAX: usize = 16;
/// The least limit: below it, a range of a blob takes longer than an upstream waits for its reader.
const BANDWIDTH_LEAST: ByteSize = ByteSize(64 << 10);
const WINDOWS_MAX: usize = 64;
const CRITICAL_MAX: usize = 1_000;

/// How old the origin's word may be when it comes: words of the same few seconds have the same time.
const WORD_AGE: Duration = Duration::from_secs(10);

/// The server that this one follows: with this table it is a mirror, and changes nothing itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MirrorTable {
    /// The admin listener of the server that is followed: the origin, or another mirror.
    upstream: String,
    /// This mirror's name, under which the origin counts what its devices report.
    #[schemars(with = "String")]
    name: SiteName,
    /// The file with a token of the role mirror. Relative to this file. A systemd credential `upstream.token` comes
    /// before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
    /// The CA (or the very certificate) by which an https upstream is trusted, as PEM. Relative to this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    /// This mirror's own client certificate with its chain, as PEM, where the upstream knows it by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<PathBuf>,
    /// The key of that certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<PathBuf>,
    /// The origin's public keys that are believed, and those that they vouch for; without any, the first that is met.
    #[serde(default)]
    #[schemars(with = "Vec<String>", length(max = 16))]
    origin_keys: Vec<PublicKey>,
    /// How old the origin's last word may be before an alarm is raised.
    #[serde(default = "stale_after")]
    stale_after: Length,
    /// How long the upstream is asked to wait for a next event; at most 30s.
    #[serde(default = "poll_wait")]
    poll_wait: Length,
    /// The most bytes in a second for blobs, those that devices wait for included; no limit without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bandwidth_bytes_per_second: Option<ByteSize>,
    /// When blobs that nobody waits for may come in, such as `Mon-Fri 19:00-07:00 Europe/Berlin`; always without any.
    #[serde(default)]
    #[schemars(with = "Vec<String>", length(max = 64))]
    windows: Vec<String>,
    /// How many ranges of blobs are fetched at once; as many again for what devices wait for.
    #[serde(default = "parallel_ranges")]
    #[schemars(range(min = 1, max = 64))]
    parallel_ranges: u64,
    /// How many blobs may be incomplete at once.
    #[serde(default = "partial_max")]
    #[schemars(range(min = 1, max = 10000))]
    partial_max: u64,
    /// The products that are filled first.
    #[serde(default)]
    #[schemars(with = "Vec<String>", length(max = 1000))]
    critical: Vec<ProductName>,
}

const fn parallel_ranges() -> u64 {
    4
}

const fn partial_max() -> u64 {
    64
}

const fn stale_after() -> Length {
    seconds(15 * 60)
}

const fn poll_wait() -> Length {
    seconds(20)
}

/// Whom a mirror follows.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorSettings {
    /// The upstream's admin listener.
    pub upstream: UpstreamAddress,
    /// This mirror's name.
    pub name: SiteName,
    /// The file with its token.
    pub token_file: Option<PathBuf>,
    /// By what an https upstream is trusted.
    pub ca_file: Option<PathBuf>,
    /// Its own client certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The origin's keys that are believed.
    pub origin_keys: Vec<PublicKey>,
    /// How old the origin's last word may be.
    pub stale_after: Duration,
    /// How long the upstream is asked to wait.
    pub poll_wait: Duration,
    /// The most bytes in a second for blobs.
    pub bandwidth_bytes_per_second: Option<u64>,
    /// When blobs that nobody waits for may come in.
    pub windows: Option<Windows>,
    /// How many ranges are fetched at once.
    pub parallel_ranges: usize,
    /// How many blobs may be incomplete at once.
    pub partial_max: usize,
    /// The products that are filled first.
    pub critical: Vec<ProductName>,
}

pub(super) fn mirror_settings(table: Option<MirrorTable>, base: &Path) -> Result<Option<MirrorSettings>, Finding> {
    let Some(table) = table else { return Ok(None) };
    let finding = |key: &'static str, message: String| Finding { key: key.into(), message };
    let upstream: UpstreamAddress =
        table.upstream.parse().map_err(|error| finding("mirror.upstream", format!("mirror.upstream: {error}")))?;
    if upstream.is_tls() && table.ca_file.is_none() {
        let message = "mirror.upstream speaks TLS: name the CA that issued its certificate as mirror.ca_file";
        return Err(finding("mirror.upstream", message.to_owned()));
    }
    let identity = match (table.certificate, table.key) {
        (Some(certificate), Some(key)) => Some((base.join(certificate), base.join(key))),
        (None, None) => None,
        _ => {
            let message = "mirror.certificate and mirror.key belong together: name both or neither".to_owned();
            return Err(finding("mirror.certificate", message));
        }
    };
    if table.origin_keys.len() > KEYS_MAX {
        let message = format!("mirror.origin_keys has {} keys; at most {KEYS_MAX}", table.origin_keys.len());
        return Err(finding("mirror.origin_keys", message));
    }
    let poll_wait = length("mirror.poll_wait", table.poll_wait)?;
    if poll_wait > Duration::from_secs(WAIT_MAX_S) {
        let message = format!("mirror.poll_wait is {}: it must be at most {WAIT_MAX_S}s", table.poll_wait);
        return Err(finding("mirror.poll_wait", message));
    }
    let stale_after = length("mirror.stale_after", table.stale_after)?;
    if stale_after < poll_wait + WORD_AGE {
        let message = format!(
            "mirror.stale_after is {}: every wait for an event would be an alarm; it must be at least {} s longer than \
             mirror.poll_wait, {}",
            table.stale_after,
            WORD_AGE.as_secs(),
            table.poll_wait
        );
        return Err(finding("mirror.stale_after", message));
    }
    Ok(Some(MirrorSettings {
        upstream,
        name: table.name,
        token_file: table.token_file.map(|path| base.join(path)),
        ca_file: table.ca_file.map(|path| base.join(path)),
        identity,
        origin_keys: table.origin_keys,
        stale_after,
        poll_wait,
        bandwidth_bytes_per_second: bandwidth(table.bandwidth_bytes_per_second)?,
        windows: windows(&table.windows)?,
        parallel_ranges: within("mirror.parallel_ranges", table.parallel_ranges, 64)?,
        partial_max: within("mirror.partial_max", table.partial_max, 10_000)?,
        critical: products(table.critical)?,
    }))
}

fn bandwidth(limit: Option<ByteSize>) -> Result<Option<u64>, Finding> {
    if let Some(size) = limit.filter(|size| *size < BANDWIDTH_LEAST) {
        let message = format!("mirror.bandwidth_bytes_per_second is {size}: it must be at least {BANDWIDTH_LEAST}");
        return Err(Finding { key: "mirror.bandwidth_bytes_per_second".into(), message });
    }
    Ok(limit.map(|size| size.0))
}

fn windows(texts: &[String]) -> Result<Option<Windows>, Finding> {
    let finding = |message| Finding { key: "mirror.windows".into(), message };
    if texts.len() > WINDOWS_MAX {
        return Err(finding(format!("mirror.windows has {} windows; at most {WINDOWS_MAX}", texts.len())));
    }
    let read = texts.iter().map(|text| text.parse::<Window>()).collect::<Result<Vec<_>, _>>();
    let windows = read.map_err(|error| finding(format!("mirror.windows: {error}")))?;
    Ok((!windows.is_empty()).then_some(Windows(windows)))
}

fn within(key: &'static str, count: u64, most: u64) -> Result<usize, Finding> {
    match usize::try_from(count) {
        Ok(count @ 1..) if count as u64 <= most => Ok(count),
        _ => Err(Finding { key: key.into(), message: format!("{key} is {count}: it must be from 1 to {most}") }),
    }
}

fn products(critical: Vec<ProductName>) -> Result<Vec<ProductName>, Finding> {
    if critical.len() > CRITICAL_MAX {
        let message = format!("mirror.critical has {} products; at most {CRITICAL_MAX}", critical.len());
        return Err(Finding { key: "mirror.critical".into(), message });
    }
    Ok(critical)
}
