//! Checking a staged directory against its own manifest, without a server and without a write.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::StageError;
use super::error::Context;
use super::hash::{Digests, digests_of};
use super::manifest::{self, Manifest, ManifestFile, State};
use super::tree::{HOME, STAGING_PREFIX, StagedRelease};
use crate::model::{LayoutName, ShareName, TargetName};
use crate::sys::tree::{Kind, Root};

/// What a directory is, measured against its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whose directory it is.
    pub share: ShareName,
    /// The layout.
    pub layout: LayoutName,
    /// The journal's sequence number of the switch to this tree.
    pub switch: u64,
    /// When the tree took effect.
    pub at: Timestamp,
    /// When it was staged.
    pub staged_at: Timestamp,
    /// The releases it says it shows.
    pub releases: Vec<StagedRelease>,
    /// Whether a switch is under way, or one was cut off.
    pub state: State,
    /// Whether the directory was staged anew meanwhile, so that the findings may be of both trees: verify again.
    pub is_overtaken: bool,
    /// Files that were read and found as they should be.
    pub good_files: u64,
    /// Bytes of them.
    pub good_bytes: u64,
    /// Files that are not there.
    pub missing: Vec<TargetName>,
    /// Files with other content.
    pub changed: Vec<TargetName>,
    /// What is there and should not be.
    pub extra: Vec<String>,
}

impl Verification {
    /// Whether the directory is exactly the tree of its manifest.
    pub fn is_good(&self) -> bool {
        self.state == State::Settled
            && !self.is_overtaken
            && self.missing.is_empty()
            && self.changed.is_empty()
            && self.extra.is_empty()
    }
}

pub(super) fn verify(dir: &Path) -> Result<Verification, StageError> {
    let context = Context { share: "(unknown)", dir };
    let root = match Root::open(dir) {
        Ok(root) => root,
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(StageError::NotADirectory { share: context.share.to_owned(), path: dir.to_owned() });
        }
        Err(error) => return Err(context.failed(Path::new(""), "opened", error)),
    };
    let read = || {
        manifest::read(&root).map_err(|why| {
            let path = dir.join(manifest::path());
            StageError::UnreadableManifest { share: context.share.to_owned(), path, why }
        })
    };
    let before = read()?.ok_or_else(|| StageError::NoManifest { path: dir.to_owned() })?;
    let mut verification = opening(&before);
    let context = Context { share: before.share.as_str(), dir };
    check_files(&root, &context, &before, &mut verification)?;
    verification.extra = extras(&root, &context, &before)?;
    verification.is_overtaken = read()?.as_ref() != Some(&before);
    Ok(verification)
}

fn opening(manifest: &Manifest) -> Verification {
    Verification {
        share: manifest.share.clone(),
        layout: manifest.layout.clone(),
        switch: manifest.switch,
        at: manifest.at,
        staged_at: manifest.staged_at,
        releases: manifest.releases.clone(),
        state: manifest.state,
        is_overtaken: false,
        good_files: 0,
        good_bytes: 0,
        missing: Vec::new(),
        changed: Vec::new(),
        extra: Vec::new(),
    }
}

fn check_files(
    root: &Root,
    context: &Context<'_>,
    manifest: &Manifest,
    to: &mut Verification,
) -> Result<(), StageError> {
    let files = manifest.files.iter().map(|file| (file, true));
    let retired = manifest.retired.iter().map(|retired| (&retired.file, false));
    for (file, is_wanted) in files.chain(retired) {
        match is_good(root, context, file)? {
            Some(true) => {
                to.good_files += 1;
                to.good_bytes += file.size;
            }
            Some(false) => to.changed.push(file.path.clone()),
            None if is_wanted => to.missing.push(file.path.clone()),
            None => {}
        }
    }
    Ok(())
}

/// Whether a file has its recorded content; `None` where it is not there.
fn is_good(root: &Root, context: &Context<'_>, file: &ManifestFile) -> Result<Option<bool>, StageError> {
    let path = Path::new(file.path.as_str());
    let Some(seen) = root.look(path).map_err(context.at(path, "looked at"))? else {
        return Ok(None);
    };
    if seen.kind != Kind::File || seen.size != file.size {
        return Ok(Some(false));
    }
    let body = match root.open_file(path) {
        Ok(body) => body,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(context.failed(path, "opened", error)),
    };
    let (bytes, digests) = digests_of(body).map_err(context.at(path, "read"))?;
    Ok(Some(bytes == file.size && digests == Digests { blake3: file.blake3, sha256: file.sha256 }))
}

fn extras(root: &Root, context: &Context<'_>, manifest: &Manifest) -> Result<Vec<String>, StageError> {
    let retired = manifest.retired.iter().map(|retired| &retired.file);
    let known: BTreeSet<&Path> =
        manifest.files.iter().chain(retired).map(|file| Path::new(file.path.as_str())).collect();
    let mut extras = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(dir) = waiting.pop() {
        let is_top = dir.as_os_str().is_empty();
        for (name, seen) in root.list(&dir).map_err(context.at(&dir, "listed"))? {
            let is_own = name == HOME || name == "lost+found" || name.to_string_lossy().starts_with(STAGING_PREFIX);
            let path = dir.join(&name);
            if seen.kind == Kind::Directory {
                if !(is_top && is_own) {
                    waiting.push(path);
                }
            } else if !known.contains(path.as_path()) {
                extras.push(path.display().to_string());
            }
        }
    }
    extras.sort();
    Ok(extras)
}
