//! The manifest in a staged directory: what it holds, so that anybody can check it, and what the next run may trust.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::tree::{HOME, StageFile, StageTree, StagedRelease};
use crate::model::{Blake3Digest, LayoutName, Sha256Digest, ShareName, TargetName};
use crate::sys::random::random_bytes;
use crate::sys::tree::{Root, Seen};

/// The one format there is.
const FORMAT: u32 = 1;
/// 200,000 files, twice, at under 1 KiB a line.
const BYTES_MAX: u64 = 512 * 1024 * 1024;

/// `.ringfence/manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format's number, 1.
    pub format: u32,
    /// Whose directory it is.
    pub share: ShareName,
    /// The layout of the tree.
    pub layout: LayoutName,
    /// The journal's sequence number of the switch to this tree.
    pub switch: u64,
    /// The whole second at which the tree took effect.
    pub at: Timestamp,
    /// When it was staged here.
    pub staged_at: Timestamp,
    /// Whether the directory is this tree, or is just becoming it.
    pub state: State,
    /// The releases shown.
    pub releases: Vec<StagedRelease>,
    /// The files of the tree.
    pub files: Vec<ManifestFile>,
    /// Files of earlier trees that may still be there.
    pub retired: Vec<ManifestRetired>,
    /// The tree before, while switching the one that is being replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// Whether a reader may count on the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The files are those of the manifest. Read the same manifest before and after to have read one version.
    Settled,
    /// A switch is going on or was cut off.
    Switching,
}

/// One file with what the file system said of it when we last saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields of StageFile, which documents them")]
pub struct ManifestFile {
    pub path: TargetName,
    pub size: u64,
    pub blake3: Blake3Digest,
    pub sha256: Sha256Digest,
    pub modified: Timestamp,
    pub set: String,
    pub last: bool,
    /// The file's time of last change as the file system keeps it.
    pub mtime_ns: i64,
    /// The inode's number.
    pub inode: u64,
}

/// A retired file and until when it may stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "as in RetiredFile")]
pub struct ManifestRetired {
    pub file: ManifestFile,
    pub until: Timestamp,
}

/// The tree before this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "as in Manifest")]
pub struct Previous {
    pub switch: u64,
    pub at: Timestamp,
    pub releases: Vec<StagedRelease>,
    pub files: Vec<ManifestFile>,
}

impl ManifestFile {
    pub(super) fn new(file: &StageFile, seen: Seen) -> Self {
        Self {
            path: file.path.clone(),
            size: file.size,
            blake3: file.blake3,
            sha256: file.sha256,
            modified: file.modified,
            set: file.set.clone(),
            last: file.last,
            mtime_ns: seen.mtime_ns,
            inode: seen.inode,
        }
    }
}

impl Manifest {
    /// The manifest of `tree` in a state, without what only the directory knows.
    pub(super) fn of(tree: &StageTree, state: State, staged_at: Timestamp) -> Self {
        Self {
            format: FORMAT,
            share: tree.share.clone(),
            layout: tree.layout.clone(),
            switch: tree.switch,
            at: tree.at,
            staged_at,
            state,
            releases: tree.releases.clone(),
            files: Vec::new(),
            retired: Vec::new(),
            previous: None,
        }
    }

    /// This tree as the one before another.
    pub(super) fn into_previous(self) -> Previous {
        Previous { switch: self.switch, at: self.at, releases: self.releases, files: self.files }
    }
}

/// Where the manifest lies in a directory.
pub(super) fn path() -> PathBuf {
    Path::new(HOME).join("manifest.json")
}

/// Reads the manifest: `None` where there is none, a clause that says why where it cannot be read.
pub(super) fn read(root: &Root) -> Result<Option<Manifest>, String> {
    if root.look(&path()).map_err(|error| error.to_string())?.is_none() {
        return Ok(None);
    }
    let file = root.open_file(&path()).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("it has more than {BYTES_MAX} bytes"));
    }
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| format!("it is damaged ({error})"))?;
    if manifest.format != FORMAT {
        return Err(format!("its format is {}, this version reads {FORMAT}", manifest.format));
    }
    Ok(Some(manifest))
}

/// Puts the manifest in its place, durably and whole.
pub(super) fn write(root: &Root, manifest: &Manifest) -> std::io::Result<()> {
    let mut bytes = serde_json::to_vec(manifest).map_err(std::io::Error::other)?;
    bytes.push(b'\n');
    let temporary = Path::new(HOME).join(format!("manifest.{:016x}.tmp", u64::from_le_bytes(random_bytes()?)));
    root.write_atomically(&path(), &temporary, &bytes)
}
