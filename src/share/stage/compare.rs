//! Desired against found: what has to happen to each file. Pure.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::found::{Found, FoundFile};
use super::hash::Digests;
use super::manifest::{Manifest, ManifestFile, State};
use super::outcome::Repaired;
use super::tree::{RetiredFile, StageFile, StageTree};
use crate::sys::tree::{Kind, Seen};

/// What has to happen to a desired file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is there.
    Keep,
    /// Its content is there, its date is not.
    Stamp,
    /// It has to be put there.
    Put,
}

/// A desired file.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) file: &'a StageFile,
    pub(super) action: Action,
    /// What the path is now.
    pub(super) seen: Option<Seen>,
    pub(super) is_repair: bool,
}

/// Everything that differs.
#[derive(Debug, Default)]
pub(super) struct Work<'a> {
    pub(super) items: Vec<Item<'a>>,
    /// What stands where a directory or file must be, and so has to go first.
    pub(super) obstacles: Vec<PathBuf>,
    /// What goes after the switch.
    pub(super) remove: Vec<PathBuf>,
    /// What stays until its time.
    pub(super) retired: Vec<(&'a RetiredFile, Seen)>,
    pub(super) repaired: Vec<Repaired>,
}

/// What the last run left, by path.
struct Known<'m> {
    state: Option<State>,
    now: HashMap<&'m Path, &'m ManifestFile>,
    before: HashMap<&'m Path, &'m ManifestFile>,
    retired: HashMap<&'m Path, &'m ManifestFile>,
}

impl<'m> Known<'m> {
    fn new(manifest: Option<&'m Manifest>) -> Self {
        fn by_path<'m>(files: impl Iterator<Item = &'m ManifestFile>) -> HashMap<&'m Path, &'m ManifestFile> {
            files.map(|file| (Path::new(file.path.as_str()), file)).collect()
        }
        let state = manifest.map(|manifest| manifest.state);
        let previous =
            manifest.filter(|_| state == Some(State::Switching)).and_then(|manifest| manifest.previous.as_ref());
        Self {
            state,
            now: by_path(manifest.into_iter().flat_map(|manifest| &manifest.files)),
            before: by_path(previous.into_iter().flat_map(|previous| &previous.files)),
            retired: by_path(
                manifest.into_iter().flat_map(|manifest| manifest.retired.iter().map(|retired| &retired.file)),
            ),
        }
    }

    fn knows(&self, path: &Path) -> bool {
        self.now.contains_key(path) || self.before.contains_key(path) || self.retired.contains_key(path)
    }

    /// Why what is at `path` is not what the last run left there.
    fn surprise(&self, path: &Path, found: Option<&FoundFile>) -> Option<&'static str> {
        let (now, before) = (self.now.get(path), self.before.get(path));
        let Some(found) = found else {
            let expected = if self.state == Some(State::Switching) { before } else { now };
            return expected.map(|_| "was missing");
        };
        let is = |record: &&ManifestFile| found.digests.is_some_and(|digests| digests.blake3 == record.blake3);
        let mut records = [now, before, self.retired.get(path)].into_iter().flatten().peekable();
        (records.peek().is_some() && !records.any(is)).then_some("was changed by somebody else")
    }
}

/// Compares `tree` with what is there.
pub(super) fn compare<'a>(tree: &'a StageTree, found: &Found, manifest: Option<&Manifest>, now: Timestamp) -> Work<'a> {
    let known = Known::new(manifest);
    let mut work = Work::default();
    let clashing = clashing_dates(tree, found);
    for file in &tree.files {
        let path = Path::new(file.path.as_str());
        let there = found.live.get(path);
        let surprise = match found.strange.get(path) {
            Some(kind) => Some(what(*kind)),
            None => known.surprise(path, there),
        };
        if let Some(why) = surprise {
            work.repaired.push(repaired(path, why));
        }
        let action = action(file, there, known.now.get(path).copied(), &clashing);
        work.items.push(Item { file, action, seen: there.map(|there| there.seen), is_repair: surprise.is_some() });
    }
    leave_and_remove(tree, found, &known, now, &mut work);
    work
}

fn action(
    file: &StageFile,
    there: Option<&FoundFile>,
    record: Option<&ManifestFile>,
    clashing: &BTreeSet<u64>,
) -> Action {
    let wanted = Digests { blake3: file.blake3, sha256: file.sha256 };
    let Some(there) = there.filter(|there| there.digests == Some(wanted)) else {
        return Action::Put;
    };
    let seen = &there.seen;
    // Some file systems keep coarser times than whole seconds: what they made of the date is in the manifest.
    let is_dated = seen.mtime_ns == mtime_ns(file)
        || record.is_some_and(|record| record.modified == file.modified && record.mtime_ns == seen.mtime_ns);
    let is_readable = there.is_trusted || seen.mode == 0o644;
    match (is_dated && is_readable, clashing.contains(&seen.inode)) {
        (true, _) => Action::Keep,
        (false, false) => Action::Stamp,
        (false, true) => Action::Put,
    }
}

/// The date of `file` in nanoseconds.
pub(super) fn mtime_ns(file: &StageFile) -> i64 {
    file.modified.as_second().saturating_mul(1_000_000_000)
}

/// Inodes whose date cannot simply be set: several names want different ones, or somebody outside has a name of it.
fn clashing_dates(tree: &StageTree, found: &Found) -> BTreeSet<u64> {
    let mut names: HashMap<u64, (u64, u64, BTreeSet<i64>)> = HashMap::new();
    for file in found.live.values().chain(found.aside.iter().map(|(_, file)| file)) {
        let entry = names.entry(file.seen.inode).or_default();
        (entry.0, entry.1) = (entry.0 + 1, file.seen.links);
    }
    for file in &tree.files {
        if let Some(there) = found.live.get(Path::new(file.path.as_str())) {
            names.entry(there.seen.inode).or_default().2.insert(mtime_ns(file));
        }
    }
    let clashes = |(_, (known, links, dates)): &(u64, (u64, u64, BTreeSet<i64>))| links > known || dates.len() > 1;
    names.into_iter().filter(clashes).map(|(inode, _)| inode).collect()
}

/// Everything that is there and not desired: it stays until its time, stands in the way, or goes.
fn leave_and_remove<'a>(tree: &'a StageTree, found: &Found, known: &Known<'_>, now: Timestamp, work: &mut Work<'a>) {
    let files: BTreeSet<&Path> = tree.files.iter().map(|file| Path::new(file.path.as_str())).collect();
    let mut dirs: BTreeSet<&Path> = BTreeSet::new();
    for path in &files {
        dirs.extend(path.ancestors().skip(1));
    }
    let retired: HashMap<&Path, &'a RetiredFile> =
        tree.retired.iter().map(|retired| (Path::new(retired.file.path.as_str()), retired)).collect();
    work.obstacles.extend(found.dirs.iter().filter(|dir| files.contains(dir.as_path())).cloned());
    for (path, there) in found.live.iter().filter(|(path, _)| !files.contains(path.as_path())) {
        let may_stay = retired.get(path.as_path()).copied();
        if let Some(retired) = may_stay.filter(|retired| retired.until > now) {
            if there.digests.is_some_and(|digests| digests.blake3 == retired.file.blake3) {
                work.retired.push((retired, there.seen));
                continue;
            }
            work.repaired.push(repaired(path, "was changed by somebody else"));
        } else if !known.knows(path) && may_stay.is_none() {
            work.repaired.push(repaired(path, "is not part of the share"));
        }
        let list = if dirs.contains(path.as_path()) { &mut work.obstacles } else { &mut work.remove };
        list.push(path.clone());
    }
    for (path, kind) in found.strange.iter().filter(|(path, _)| !files.contains(path.as_path())) {
        work.repaired.push(repaired(path, what(*kind)));
        let list = if dirs.contains(path.as_path()) { &mut work.obstacles } else { &mut work.remove };
        list.push(path.clone());
    }
}

fn what(kind: Kind) -> &'static str {
    if kind == Kind::Symlink { "was a symbolic link" } else { "was neither a file nor a directory" }
}

fn repaired(path: &Path, why: &str) -> Repaired {
    Repaired { path: path.display().to_string(), why: why.to_owned() }
}

impl Work<'_> {
    /// Whether anything that readers see has to change.
    pub(super) fn is_any(&self) -> bool {
        !self.obstacles.is_empty()
            || !self.remove.is_empty()
            || self.items.iter().any(|item| item.action != Action::Keep)
    }
}
