//! The server's answers about shares, as far as they are put into words.

use jiff::Timestamp;
use serde::Deserialize;

use crate::share::TargetState;

#[derive(Debug, Deserialize)]
pub(super) struct Shares {
    pub(super) shares: Vec<Share>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Share {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) layout: String,
    #[serde(default)]
    pub(super) products: Vec<String>,
    #[serde(default)]
    pub(super) platforms: Vec<String>,
    #[serde(default)]
    pub(super) open_to: Vec<String>,
    #[serde(default)]
    pub(super) listing: bool,
    #[serde(default)]
    pub(super) switch: Option<u64>,
    #[serde(default)]
    pub(super) at: Option<Timestamp>,
    #[serde(default)]
    pub(super) releases: Vec<Shown>,
    #[serde(default)]
    pub(super) files: u64,
    #[serde(default)]
    pub(super) bytes: u64,
    #[serde(default)]
    pub(super) problems: Vec<String>,
    #[serde(default)]
    pub(super) withheld_files: u64,
    #[serde(default)]
    pub(super) age_s: Option<u64>,
    #[serde(default)]
    pub(super) staleness: String,
    #[serde(default)]
    pub(super) targets: Vec<Target>,
    /// Only of one share.
    #[serde(default)]
    pub(super) paths: Vec<SharedPath>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Shown {
    pub(super) product: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) platform: Option<String>,
    pub(super) since: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    pub(super) target: String,
    pub(super) switch: u64,
    pub(super) staged_at: Timestamp,
    pub(super) state: TargetState,
    #[serde(default)]
    pub(super) why: Option<String>,
    #[serde(default)]
    pub(super) lag_s: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct SharedPath {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) modified: Timestamp,
}
