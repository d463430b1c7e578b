//! Hashing every blob again, so that damage is found before a device finds it.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use super::{BlobStore, StoreError, Verdict};
use crate::model::Blake3Digest;

/// The longest a paced scrub sleeps before it looks again whether it is cancelled.
const NAP: Duration = Duration::from_millis(100);

/// How a scrub runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScrubOptions {
    /// Bytes read per second, on average since the scrub began; none for as fast as it goes. A blob is read at full
    /// speed, and the pause comes after it.
    pub bytes_per_second: Option<NonZeroU64>,
}

/// How far a scrub is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct ScrubProgress {
    /// Blobs hashed.
    pub blobs: u64,
    /// Bytes hashed.
    pub bytes: u64,
    /// Blobs found damaged.
    pub damaged: u64,
}

/// What a scrub found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ScrubReport {
    /// The totals.
    pub total: ScrubProgress,
    /// The damaged blobs, now in quarantine, with what was seen.
    pub quarantined: Vec<(Blake3Digest, String)>,
    /// Whether it ended before the last blob, because it was cancelled.
    pub cancelled: bool,
}

/// Hashes every blob and moves the damaged ones to quarantine. Blocks for as long as it takes; `progress` is called
/// after each blob, `cancelled` is asked before each and during pauses.
///
/// It reads through the page cache: damage on the disk beneath a page in memory shows once that page has left it.
pub fn scrub(
    store: &dyn BlobStore,
    options: ScrubOptions,
    progress: &mut dyn FnMut(&ScrubProgress),
    cancelled: &dyn Fn() -> bool,
) -> Result<ScrubReport, StoreError> {
    let mut report = ScrubReport::default();
    let mut outcome = Ok(());
    let began = Instant::now();
    store.for_each(&mut |digest, _| {
        pause(began, report.total.bytes, options, cancelled);
        if cancelled() {
            report.cancelled = true;
            return ControlFlow::Break(());
        }
        if let Err(error) = scrub_one(store, digest, &mut report) {
            outcome = Err(error);
            return ControlFlow::Break(());
        }
        progress(&report.total);
        ControlFlow::Continue(())
    })?;
    outcome.map(|()| report)
}

fn scrub_one(store: &dyn BlobStore, digest: Blake3Digest, report: &mut ScrubReport) -> Result<(), StoreError> {
    let mut verdict = store.verify(&digest)?;
    if let Verdict::Damaged { .. } = verdict {
        verdict = store.quarantine(&digest)?;
    }
    match verdict {
        Verdict::Intact { size } => report.total.bytes += size,
        Verdict::Damaged { size, why } => {
            report.total.bytes += size;
            report.total.damaged += 1;
            report.quarantined.push((digest, why));
        }
        // Swept since it was listed.
        Verdict::Missing => return Ok(()),
    }
    report.total.blobs += 1;
    Ok(())
}

/// Sleeps until the bytes read so far are within the pace.
fn pause(began: Instant, bytes: u64, options: ScrubOptions, cancelled: &dyn Fn() -> bool) {
    let Some(pace) = options.bytes_per_second else { return };
    let due = Duration::from_secs_f64(bytes as f64 / pace.get() as f64);
    while let Some(early) = due.checked_sub(began.elapsed()).filter(|early| !early.is_zero()) {
        if cancelled() {
            return;
        }
        thread::sleep(early.min(NAP));
    }
}
