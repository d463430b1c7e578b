//! What pulling counts, for metrics and for people.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::model::Blake3Digest;

/// The last time that the upstream was caught with wrong bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Blame {
    /// Which blob it was.
    pub blob: Blake3Digest,
    /// What was wrong.
    pub what: String,
    /// When.
    pub at: Timestamp,
}

/// Counters since the start.
#[derive(Debug, Default)]
pub struct PullFigures {
    bytes: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    broken: AtomicU64,
    wrong: AtomicU64,
    pub(super) waiters: AtomicUsize,
    blame: Mutex<Option<Blame>>,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PullCounts {
    /// Bytes that came from the upstream.
    pub bytes: u64,
    /// Blobs that were pulled and are in the store.
    pub completed: u64,
    /// Pulls that ended without their blob.
    pub failed: u64,
    /// Ranges that broke off.
    pub broken_ranges: u64,
    /// Groups, or lists of them, that were not what the journal says.
    pub wrong_groups: u64,
    /// Answers that are being read from pulls now.
    pub waiters: u64,
}

impl PullFigures {
    pub(super) fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn completed(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn broken(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn wrong(&self) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn blame(&self, blame: Blame) {
        *self.blame.lock().unwrap_or_else(PoisonError::into_inner) = Some(blame);
    }

    /// The last time that the upstream was caught with wrong bytes.
    pub fn last_blame(&self) -> Option<Blame> {
        self.blame.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The counters now.
    pub fn counts(&self) -> PullCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PullCounts {
            bytes: read(&self.bytes),
            completed: read(&self.completed),
            failed: read(&self.failed),
            broken_ranges: read(&self.broken),
            wrong_groups: read(&self.wrong),
            waiters: self.waiters.load(Ordering::Relaxed) as u64,
        }
    }
}
