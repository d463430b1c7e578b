//! What a directory holds now, as far as a run needs to know it.
//!
//! A file is trusted to be what the manifest says while its inode, size and time of last change are those that the
//! manifest has, under whatever name. Any other file is hashed, if its size is one that matters.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::StageError;
use super::error::Context;
use super::hash::{Digests, digests_of};
use super::manifest::{Manifest, ManifestFile, State};
use super::tree::{FILES_MAX, HOME, STAGING_PREFIX};
use crate::sys::tree::{Kind, Root, Seen};

/// Most names looked at in a directory: twice a full tree, its predecessor and leftovers.
const NAMES_MAX: usize = 8 * FILES_MAX;

/// One file that is there.
#[derive(Debug, Clone)]
pub(super) struct FoundFile {
    pub(super) seen: Seen,
    /// Unknown where the size already says that the content is nothing we want or know.
    pub(super) digests: Option<Digests>,
    /// Whether the digests come from the manifest.
    pub(super) is_trusted: bool,
}

/// Everything that is there.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The files that readers see.
    pub(super) live: BTreeMap<PathBuf, FoundFile>,
    /// The directories that readers see.
    pub(super) dirs: BTreeSet<PathBuf>,
    /// What is neither: links, pipes, names that no artifact may have.
    pub(super) strange: BTreeMap<PathBuf, Kind>,
    /// Files of the previous tree and of an interrupted run, whose content may be used again.
    pub(super) aside: Vec<(PathBuf, FoundFile)>,
    /// Staging directories of runs that did not end.
    pub(super) leftovers: Vec<PathBuf>,
}

/// What makes a file worth hashing, or spares it.
pub(super) struct Trust {
    known: HashMap<(u64, u64, i64), Option<Digests>>,
    sizes: HashSet<u64>,
}

impl Trust {
    /// Trusts what `manifest` says of inodes, or nothing for `rehash`; `sizes` are those of files that are wanted.
    pub(super) fn new(manifest: Option<&Manifest>, rehash: bool, sizes: impl Iterator<Item = u64>) -> Self {
        let mut trust = Self { known: HashMap::new(), sizes: sizes.collect() };
        let Some(manifest) = manifest else {
            return trust;
        };
        let retired = manifest.retired.iter().map(|retired| &retired.file);
        let previous = manifest.previous.iter().flat_map(|previous| &previous.files);
        for record in manifest.files.iter().chain(retired).chain(previous) {
            trust.sizes.insert(record.size);
            if !rehash {
                trust.add(record);
            }
        }
        trust
    }

    fn add(&mut self, record: &ManifestFile) {
        let digests = Digests { blake3: record.blake3, sha256: record.sha256 };
        let key = (record.inode, record.size, record.mtime_ns);
        let known = self.known.entry(key).or_insert(Some(digests));
        // An inode's number that was used again: neither can be believed.
        if *known != Some(digests) {
            *known = None;
        }
    }

    fn of(&self, seen: &Seen) -> Option<Digests> {
        self.known.get(&(seen.inode, seen.size, seen.mtime_ns)).copied().flatten()
    }
}

impl Found {
    /// Looks at everything under `root`.
    pub(super) fn scan(
        root: &Root,
        context: &Context<'_>,
        trust: &Trust,
        state: Option<State>,
    ) -> Result<Self, StageError> {
        let mut found = Found::default();
        let mut waiting = vec![PathBuf::new()];
        let mut names = 0;
        while let Some(dir) = waiting.pop() {
            for (name, seen) in root.list(&dir).map_err(context.at(&dir, "listed"))? {
                names += 1;
                if names > NAMES_MAX {
                    return Err(StageError::TooManyFiles { share: context.share.to_owned(), files: names });
                }
                let path = dir.join(&name);
                let is_top = dir.as_os_str().is_empty();
                let is_staging = name.to_string_lossy().starts_with(STAGING_PREFIX);
                match seen.kind {
                    // A disk's own directory in its top one.
                    Kind::Directory if is_top && (name == HOME || name == "lost+found") => {}
                    Kind::Directory if is_top && is_staging => found.leftovers.push(path),
                    Kind::Directory => {
                        found.dirs.insert(path.clone());
                        waiting.push(path);
                    }
                    Kind::File => {
                        let file = found_file(root, context, &path, seen, trust)?;
                        found.live.insert(path, file);
                    }
                    Kind::Symlink | Kind::Other => {
                        found.strange.insert(path, seen.kind);
                    }
                }
            }
        }
        found.scan_aside(root, context, trust, state)?;
        Ok(found)
    }

    /// The previous tree, and what an interrupted run had ready.
    fn scan_aside(
        &mut self,
        root: &Root,
        context: &Context<'_>,
        trust: &Trust,
        state: Option<State>,
    ) -> Result<(), StageError> {
        let mut waiting = vec![Path::new(HOME).join("previous")];
        if state == Some(State::Switching) {
            waiting.extend(self.leftovers.iter().cloned());
        }
        while let Some(dir) = waiting.pop() {
            if root.look(&dir).map_err(context.at(&dir, "looked at"))?.is_none_or(|seen| seen.kind != Kind::Directory) {
                continue;
            }
            for (name, seen) in root.list(&dir).map_err(context.at(&dir, "listed"))? {
                let path = dir.join(name);
                match seen.kind {
                    Kind::Directory => waiting.push(path),
                    // What an interrupted run was still writing is not worth a look.
                    Kind::File if path.starts_with(HOME) || trust.of(&seen).is_some() => {
                        let file = found_file(root, context, &path, seen, trust)?;
                        self.aside.push((path, file));
                    }
                    _ => {}
                }
                if self.aside.len() > NAMES_MAX {
                    return Err(StageError::TooManyFiles { share: context.share.to_owned(), files: NAMES_MAX });
                }
            }
        }
        Ok(())
    }
}

fn found_file(
    root: &Root,
    context: &Context<'_>,
    path: &Path,
    seen: Seen,
    trust: &Trust,
) -> Result<FoundFile, StageError> {
    if let Some(digests) = trust.of(&seen) {
        return Ok(FoundFile { seen, digests: Some(digests), is_trusted: true });
    }
    let mut digests = None;
    if trust.sizes.contains(&seen.size) {
        let file = root.open_file(path).map_err(context.at(path, "opened"))?;
        let (bytes, of_content) = digests_of(file).map_err(context.at(path, "read"))?;
        // A file that grows while it is read is no file of ours.
        digests = (bytes == seen.size).then_some(of_content);
    }
    Ok(FoundFile { seen, digests, is_trusted: false })
}
