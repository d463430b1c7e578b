//! Opening the sled database that finds everything quickly, and setting it aside when it is broken.
//!
//! sled 0.34.7 may return an error, panic, or open and panic later when its files are damaged. Since nothing in it is
//! truth, the answer is always the same: move the directory away, start an empty one, and let the caller rebuild.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::StoreError;
use crate::sys::durable;

/// Broken index directories kept for whoever wants to look at them; older ones are removed.
const BROKEN_KEPT_MAX: usize = 2;

/// sled gives its lock back from a thread of its own, a moment after the last handle is dropped; an opener waits this
/// long for it.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(3);

/// The open index. Cheap to clone; all clones are one database.
#[derive(Debug, Clone)]
pub struct Index {
    db: sled::Db,
}

/// What [`Index::open`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexOrigin {
    /// An index that reads without an error from end to end. It may still be behind the journal: its writes are not
    /// fsynced.
    Existing,
    /// Nothing; it is empty now.
    New,
    /// An index that could not be read; it is empty now.
    SetAside {
        /// Where the broken one is.
        moved_to: PathBuf,
        /// What was wrong, for the log.
        why: String,
    },
}

/// Why a database did not open.
enum Refusal {
    /// Its content is at fault: set it aside.
    Broken(String),
    /// Its surroundings are: leave it alone.
    Error(StoreError),
}

impl Index {
    /// Opens the index in `dir`, which this process must have locked (the lock of the data directory covers it), and
    /// reads it once from end to end. About `cache_bytes` of it stay in memory.
    ///
    /// Never panics on damage. Errors: [`StoreError::IndexLocked`] when somebody still has it open after 3 s, a full disk, missing permissions.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<(Self, IndexOrigin), StoreError> {
        let existed = dir.join("db").exists();
        match open_when_unlocked(dir, cache_bytes) {
            Ok(db) => Ok((Self { db }, if existed { IndexOrigin::Existing } else { IndexOrigin::New })),
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::Broken(why)) => {
                let moved_to = set_aside(dir)?;
                match open_checked(dir, cache_bytes) {
                    Ok(db) => Ok((Self { db }, IndexOrigin::SetAside { moved_to, why })),
                    Err(Refusal::Error(error)) => Err(error),
                    Err(Refusal::Broken(cause)) => Err(StoreError::Index { what: "create", cause }),
                }
            }
        }
    }

    /// The named tree, created if it is missing.
    pub fn tree(&self, name: &str) -> Result<sled::Tree, StoreError> {
        guarded("open a tree of", || self.db.open_tree(name))
    }

    /// Removes everything, as a rebuild does first.
    pub fn clear(&self) -> Result<(), StoreError> {
        guarded("clear", || {
            for name in self.db.tree_names() {
                self.db.open_tree(name)?.clear()?;
            }
            Ok(())
        })
    }

    /// Writes what is in memory to the files; returns the number of bytes. Survives the end of the process, but not a
    /// power cut: sled does not fsync here.
    pub fn flush(&self) -> Result<usize, StoreError> {
        guarded("flush", || self.db.flush())
    }

    /// The bytes of the index files.
    pub fn size_on_disk(&self) -> Result<u64, StoreError> {
        guarded("measure", || self.db.size_on_disk())
    }
}

/// Runs a step on sled; an error and a panic are both an error of the index.
pub(super) fn guarded<T>(what: &'static str, step: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(StoreError::Index { what, cause: error.to_string() }),
        Err(panic) => Err(StoreError::Index { what, cause: panic_text(&*panic) }),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("sled panicked: {}", text.unwrap_or("without a message"))
}

fn open_when_unlocked(dir: &Path, cache_bytes: u64) -> Result<sled::Db, Refusal> {
    let started = Instant::now();
    loop {
        match open_checked(dir, cache_bytes) {
            Err(Refusal::Error(StoreError::IndexLocked { .. })) if started.elapsed() < LOCK_WAIT_MAX => {
                thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

fn open_checked(dir: &Path, cache_bytes: u64) -> Result<sled::Db, Refusal> {
    durable::create_dir_durably(dir).map_err(|cause| Refusal::Error(StoreError::write("create", dir, cause)))?;
    remove_half_snapshots(dir).map_err(Refusal::Error)?;
    let opened = catch_unwind(|| {
        let config = sled::Config::new().path(dir).cache_capacity(cache_bytes.max(1 << 20)).use_compression(false);
        let db = config.open()?;
        read_all(&db)?;
        Ok(db)
    });
    match opened {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(error)) => Err(judge(dir, error)),
        Err(panic) => Err(Refusal::Broken(panic_text(&*panic))),
    }
}

/// sled reads pages when they are asked for; damage would otherwise show in the middle of a request.
fn read_all(db: &sled::Db) -> sled::Result<()> {
    for name in db.tree_names() {
        for entry in &db.open_tree(name)? {
            entry?;
        }
    }
    Ok(())
}

fn judge(dir: &Path, error: sled::Error) -> Refusal {
    match error {
        // sled has no kind of its own for this, only the words.
        sled::Error::Io(cause) if cause.to_string().contains("could not acquire lock") => {
            Refusal::Error(StoreError::IndexLocked { path: dir.to_owned() })
        }
        // Damaged lengths and offsets come as these kinds.
        sled::Error::Io(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::NotFound
                    | io::ErrorKind::Other
            ) =>
        {
            Refusal::Broken(cause.to_string())
        }
        sled::Error::Io(cause) => Refusal::Error(StoreError::write("open the index in", dir, cause)),
        error => Refusal::Broken(error.to_string()),
    }
}

/// A process that was killed while sled wrote a snapshot leaves `snap.<lsn>.generating`, which sled would later take
/// for the newest snapshot and find corrupt, for ever.
fn remove_half_snapshots(dir: &Path) -> Result<(), StoreError> {
    for name in names(dir)?.iter().filter(|name| name.starts_with("snap.") && name.ends_with(".generating")) {
        let path = dir.join(name);
        durable::remove_file(&path).map_err(|cause| StoreError::write("remove", &path, cause))?;
    }
    Ok(())
}

/// Moves the index to `<dir>.broken-<number>` and removes the oldest such directories.
fn set_aside(dir: &Path) -> Result<PathBuf, StoreError> {
    let parent = dir.parent().unwrap_or(Path::new("."));
    let prefix = format!("{}.broken-", dir.file_name().unwrap_or_default().to_string_lossy());
    let mut numbers: Vec<u64> =
        names(parent)?.iter().filter_map(|name| name.strip_prefix(&prefix)?.parse().ok()).collect();
    numbers.sort_unstable();
    let moved_to = parent.join(format!("{prefix}{}", numbers.last().map_or(1, |last| last + 1)));
    durable::rename_durably(dir, &moved_to).map_err(|cause| StoreError::write("set aside", dir, cause))?;
    let kept_before = BROKEN_KEPT_MAX - 1;
    for number in &numbers[..numbers.len().saturating_sub(kept_before)] {
        let old = parent.join(format!("{prefix}{number}"));
        durable::remove_dir_all(&old).map_err(|cause| StoreError::write("remove", &old, cause))?;
    }
    Ok(moved_to)
}

fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    read().map_err(|cause| StoreError::read("list", dir, cause))
}

#[cfg(test)]
mod tests;
