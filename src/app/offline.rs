//! Work on a data directory that no server holds. The answers have the fields of the server's.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::core::{Core, journal_dir};
use super::error::AppError;
use super::keeper::Keeper;
use crate::config::Settings;
use crate::journal;
use crate::model::Blake3Digest;
use crate::serve::admin::Maintenance as _;
use crate::sys::clock::SystemClock;

/// Work on the blob store and its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreTask {
    /// Counts and sizes.
    Stats,
    /// Hash every blob and compare with what releases need.
    Verify,
    /// Hash every blob; quarantine the damaged ones.
    Scrub,
    /// Remove what nothing refers to.
    Sweep,
    /// Write the index anew from the journal and the blob files.
    Rebuild,
}

impl StoreTask {
    /// The task's word on the command line, which is also the last part of its path on the admin listener.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stats => "stats",
            Self::Verify => "verify",
            Self::Scrub => "scrub",
            Self::Sweep => "sweep",
            Self::Rebuild => "rebuild",
        }
    }
}

/// Work on the journal.
#[derive(Debug, Clone)]
pub enum JournalTask {
    /// Check the whole chain, and that it holds these heads: (sequence, hash).
    Verify(Vec<(u64, Blake3Digest)>),
    /// Read events.
    Show {
        /// Those after this sequence; the newest if it is `None`.
        after: Option<u64>,
        /// At most so many.
        limit: usize,
    },
}

/// Works on the store of `data` and answers what the server would.
pub fn store_offline(task: StoreTask, data: &Path, settings: &Settings) -> Result<Value, AppError> {
    if !journal_dir(data).is_dir() {
        return Err(AppError::NoData(data.to_owned()));
    }
    let settings = Settings { data: data.to_owned(), ..settings.clone() };
    let started = Instant::now();
    let core = Core::open_existing(&settings, Arc::new(SystemClock), task == StoreTask::Rebuild)?;
    let keeper = Keeper::new(&core, settings.store.scrub_bytes_per_second);
    let answer = match task {
        StoreTask::Stats => serde_json::to_value(keeper.stats()?),
        StoreTask::Verify => serde_json::to_value(keeper.verify()?),
        StoreTask::Scrub => serde_json::to_value(keeper.scrub()?),
        StoreTask::Sweep => serde_json::to_value(keeper.sweep()?),
        // Opening has rebuilt it; doing it again would tell less.
        StoreTask::Rebuild => Ok(json!({
            "blobs": core.catalog.indexed_blobs()?,
            "events": core.recovery.replayed,
            "took_ms": started.elapsed().as_millis() as u64,
        })),
    };
    core.catalog.flush_index()?;
    answer.map_err(AppError::demo)
}

/// Reads the journal of `data` and answers what the server would. A server may be running.
pub fn journal_offline(task: &JournalTask, data: &Path) -> Result<Value, AppError> {
    let dir = journal_dir(data);
    if !dir.is_dir() {
        return Err(AppError::NoData(data.to_owned()));
    }
    match task {
        JournalTask::Verify(heads) => {
            let verified = journal::verify(&dir, heads)?;
            Ok(json!({
                "seq": verified.seq,
                "hash": verified.hash,
                "segments": verified.segments,
                "bytes": verified.bytes,
                "incomplete_bytes": verified.incomplete_bytes,
            }))
        }
        JournalTask::Show { after, limit } => {
            let events = match after {
                Some(after) => journal::read(&dir, *after, *limit)?,
                None => journal::read_newest(&dir, *limit)?,
            };
            Ok(json!({ "events": events }))
        }
    }
}
