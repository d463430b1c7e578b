//! One run, from the look at the directory to the settled manifest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;

use super::clear::{self, Cleared};
use super::compare::{Action, Work, compare, mtime_ns};
use super::error::Context;
use super::found::{Found, Trust};
use super::home::{Home, check_tree};
use super::manifest::{self, Manifest, ManifestFile, ManifestRetired, Previous, State};
use super::publish::Publisher;
use super::source::Sources;
use super::staging::{Staging, is_as_recorded};
use super::tree::StageTree;
use super::units::{Abilities, Unit, units};
use super::write::Writer;
use super::{Bodies, Progress, StageError, StageOptions, Staged};
use crate::sys::fault;
use crate::sys::tree::{Root, Seen};

/// What a run knows once it has looked.
struct Run<'a> {
    tree: &'a StageTree,
    options: &'a StageOptions,
    now: Timestamp,
    context: Context<'a>,
    root: &'a Root,
    old: Option<&'a Manifest>,
    found: &'a Found,
    work: &'a Work<'a>,
}

/// Everything prepared, nothing switched yet.
struct Ready {
    staging: Staging,
    can: Abilities,
    units: Vec<Unit>,
    staged: Vec<Option<PathBuf>>,
    previous: Option<Previous>,
    has_gathered: bool,
}

pub(super) fn stage(
    tree: &StageTree,
    dir: &Path,
    bodies: &dyn Bodies,
    options: &StageOptions,
    now: Timestamp,
    progress: &mut dyn FnMut(Progress),
) -> Result<Staged, StageError> {
    let started = Instant::now();
    let context = Context { share: tree.share.as_str(), dir };
    check_tree(tree, &context)?;
    let (home, _lock) = Home::take(tree, &context, options)?;
    let (root, old) = (&home.root, home.manifest.as_ref());
    let trust = Trust::new(old, options.rehash, tree.files.iter().map(|file| file.size));
    let found = Found::scan(root, &context, &trust, old.map(|old| old.state))?;
    let work = compare(tree, &found, old, now);
    let run = Run { tree, options, now, context, root, old, found: &found, work: &work };
    let mut staged = run.outcome();
    if work.is_any() {
        run.switch(bodies, progress, &mut staged)?;
    } else {
        run.settle_unchanged()?;
    }
    staged.took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(staged)
}

impl Run<'_> {
    fn outcome(&self) -> Staged {
        Staged {
            share: self.tree.share.clone(),
            switch: self.tree.switch,
            is_pending: None,
            written_files: 0,
            written_bytes: 0,
            tree_files: self.tree.files.len() as u64,
            tree_bytes: self.tree.bytes(),
            reused_files: 0,
            removed_files: 0,
            repaired: self.work.repaired.clone(),
            requeued: Vec::new(),
            took_ms: 0,
            switch_us: 0,
        }
    }

    fn is_interrupted(&self) -> bool {
        self.old.is_some_and(|old| old.state == State::Switching)
    }

    /// Nothing differs: at most the manifest does not say so yet.
    fn settle_unchanged(&self) -> Result<(), StageError> {
        clear::tidy(self.root, &self.found.leftovers, self.options.keep_previous);
        clear::remove_empty_dirs(self.root, self.work, self.found);
        let mut new = self.manifest(State::Settled, &[], self.old.and_then(|old| old.previous.clone()));
        if let Some(old) = self.old {
            new.staged_at = old.staged_at;
            if new == *old {
                return Ok(());
            }
            new.staged_at = self.now;
        }
        manifest::write(self.root, &new).map_err(self.context.at(&manifest::path(), "written"))
    }

    fn switch(
        &self,
        bodies: &dyn Bodies,
        progress: &mut dyn FnMut(Progress),
        staged: &mut Staged,
    ) -> Result<(), StageError> {
        if !self.is_interrupted() {
            // Nothing in them is known to be whole, and they take room.
            clear::tidy(self.root, &self.found.leftovers, true);
        }
        let staging = Staging::create(self.root, &self.context)?;
        let path = staging.path.clone();
        let announced = self.prepare(staging, bodies, progress, staged).and_then(|ready| {
            fault::point("share.stage-written");
            let manifest = self.manifest(State::Switching, &ready.staged, ready.previous.clone());
            manifest::write(self.root, &manifest).map_err(self.context.at(&manifest::path(), "written"))?;
            Ok((ready, manifest))
        });
        let (ready, manifest) = announced.inspect_err(|_| {
            // Nothing was published; what stays behind all the same, the next run removes.
            let _ = self.root.remove_all(&path);
        })?;
        fault::point("share.stage-switching");
        progress(Progress::Publishing);
        self.publish(&ready, manifest, staged)
    }

    fn prepare(
        &self,
        staging: Staging,
        bodies: &dyn Bodies,
        progress: &mut dyn FnMut(Progress),
        staged: &mut Staged,
    ) -> Result<Ready, StageError> {
        let can = staging.probe(self.root, &self.context)?;
        let units = units(self.work, self.found, self.old, can);
        let sources = Sources::new(self.found);
        let (previous, gathers) = self.before();
        let (files, bytes) = self.to_write(&sources, can);
        let copied =
            if can.links || !gathers { 0 } else { previous.iter().flat_map(|p| &p.files).map(|f| f.size).sum() };
        let need_bytes = bytes + copied;
        let free_bytes = self.root.free_bytes().map_err(self.context.at(Path::new(""), "measured"))?;
        if need_bytes > free_bytes {
            return Err(self.context.full(need_bytes));
        }
        progress(Progress::Found { files, bytes_to_write: bytes });
        let mut writer = Writer {
            root: self.root,
            context: self.context,
            bodies,
            progress,
            sources,
            has_links: can.links,
            written_files: 0,
            written_bytes: 0,
            reused_files: 0,
            unsynced: BTreeSet::new(),
        };
        let paths = staging.fill(&mut writer, &units, self.work)?;
        let has_gathered = match &previous {
            Some(previous) if gathers => {
                staging.gather_previous(&mut writer, previous, self.found)?;
                true
            }
            _ => false,
        };
        (staged.written_files, staged.written_bytes) = (writer.written_files, writer.written_bytes);
        staged.reused_files = writer.reused_files;
        Ok(Ready { staging, can, units, staged: paths, previous, has_gathered })
    }

    /// What has to be written because the directory does not have it.
    fn to_write(&self, sources: &Sources, can: Abilities) -> (u64, u64) {
        let puts = self.work.items.iter().filter(|item| item.action == Action::Put);
        let writes = puts.filter(|item| !can.links || !sources.has(item.file));
        writes.fold((0, 0), |(files, bytes), item| (files + 1, bytes + item.file.size))
    }

    /// The tree that is being replaced, and whether it has to be gathered now.
    ///
    /// A run that only repairs replaces none. One that goes on after an interruption replaces the tree that was there
    /// before that; it was gathered then, unless nothing of the new tree was published yet.
    fn before(&self) -> (Option<Previous>, bool) {
        let Some(old) = self.old else {
            return (None, false);
        };
        if old.state == State::Switching {
            let is_untouched = old
                .previous
                .as_ref()
                .is_some_and(|previous| previous.files.iter().all(|record| is_as_recorded(record, self.found)));
            return (old.previous.clone(), is_untouched && self.options.keep_previous);
        }
        // Without another switch nothing is replaced: what was withheld meanwhile is only gone.
        if old.switch == self.tree.switch {
            return (old.previous.clone(), false);
        }
        let is_same = old.files.len() == self.tree.files.len()
            && old
                .files
                .iter()
                .zip(&self.tree.files)
                .all(|(old, new)| old.path == new.path && old.blake3 == new.blake3);
        if is_same {
            (old.previous.clone(), false)
        } else {
            (Some(old.clone().into_previous()), self.options.keep_previous)
        }
    }

    fn publish(&self, ready: &Ready, mut manifest: Manifest, staged: &mut Staged) -> Result<(), StageError> {
        if ready.has_gathered {
            ready.staging.keep_previous(self.root, &self.context, ready.can)?;
        }
        let mut publisher = Publisher::new(self.root, self.context, self.options.retry_for);
        let switching = Instant::now();
        publisher.publish(&ready.staging, &ready.units, self.work, &ready.staged)?;
        staged.switch_us = u64::try_from(switching.elapsed().as_micros()).unwrap_or(u64::MAX);
        fault::point("share.stage-switched");
        staged.is_pending = publisher.pending;
        if staged.is_pending.is_some() {
            // The manifest goes on saying that a switch is under way; the next run finds everything ready. What may not
            // be shown any more goes all the same: it may be gone because it is withheld.
            let cleared = clear::clear(self.root, &self.context, self.work, self.found, &[])?;
            staged.removed_files = cleared.removed;
            clear::tidy(self.root, &self.found.leftovers, true);
            return Ok(());
        }
        let cleared = clear::clear(self.root, &self.context, self.work, self.found, &ready.units)?;
        staged.removed_files = cleared.removed;
        staged.requeued = cleared.requeued.iter().filter_map(|path| path.to_str()?.parse().ok()).collect();
        clear::remove_empty_dirs(self.root, self.work, self.found);
        self.settle(&mut manifest, &cleared);
        fault::point("share.stage-settling");
        manifest::write(self.root, &manifest).map_err(self.context.at(&manifest::path(), "written"))?;
        let mut leftovers = self.found.leftovers.clone();
        leftovers.push(ready.staging.path.clone());
        clear::tidy(self.root, &leftovers, self.options.keep_previous);
        Ok(())
    }

    /// The manifest before the switch, with what is known of files that are still in the staging directory.
    fn manifest(&self, state: State, staged: &[Option<PathBuf>], previous: Option<Previous>) -> Manifest {
        let mut manifest = Manifest::of(self.tree, state, self.now);
        manifest.files = self
            .work
            .items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let new = staged.get(index).and_then(Option::as_ref).and_then(|path| self.root.look(path).ok()?);
                let mut seen = new.or(item.seen).unwrap_or(NOTHING);
                if item.action == Action::Stamp {
                    seen.mtime_ns = mtime_ns(item.file);
                }
                ManifestFile::new(item.file, seen)
            })
            .collect();
        let retired = self.work.retired.iter();
        manifest.retired = retired
            .map(|(retired, seen)| ManifestRetired {
                file: ManifestFile::new(&retired.file, *seen),
                until: retired.until,
            })
            .collect();
        manifest.previous = previous;
        manifest
    }

    /// Brings the manifest to what the directory is now.
    fn settle(&self, manifest: &mut Manifest, cleared: &Cleared) {
        manifest.state = State::Settled;
        for (file, item) in manifest.files.iter_mut().zip(&self.work.items) {
            if item.action != Action::Keep
                && let Ok(Some(seen)) = self.root.look(Path::new(file.path.as_str()))
            {
                (file.mtime_ns, file.inode) = (seen.mtime_ns, seen.inode);
            }
        }
        let old = self.old.into_iter().flat_map(|old| {
            let retired = old.retired.iter().map(|retired| &retired.file);
            old.files.iter().chain(old.previous.iter().flat_map(|previous| &previous.files)).chain(retired)
        });
        let stuck = old.filter(|file| cleared.requeued.iter().any(|path| path == Path::new(file.path.as_str())));
        let mut paths = BTreeSet::new();
        for file in stuck.filter(|file| paths.insert(file.path.clone())) {
            manifest.retired.push(ManifestRetired { file: file.clone(), until: self.now });
        }
    }
}

/// Of a file that is not there yet.
const NOTHING: Seen = Seen { kind: crate::sys::tree::Kind::File, size: 0, mtime_ns: 0, inode: 0, links: 0, mode: 0 };
