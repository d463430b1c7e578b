//! The staging directory of one run: what the file system can do, and everything ready before the first switch.

use std::path::{Path, PathBuf};

use super::StageError;
use super::compare::{Action, Work};
use super::error::Context;
use super::found::Found;
use super::home::not_writable;
use super::manifest::{ManifestFile, Previous};
use super::tree::{STAGING_PREFIX, StageFile};
use super::units::{Abilities, Unit};
use super::write::Writer;
use crate::sys::random::random_bytes;
use crate::sys::tree::{Kind, Root};

/// A directory beside what readers see, on the same file system.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) path: PathBuf,
}

impl Staging {
    pub(super) fn create(root: &Root, context: &Context<'_>) -> Result<Self, StageError> {
        let bytes = random_bytes().map_err(context.at(Path::new(""), "prepared"))?;
        let path = PathBuf::from(format!("{STAGING_PREFIX}{:016x}", u64::from_le_bytes(bytes)));
        root.make_dir(&path).map_err(|error| not_writable(context, error))?;
        Ok(Self { path })
    }

    /// Tries out what the file system can do.
    pub(super) fn probe(&self, root: &Root, context: &Context<'_>) -> Result<Abilities, StageError> {
        let [first, second, third] = ["probe-1", "probe-2", "probe-3"].map(|name| self.path.join(name));
        root.make_dir(&first).map_err(|error| not_writable(context, error))?;
        let file = first.join("file");
        drop(root.create_file(&file).map_err(|error| not_writable(context, error))?);
        root.rename(&first, &second).map_err(|source| StageError::NoRename {
            share: context.share.to_owned(),
            path: context.dir.to_owned(),
            source,
        })?;
        let links = root.link(&second.join("file"), &second.join("link")).is_ok();
        root.make_dir(&third).map_err(|error| not_writable(context, error))?;
        let exchange = root.exchange(&second, &third).is_ok();
        // What cannot be removed here goes with the whole staging directory.
        let _ = root.remove_all(&second);
        let _ = root.remove_all(&third);
        Ok(Abilities { links, exchange })
    }

    /// Where a whole directory is prepared.
    pub(super) fn unit_path(&self, number: usize) -> PathBuf {
        self.path.join(format!("u{number}"))
    }

    /// Where the previous tree is gathered.
    pub(super) fn previous_path(&self) -> PathBuf {
        self.path.join("previous")
    }

    /// Puts everything that units need into place, and makes it durable. Gives where each item's new file lies.
    pub(super) fn fill(
        &self,
        writer: &mut Writer<'_>,
        units: &[Unit],
        work: &Work<'_>,
    ) -> Result<Vec<Option<PathBuf>>, StageError> {
        let mut staged: Vec<Option<PathBuf>> = vec![None; work.items.len()];
        for (number, unit) in units.iter().enumerate() {
            match unit {
                Unit::Each(items) => {
                    for index in items.iter().filter(|index| work.items[**index].action == Action::Put) {
                        let to = self.path.join(format!("f{index}"));
                        writer.put(work.items[*index].file, &to)?;
                        staged[*index] = Some(to);
                    }
                }
                Unit::Whole { dir, items, .. } => {
                    for index in items {
                        let item = &work.items[*index];
                        let live = Path::new(item.file.path.as_str());
                        let to = self.unit_path(number).join(live.strip_prefix(dir).unwrap_or(live));
                        if item.action == Action::Put || !writer.double(live, item.file, &to)? {
                            writer.put(item.file, &to)?;
                        }
                        staged[*index] = Some(to);
                    }
                    self.carry_retired(writer, work, dir, &self.unit_path(number))?;
                }
            }
        }
        writer.sync_names()?;
        Ok(staged)
    }

    /// What may still be read in a directory that is switched as a whole comes along.
    fn carry_retired(&self, writer: &mut Writer<'_>, work: &Work<'_>, dir: &Path, to: &Path) -> Result<(), StageError> {
        for (retired, _) in &work.retired {
            let live = Path::new(retired.file.path.as_str());
            if let Ok(below) = live.strip_prefix(dir) {
                writer.double(live, &retired.file, &to.join(below))?;
            }
        }
        Ok(())
    }

    /// Gathers the tree that is being replaced, as it lies there.
    pub(super) fn gather_previous(
        &self,
        writer: &mut Writer<'_>,
        before: &Previous,
        found: &Found,
    ) -> Result<(), StageError> {
        let to = self.previous_path();
        writer.root.make_dir(&to).map_err(writer.context.at(&to, "created"))?;
        for record in before.files.iter().filter(|record| is_as_recorded(record, found)) {
            let file = stage_file(record);
            writer.double(Path::new(record.path.as_str()), &file, &to.join(record.path.as_str()))?;
        }
        writer.sync_names()
    }

    /// Puts the gathered tree where the previous one is kept. What was there ends in the staging directory.
    pub(super) fn keep_previous(&self, root: &Root, context: &Context<'_>, can: Abilities) -> Result<(), StageError> {
        let (new, kept) = (self.previous_path(), Path::new(super::tree::HOME).join("previous"));
        let put = || {
            match root.look(&kept)? {
                Some(seen) if can.exchange && seen.kind == Kind::Directory => root.exchange(&new, &kept)?,
                Some(_) => {
                    root.rename(&kept, &self.path.join("replaced"))?;
                    root.rename(&new, &kept)?;
                }
                None => root.rename(&new, &kept)?,
            }
            root.sync_dir(Path::new(super::tree::HOME))
        };
        put().map_err(context.at(&kept, "replaced"))
    }
}

/// Whether a recorded file is there with the content it had.
pub(super) fn is_as_recorded(record: &ManifestFile, found: &Found) -> bool {
    let there = found.live.get(Path::new(record.path.as_str()));
    there.and_then(|there| there.digests).is_some_and(|digests| digests.blake3 == record.blake3)
}

fn stage_file(record: &ManifestFile) -> StageFile {
    StageFile {
        path: record.path.clone(),
        size: record.size,
        blake3: record.blake3,
        sha256: record.sha256,
        modified: record.modified,
        set: record.set.clone(),
        last: record.last,
    }
}
