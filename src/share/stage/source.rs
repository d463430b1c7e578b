//! Content that the directory already has, by digest: what can be linked instead of written. Pure.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::compare::mtime_ns;
use super::found::Found;
use super::hash::Digests;
use super::tree::StageFile;

/// Names of files that hold a content.
#[derive(Debug, Default)]
pub(super) struct Sources {
    by_digests: HashMap<Digests, Vec<Source>>,
    /// Inodes that readers see, or that have names we do not know of: their date is not ours to set.
    fixed: BTreeSet<u64>,
    /// The date an inode has been given for this run.
    given: HashMap<u64, i64>,
}

#[derive(Debug, Clone)]
struct Source {
    path: PathBuf,
    inode: u64,
    mtime_ns: i64,
}

/// How to get a content from inside the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inside {
    /// Another name for this file will do.
    Link(PathBuf),
    /// The same, after which its date is to be set.
    LinkAndStamp(PathBuf),
    /// Its bytes will do, in a file of their own.
    Copy(PathBuf),
}

impl Sources {
    pub(super) fn new(found: &Found) -> Self {
        let mut sources = Self::default();
        let mut names: HashMap<u64, (u64, u64)> = HashMap::new();
        let aside = found.aside.iter().map(|(path, file)| (path.as_path(), file));
        let live = found.live.iter().map(|(path, file)| (path.as_path(), file));
        for (path, file) in aside.chain(live) {
            let count = names.entry(file.seen.inode).or_default();
            *count = (count.0 + 1, file.seen.links);
            if let Some(digests) = file.digests {
                let source = Source { path: path.to_owned(), inode: file.seen.inode, mtime_ns: file.seen.mtime_ns };
                sources.by_digests.entry(digests).or_default().push(source);
            }
        }
        let seen = found.live.values().map(|file| file.seen.inode);
        let shared = names.iter().filter(|(_, (known, links))| links > known).map(|(inode, _)| *inode);
        sources.fixed = seen.chain(shared).collect();
        sources
    }

    /// Whether the content of `file` is anywhere.
    pub(super) fn has(&self, file: &StageFile) -> bool {
        self.by_digests.contains_key(&digests(file))
    }

    /// Whether the content of `file` is there under a name that is not `file`'s own.
    pub(super) fn has_elsewhere(&self, file: &StageFile) -> bool {
        let sources = self.by_digests.get(&digests(file));
        sources.is_some_and(|sources| sources.iter().any(|source| source.path != Path::new(file.path.as_str())))
    }

    /// The cheapest way to `file` from inside the directory. A date that is to be set counts as set from now on.
    pub(super) fn take(&mut self, file: &StageFile) -> Option<Inside> {
        let sources = self.by_digests.get(&digests(file))?;
        let date = |source: &Source| *self.given.get(&source.inode).unwrap_or(&source.mtime_ns);
        if let Some(source) = sources.iter().find(|source| date(source) == mtime_ns(file)) {
            return Some(Inside::Link(source.path.clone()));
        }
        let free = |source: &&Source| !self.fixed.contains(&source.inode) && !self.given.contains_key(&source.inode);
        if let Some(source) = sources.iter().find(free) {
            self.given.insert(source.inode, mtime_ns(file));
            return Some(Inside::LinkAndStamp(source.path.clone()));
        }
        sources.first().map(|source| Inside::Copy(source.path.clone()))
    }
}

fn digests(file: &StageFile) -> Digests {
    Digests { blake3: file.blake3, sha256: file.sha256 }
}
