//! Switching names: the only part of a run that readers can notice.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::compare::{Action, Work};
use super::error::Context;
use super::staging::Staging;
use super::tree::HOME;
use super::units::Unit;
use super::{Pending, StageError};
use crate::sys::fault;
use crate::sys::random::random_bytes;
use crate::sys::tree::Root;

const BACK_OFF_FIRST: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_millis(500);

/// Switches units, and waits for names that somebody has open.
pub(super) struct Publisher<'a> {
    root: &'a Root,
    context: Context<'a>,
    deadline: Instant,
    unsynced: BTreeSet<PathBuf>,
    /// The first name that could not be switched.
    pub(super) pending: Option<Pending>,
}

impl<'a> Publisher<'a> {
    /// Waits no longer than `retry_for` for all names together.
    pub(super) fn new(root: &'a Root, context: Context<'a>, retry_for: Duration) -> Self {
        let deadline = Instant::now() + retry_for;
        Self { root, context, deadline, unsynced: BTreeSet::new(), pending: None }
    }

    /// Switches one unit after the other. A unit with a name that stays busy is left where it is.
    pub(super) fn publish(
        &mut self,
        staging: &Staging,
        units: &[Unit],
        work: &Work<'_>,
        staged: &[Option<PathBuf>],
    ) -> Result<(), StageError> {
        for obstacle in &work.obstacles {
            let is_gone = self.patiently(obstacle, |root| set_aside(root, obstacle).map(drop))?;
            self.touched(obstacle);
            if !is_gone {
                return Ok(());
            }
        }
        for (number, unit) in units.iter().enumerate() {
            fault::point("share.stage-between");
            match unit {
                Unit::Whole { dir, is_there, items } => {
                    self.stamp_all(items, work)?;
                    self.switch_whole(dir, *is_there, &staging.unit_path(number))?;
                }
                Unit::Each(items) => self.switch_each(items, work, staged)?,
            }
            // Names that stand alone are in no order among themselves: one sync for a row of them.
            let is_in_a_row = is_lone(unit, work) && units.get(number + 1).is_some_and(|next| is_lone(next, work));
            if !is_in_a_row {
                self.sync()?;
            }
        }
        Ok(())
    }

    fn switch_whole(&mut self, dir: &Path, is_there: bool, new: &Path) -> Result<(), StageError> {
        if is_there {
            self.patiently(dir, |root| root.exchange(new, dir))?;
        } else {
            self.make_parent(dir)?;
            self.patiently(dir, |root| root.rename(new, dir))?;
        }
        self.touched(dir);
        self.touched(new);
        Ok(())
    }

    /// Dates whose content stays are set in place: the files are hard-linked into the new directory.
    fn stamp_all(&mut self, items: &[usize], work: &Work<'_>) -> Result<(), StageError> {
        for item in items.iter().map(|index| &work.items[*index]).filter(|item| item.action == Action::Stamp) {
            let path = Path::new(item.file.path.as_str());
            self.root.stamp(path, item.file.modified.as_second()).map_err(self.context.at(path, "dated"))?;
        }
        Ok(())
    }

    fn switch_each(&mut self, items: &[usize], work: &Work<'_>, staged: &[Option<PathBuf>]) -> Result<(), StageError> {
        for index in items {
            let path = Path::new(work.items[*index].file.path.as_str());
            let Some(new) = &staged[*index] else {
                self.stamp_all(&[*index], work)?;
                continue;
            };
            self.make_parent(path)?;
            let is_switched = self.patiently(path, |root| match root.rename(new, path) {
                Err(error) if is_busy(&error) => replace_aside(root, new, path),
                done => done,
            })?;
            self.touched(path);
            if !is_switched {
                // What follows in this unit names what is not there yet.
                return Ok(());
            }
        }
        Ok(())
    }

    fn make_parent(&mut self, path: &Path) -> Result<(), StageError> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if !parent.as_os_str().is_empty() && self.root.look(parent).is_ok_and(|seen| seen.is_none()) {
            self.root.make_dirs(parent).map_err(self.context.at(parent, "created"))?;
            self.unsynced.extend(parent.ancestors().skip(1).map(Path::to_owned));
        }
        Ok(())
    }

    /// Tries an operation on `path` until it is done or time is up; then the name is pending and the answer `false`.
    fn patiently(&mut self, path: &Path, operation: impl Fn(&Root) -> io::Result<()>) -> Result<bool, StageError> {
        let mut back_off = BACK_OFF_FIRST;
        loop {
            let error = match operation(self.root) {
                Ok(()) => return Ok(true),
                Err(error) if is_busy(&error) => error,
                Err(error) => return Err(self.context.failed(path, "switched", error)),
            };
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let pending = Pending { path: path.display().to_string(), why: error.to_string() };
                self.pending.get_or_insert(pending);
                return Ok(false);
            }
            thread::sleep(back_off.min(left));
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        }
    }

    fn touched(&mut self, path: &Path) {
        self.unsynced.insert(path.parent().unwrap_or(Path::new("")).to_owned());
    }

    fn sync(&mut self) -> Result<(), StageError> {
        for dir in std::mem::take(&mut self.unsynced) {
            self.root.sync_dir(&dir).map_err(self.context.at(&dir, "made durable"))?;
        }
        Ok(())
    }
}

/// Whether this is one name that no other waits for.
fn is_lone(unit: &Unit, work: &Work<'_>) -> bool {
    matches!(unit, Unit::Each(items) if matches!(items[..], [index] if !work.items[index].file.last))
}

/// Whether a name cannot be changed now because somebody has it open, as SMB servers and kernels say it.
pub(super) fn is_busy(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::BUSY | Errno::TXTBSY | Errno::ACCESS | Errno::PERM | Errno::AGAIN)
    )
}

/// Renames what is at `path` away from readers' sight, where it can be removed at leisure.
pub(super) fn set_aside(root: &Root, path: &Path) -> io::Result<PathBuf> {
    let retired = Path::new(HOME).join("retired");
    root.make_dirs(&retired)?;
    let aside = retired.join(format!("{:016x}", u64::from_le_bytes(random_bytes()?)));
    match root.rename(path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(aside),
        done => done.map(|()| aside),
    }
}

/// Puts `new` at `path` where an open file may be renamed but not replaced. If that fails in the middle, the old file
/// gets its name back.
fn replace_aside(root: &Root, new: &Path, path: &Path) -> io::Result<()> {
    let aside = set_aside(root, path)?;
    root.rename(new, path).inspect_err(|_| {
        // If even that fails, the next attempt puts the new file there.
        let _ = root.rename(&aside, path);
    })
}
