//! Appending lines with group commit: space is reserved and the place in the file chosen when a line is queued, the
//! writer thread does the rest.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::disk::Disk;
use super::error::JournalError;
use super::segment::{Naming, Segment};
use super::writer::{self, Batch, Progress, Shared};

/// Space is reserved in steps of this many bytes.
const RESERVE_STEP_BYTES: u64 = 1 << 20;
/// What may be queued before more is refused.
const BACKLOG_MAX_BYTES: usize = 64 << 20;

/// How a journal or a log of report lines is written.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// A new segment begins before one would grow above this many bytes; what is queued in one call stays together,
    /// so that a segment of a single call may be larger.
    pub segment_max_bytes: u64,
}

impl Default for JournalOptions {
    /// Segments of 64 MiB.
    fn default() -> Self {
        Self { segment_max_bytes: 64 << 20 }
    }
}

/// What has been written since opening.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Lines written and fsynced.
    pub appends: u64,
    /// Calls of fsync that they needed.
    pub syncs: u64,
    /// Bytes of those lines.
    pub bytes: u64,
}

/// Where the next line goes.
struct Tail {
    segment: Arc<Segment>,
    number: u64,
    len_bytes: u64,
    reserved_to: u64,
    /// The last position queued.
    last: u64,
}

/// Where an appender continues.
pub(super) struct Resume<M> {
    pub(super) segment: Segment,
    pub(super) number: u64,
    pub(super) len_bytes: u64,
    pub(super) position: u64,
    pub(super) mark: M,
}

pub(super) struct Appender<M: Copy + Send + Sync + 'static> {
    dir: PathBuf,
    naming: Naming,
    options: JournalOptions,
    disk: Arc<dyn Disk>,
    tail: Mutex<Tail>,
    shared: Arc<Shared<M>>,
    thread: Option<JoinHandle<()>>,
}

impl<M: Copy + Send + Sync + 'static> Appender<M> {
    pub(super) fn start(
        dir: PathBuf,
        naming: Naming,
        options: JournalOptions,
        disk: Arc<dyn Disk>,
        resume: Resume<M>,
    ) -> Result<Self, JournalError> {
        let Resume { segment, number, len_bytes, position, mark } = resume;
        let segment = Arc::new(segment);
        let shared = Arc::new(Shared::new(position, mark));
        let thread = std::thread::Builder::new().name("journal-writer".to_owned()).spawn({
            let (shared, disk, segment) = (Arc::clone(&shared), Arc::clone(&disk), Arc::clone(&segment));
            move || writer::run(&shared, &*disk, segment)
        });
        let thread = Some(thread.map_err(JournalError::io("start the writer thread of", &dir))?);
        let tail = Mutex::new(Tail { segment, number, len_bytes, reserved_to: len_bytes, last: position });
        Ok(Self { dir, naming, options, disk, tail, shared, thread })
    }

    /// Queues whole lines for the positions `first..=last`. Without any effect on an error.
    pub(super) fn enqueue(&self, first: u64, last: u64, mark: M, bytes: Vec<u8>) -> Result<(), JournalError> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        self.queue(&mut tail, first, last, mark, bytes)
    }

    /// Queues one line at the next position, which it returns.
    pub(super) fn enqueue_next(&self, mark: M, bytes: Vec<u8>) -> Result<u64, JournalError> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let position = tail.last + 1;
        self.queue(&mut tail, position, position, mark, bytes)?;
        Ok(position)
    }

    fn queue(&self, tail: &mut Tail, first: u64, last: u64, mark: M, bytes: Vec<u8>) -> Result<(), JournalError> {
        self.check_accepting(bytes.len())?;
        self.make_room(tail, first, bytes.len() as u64)?;
        let (segment, offset) = (Arc::clone(&tail.segment), tail.len_bytes);
        tail.len_bytes += bytes.len() as u64;
        tail.last = last;
        self.shared.push(Batch { segment, offset, last, mark, lines: last - first + 1, bytes });
        Ok(())
    }

    fn check_accepting(&self, bytes: usize) -> Result<(), JournalError> {
        outcome(&self.shared.progress.borrow())?;
        let queued_bytes = self.shared.queue().bytes;
        if queued_bytes > 0 && queued_bytes.saturating_add(bytes) > BACKLOG_MAX_BYTES {
            return Err(JournalError::Backlog { queued_bytes });
        }
        Ok(())
    }

    /// Reserves room for `bytes` more, in a new segment where the present one would grow too large.
    fn make_room(&self, tail: &mut Tail, first: u64, bytes: u64) -> Result<(), JournalError> {
        if tail.len_bytes == 0 || tail.len_bytes + bytes <= self.options.segment_max_bytes {
            tail.reserved_to = self.reserve(&tail.segment, tail.reserved_to, tail.len_bytes + bytes)?;
            return Ok(());
        }
        let number = self.naming.next(tail.number, first);
        let segment = Segment::staged(self.naming.path(&self.dir, number))?;
        match self.reserve(&segment, 0, bytes) {
            Ok(reserved_to) => {
                *tail = Tail { segment: Arc::new(segment), number, len_bytes: 0, reserved_to, last: tail.last };
                Ok(())
            }
            Err(error) => {
                segment.discard();
                Err(error)
            }
        }
    }

    fn reserve(&self, segment: &Segment, reserved_to: u64, needed_to: u64) -> Result<u64, JournalError> {
        if needed_to <= reserved_to {
            return Ok(reserved_to);
        }
        let to = needed_to.next_multiple_of(RESERVE_STEP_BYTES);
        match self.disk.reserve(&segment.file, reserved_to, to) {
            Ok(()) => Ok(to),
            Err(source) => {
                Err(JournalError::NoSpace { path: segment.path.clone(), needed_bytes: to - reserved_to, source })
            }
        }
    }

    fn check_queued(&self, position: u64) -> Result<(), JournalError> {
        if position > self.queued_to() { Err(JournalError::NeverQueued { seq: position }) } else { Ok(()) }
    }

    /// The last position that was queued.
    pub(super) fn queued_to(&self) -> u64 {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    pub(super) async fn synced(&self, position: u64) -> Result<(), JournalError> {
        self.check_queued(position)?;
        let mut progress = self.shared.progress.subscribe();
        let reached = progress.wait_for(|progress| progress.position >= position || progress.failure.is_some()).await;
        match reached {
            Ok(progress) if progress.position >= position => Ok(()),
            Ok(progress) => outcome(&progress),
            Err(_) => Err(JournalError::Failed { reason: "the writer is closed".into() }),
        }
    }

    pub(super) fn synced_blocking(&self, position: u64) -> Result<(), JournalError> {
        self.check_queued(position)?;
        let progress = self.shared.wait(position);
        if progress.position >= position { Ok(()) } else { outcome(&progress) }
    }

    pub(super) fn synced_to(&self) -> (u64, M) {
        let progress = self.shared.progress.borrow();
        (progress.position, progress.mark)
    }

    pub(super) fn failed(&self) -> watch::Receiver<bool> {
        self.shared.failed.subscribe()
    }

    pub(super) fn stats(&self) -> JournalStats {
        JournalStats {
            appends: self.shared.lines.load(Ordering::Relaxed),
            syncs: self.shared.syncs.load(Ordering::Relaxed),
            bytes: self.shared.bytes.load(Ordering::Relaxed),
        }
    }
}

fn outcome<M>(progress: &Progress<M>) -> Result<(), JournalError> {
    match &progress.failure {
        Some(reason) => Err(JournalError::Failed { reason: Arc::clone(reason) }),
        None => Ok(()),
    }
}

impl<M: Copy + Send + Sync + 'static> fmt::Debug for Appender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appender").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl<M: Copy + Send + Sync + 'static> Drop for Appender<M> {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported to everyone who waited.
            let _ = thread.join();
        }
    }
}
