//! The writer thread: the only one that writes to a segment. It takes everything that is queued, writes it with one
//! write and one fsync, and then wakes all who wait (group commit).

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::sys::fault;

use super::disk::Disk;
use super::segment::Segment;

/// Lines that go to one segment together.
pub(super) struct Batch<M> {
    pub(super) segment: Arc<Segment>,
    /// Where in the segment.
    pub(super) offset: u64,
    /// The position of the last line.
    pub(super) last: u64,
    /// What the owner wants to know about the last line once it is fsynced.
    pub(super) mark: M,
    pub(super) lines: u64,
    pub(super) bytes: Vec<u8>,
}

/// How far the writer is.
#[derive(Debug, Clone)]
pub(super) struct Progress<M> {
    /// The last fsynced position.
    pub(super) position: u64,
    pub(super) mark: M,
    /// The first failure; nothing is written after it.
    pub(super) failure: Option<Arc<str>>,
}

pub(super) struct Queue<M> {
    pub(super) batches: Vec<Batch<M>>,
    pub(super) bytes: usize,
    pub(super) closing: bool,
}

/// What the writer thread and its users share.
pub(super) struct Shared<M> {
    queue: Mutex<Queue<M>>,
    work: Condvar,
    done: Condvar,
    pub(super) progress: watch::Sender<Progress<M>>,
    pub(super) failed: watch::Sender<bool>,
    pub(super) lines: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) syncs: AtomicU64,
}

impl<M: Copy + Send + Sync + 'static> Shared<M> {
    pub(super) fn new(position: u64, mark: M) -> Self {
        Self {
            queue: Mutex::new(Queue { batches: Vec::new(), bytes: 0, closing: false }),
            work: Condvar::new(),
            done: Condvar::new(),
            progress: watch::Sender::new(Progress { position, mark, failure: None }),
            failed: watch::Sender::new(false),
            lines: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
        }
    }

    /// The queue stays usable if a thread panics while holding it: its fields never disagree for longer than one
    /// statement.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue<M>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, batch: Batch<M>) {
        let mut queue = self.queue();
        queue.bytes += batch.bytes.len();
        queue.batches.push(batch);
        self.work.notify_one();
    }

    pub(super) fn close(&self) {
        self.queue().closing = true;
        self.work.notify_one();
    }

    /// Waits on this thread until the writer has reached `position` or failed.
    pub(super) fn wait(&self, position: u64) -> Progress<M> {
        let mut queue = self.queue();
        loop {
            let progress = self.progress.borrow().clone();
            if progress.failure.is_some() || progress.position >= position {
                return progress;
            }
            queue = self.done.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Everything queued, once there is something; `None` when closing and empty.
    fn take(&self) -> Option<Vec<Batch<M>>> {
        let mut queue = self.queue();
        while queue.batches.is_empty() {
            if queue.closing {
                return None;
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.bytes = 0;
        Some(std::mem::take(&mut queue.batches))
    }

    fn report(&self, change: impl FnOnce(&mut Progress<M>)) {
        self.progress.send_modify(change);
        // Taking the lock orders this after the check of a waiter that is about to sleep.
        let _queue = self.queue();
        self.done.notify_all();
    }

    fn fail(&self, reason: String) {
        // Before any waiter wakes up: whoever is told of the failure finds it here, too.
        self.failed.send_replace(true);
        self.report(|progress| {
            progress.failure.get_or_insert(reason.into());
        });
    }
}

/// Tells the waiters if the writer thread ends by a panic, so that none waits for ever.
struct PanicAlarm<'a, M: Copy + Send + Sync + 'static>(&'a Shared<M>);

impl<M: Copy + Send + Sync + 'static> Drop for PanicAlarm<'_, M> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the thread that writes the segments panicked".to_owned());
        }
    }
}

/// The writer thread's work: until the queue is closed and empty, or something fails.
pub(super) fn run<M: Copy + Send + Sync + 'static>(shared: &Shared<M>, disk: &dyn Disk, mut current: Arc<Segment>) {
    let _alarm = PanicAlarm(shared);
    while let Some(batches) = shared.take() {
        for group in batches.chunk_by(|one, two| Arc::ptr_eq(&one.segment, &two.segment)) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            if let Err((path, error)) = commit(shared, disk, &mut current, first, group) {
                shared.fail(format!("cannot write to {}: {error}", path.display()));
                return;
            }
            shared.report(|progress| {
                progress.position = last.last;
                progress.mark = last.mark;
            });
        }
    }
}

fn commit<'a, M: Copy + Send + Sync + 'static>(
    shared: &Shared<M>,
    disk: &dyn Disk,
    current: &mut Arc<Segment>,
    first: &'a Batch<M>,
    group: &[Batch<M>],
) -> Result<(), (&'a Path, io::Error)> {
    let segment = &first.segment;
    let failed = |error| (segment.path.as_path(), error);
    if !Arc::ptr_eq(segment, current) {
        // Everything before is fsynced by now, so this segment may appear.
        segment.publish().map_err(failed)?;
        *current = Arc::clone(segment);
        fault::point("journal.rotated");
    }
    let joined;
    let bytes = match group {
        [only] => only.bytes.as_slice(),
        _ => {
            joined = group.iter().flat_map(|batch| &batch.bytes).copied().collect::<Vec<u8>>();
            &joined
        }
    };
    disk.write(&segment.file, bytes, first.offset).map_err(failed)?;
    fault::point("journal.written");
    disk.sync(&segment.file).map_err(failed)?;
    fault::point("journal.synced");
    shared.lines.fetch_add(group.iter().map(|batch| batch.lines).sum(), Ordering::Relaxed);
    shared.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    shared.syncs.fetch_add(1, Ordering::Relaxed);
    Ok(())
}
