//! What a stager is to write.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Blake3Digest, LayoutName, Platform, ProductName, Sha256Digest, ShareName, TargetName, Version};

/// A share's tree at one switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageTree {
    /// The share.
    pub share: ShareName,
    /// How it is arranged.
    pub layout: LayoutName,
    /// The number of the switch.
    pub switch: u64,
    /// When it takes effect: a whole second.
    pub at: Timestamp,
    /// What is shown.
    pub releases: Vec<StagedRelease>,
    /// The files, in order of path.
    pub files: Vec<StageFile>,
    /// Files that are gone and may stay for a while.
    pub retired: Vec<RetiredStageFile>,
}

/// A release in a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagedRelease {
    /// Its product.
    pub product: ProductName,
    /// Its version.
    pub version: Version,
    /// Its sequence.
    pub sequence: u64,
    /// The platform, where only its artifacts are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// A file of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageFile {
    /// Its path.
    pub path: TargetName,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub blake3: Blake3Digest,
    /// Its other digest.
    pub sha256: Sha256Digest,
    /// Its time: a whole second.
    pub modified: Timestamp,
    /// What it switches with; empty where it stands alone.
    pub set: String,
    /// Whether it is switched after the others of its set.
    pub last: bool,
}

/// A file that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetiredStageFile {
    /// The file.
    pub file: StageFile,
    /// Until when it may stay.
    pub until: Timestamp,
}
