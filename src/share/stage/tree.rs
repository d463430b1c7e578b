//! The tree that a directory is to hold: what a layout has planned, with everything the stager must know of each file.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Blake3Digest, LayoutName, Platform, ProductName, Sha256Digest, ShareName, TargetName, Version};

/// Most files in a tree.
pub const FILES_MAX: usize = 200_000;
/// Longest path of a file, the directory's own path included: clients with a limit of 260 still prefix a server.
pub const PATH_CHARS_MAX: usize = 240;
/// Where the stager keeps its own things, directly under the directory.
pub(super) const HOME: &str = ".ringfence";
/// How the names of directories begin in which a tree is prepared.
pub(super) const STAGING_PREFIX: &str = ".staging-";

/// The desired content of one share's directory at one switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageTree {
    /// Whose tree it is.
    pub share: ShareName,
    /// The layout that planned it.
    pub layout: LayoutName,
    /// The journal's sequence number of the switch to this tree.
    pub switch: u64,
    /// The whole second at which it takes effect.
    pub at: Timestamp,
    /// The releases it shows.
    pub releases: Vec<StagedRelease>,
    /// Its files, sorted by path, each path once.
    pub files: Vec<StageFile>,
    /// Files that are no longer part of it but may stay visible for a while.
    pub retired: Vec<RetiredFile>,
}

/// A release that a tree shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagedRelease {
    /// The product.
    pub product: ProductName,
    /// The version.
    pub version: Version,
    /// The release's sequence number.
    pub sequence: u64,
    /// The platform, where the share shows another version for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// One file of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageFile {
    /// Where it lies in the directory.
    pub path: TargetName,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of the bytes.
    pub blake3: Blake3Digest,
    /// SHA-256 of the bytes.
    pub sha256: Sha256Digest,
    /// The whole second at which this content became active at this path; the file's time of last change.
    pub modified: Timestamp,
    /// Files with the same set belong together and switch together; empty for a file that stands alone.
    pub set: String,
    /// Whether it is an index that names the others of its set, and so switches after them.
    pub last: bool,
}

/// A file that clients may still be reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetiredFile {
    /// The file as it was.
    pub file: StageFile,
    /// It goes away at the first run at or after this moment.
    pub until: Timestamp,
}

/// What is wrong with a tree itself, whatever the directory: the path and a clause that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TreeFault {
    TooMany(usize),
    Order(TargetName),
    Reserved(TargetName),
    Collision(TargetName, String),
}

impl StageTree {
    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The first thing that makes this tree impossible to stage anywhere.
    pub(super) fn fault(&self) -> Option<TreeFault> {
        if self.files.len() + self.retired.len() > FILES_MAX {
            return Some(TreeFault::TooMany(self.files.len() + self.retired.len()));
        }
        if let Some(pair) = self.files.windows(2).find(|pair| pair[0].path >= pair[1].path) {
            return Some(TreeFault::Order(pair[1].path.clone()));
        }
        let mut spellings = Spellings::default();
        let all = self.files.iter().chain(self.retired.iter().map(|retired| &retired.file));
        all.map(|file| &file.path).find_map(|path| spellings.add(path))
    }
}

/// How each name and each directory on the way to one is spelled, by its folded spelling.
#[derive(Default)]
struct Spellings {
    by_fold: HashMap<String, (String, bool)>,
}

impl Spellings {
    fn add(&mut self, path: &TargetName) -> Option<TreeFault> {
        let (text, fold) = (path.as_str(), path.case_fold());
        if fold.starts_with(STAGING_PREFIX) || fold == HOME || fold.starts_with(".ringfence/") {
            return Some(TreeFault::Reserved(path.clone()));
        }
        let ends = text.match_indices('/').map(|(at, _)| at).chain([text.len()]);
        for end in ends {
            let is_file = end == text.len();
            let known = self.by_fold.get(&fold[..end]);
            if let Some((spelling, was_file)) = known {
                // A retired file may be spelled as a file of the tree: the tree's counts.
                if spelling != &text[..end] || *was_file != is_file {
                    return Some(TreeFault::Collision(path.clone(), spelling.clone()));
                }
            } else {
                self.by_fold.insert(fold[..end].to_owned(), (text[..end].to_owned(), is_file));
            }
        }
        None
    }
}
