//! All blobs on their way: at most one transfer of each, however many ask.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::PullError;
use super::drive::drive;
use super::figures::{Blame, PullFigures};
use super::lanes::Lanes;
use super::one::Pull;
use super::reading::Reading;
use super::throttle::{Throttle, Urgency};
use crate::mirror::BlobSource;
use crate::model::{Blake3Digest, ObjectRef};
use crate::store::{
    BlobStore as _, FsBlobs, IntakeError, Sparse, SparseError, StoreError, Verdict, partials, remove_partial,
};
use crate::sys::clock::Clock;

/// For how long everybody who asks for a blob is told that its pull has just failed.
const FAILED_FOR: Duration = Duration::from_secs(2);
/// A damaged body up to this size is noticed when it is asked for; larger ones are the scrub's.
const CHECKED_MAX_BYTES: u64 = 128 << 10;

/// How blobs are pulled.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// Ranges under way at once, for all blobs together; as many again for what devices wait for.
    pub parallel_ranges: usize,
    /// Blobs that may be incomplete at once, here and on the disk.
    pub partial_max: usize,
    /// Readers of incomplete blobs at once.
    pub waiters_max: usize,
    /// All transfers together; as fast as it goes without one.
    pub bytes_per_second: Option<u64>,
    /// How long the upstream may take to begin an answer.
    pub answer_timeout: Duration,
    /// How long nothing may come in the midst of an answer.
    pub stall_timeout: Duration,
    /// How long the upstream may take for one MiB.
    pub group_timeout: Duration,
    /// How long attempts that bring nothing go on.
    pub give_up_after: Duration,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            parallel_ranges: 4,
            partial_max: 64,
            waiters_max: 20_000,
            bytes_per_second: None,
            answer_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            group_timeout: Duration::from_secs(600),
            give_up_after: Duration::from_secs(20),
        }
    }
}

/// Pulls blobs from a source into the store. Cheap to clone.
#[derive(Clone)]
pub struct Pulls(Arc<Inner>);

pub(super) struct Inner {
    pub(super) source: Arc<dyn BlobSource>,
    pub(super) store: Arc<FsBlobs>,
    pub(super) partial: PathBuf,
    pub(super) options: PullOptions,
    pub(super) throttle: Arc<Throttle>,
    pub(super) lanes: Lanes,
    pub(super) figures: Arc<PullFigures>,
    clock: Arc<dyn Clock>,
    open: Mutex<HashMap<Blake3Digest, Open>>,
    stop: CancellationToken,
}

/// A pull that is under way, or failed a moment ago.
struct Open {
    pull: Arc<Pull>,
    ended: Option<Instant>,
}

/// Counts as a reader until dropped.
#[derive(Debug)]
pub(super) struct Waiter(Arc<PullFigures>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ends a pull whose driver ended without a word.
struct Driving(Arc<Inner>, Arc<Pull>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.1.end(Err(PullError::Stopped));
        self.0.close(&self.1);
    }
}

impl Pulls {
    /// Pulls from `source` into `store`; what is incomplete lies in the directory `partial`. Needs a tokio runtime
    /// around every later call; everything ends with `stop`.
    pub fn new(
        source: Arc<dyn BlobSource>,
        (store, partial): (Arc<FsBlobs>, PathBuf),
        options: PullOptions,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            source,
            store,
            partial,
            throttle: Arc::new(Throttle::new(options.bytes_per_second)),
            lanes: Lanes::new(options.parallel_ranges),
            options,
            figures: Arc::default(),
            clock,
            open: Mutex::default(),
            stop,
        }))
    }

    /// The one pull of this blob, begun now if there is none yet. A blob that is in the store is a pull that is over.
    ///
    /// # Errors
    /// Too many are under way, or this one failed a moment ago.
    pub fn pull(&self, object: ObjectRef, urgency: Urgency) -> Result<Arc<Pull>, PullError> {
        let mut open = self.0.open();
        if let Some(known) = open.get(&object.blake3) {
            match known.pull.failure().filter(|_| known.ended.is_some_and(|at| at.elapsed() < FAILED_FOR)) {
                Some(failure) => return Err(failure),
                None if known.ended.is_none() => {
                    known.pull.raise(urgency);
                    return Ok(known.pull.clone());
                }
                None => {}
            }
        }
        if let Some(body) = self.0.stored(&object)? {
            return Ok(Arc::new(Pull::done(object, body)));
        }
        open.retain(|_, other| other.ended.is_none_or(|at| at.elapsed() < FAILED_FOR));
        let under_way = open.values().filter(|other| other.ended.is_none()).count();
        if under_way >= self.0.options.partial_max {
            return Err(PullError::Busy(under_way));
        }
        let pull = Arc::new(Pull::new(object, urgency));
        open.insert(object.blake3, Open { pull: pull.clone(), ended: None });
        drop(open);
        tokio::spawn(run(Driving(self.0.clone(), pull.clone())));
        Ok(pull)
    }

    /// Some bytes of a blob as they come in.
    ///
    /// # Errors
    /// As many readers as may be are there already.
    pub fn read(&self, pull: &Arc<Pull>, range: Range<u64>) -> Result<Reading, PullError> {
        Ok(self.read_several(pull, vec![range])?.pop().unwrap_or_else(|| unreachable!("one range, one reading")))
    }

    /// Several ranges of a blob, for one reader.
    ///
    /// # Errors
    /// As many readers as may be are there already.
    pub fn read_several(&self, pull: &Arc<Pull>, ranges: Vec<Range<u64>>) -> Result<Vec<Reading>, PullError> {
        let figures = &self.0.figures;
        let before = figures.waiters.fetch_add(1, Ordering::Relaxed);
        let waiter = Arc::new(Waiter(figures.clone()));
        if before >= self.0.options.waiters_max {
            return Err(PullError::Busy(before));
        }
        Ok(ranges.into_iter().map(|range| Reading::new(pull.clone(), range, waiter.clone())).collect())
    }

    /// Lets background pulls go on, or keeps them from asking for more. What devices wait for goes on either way.
    pub fn open_background(&self, is_open: bool) {
        self.0.lanes.open_background(is_open);
    }

    /// What was counted.
    pub fn figures(&self) -> &PullFigures {
        &self.0.figures
    }

    /// How many pulls are under way, and how many bytes they still miss.
    pub fn under_way(&self) -> (usize, u64) {
        let open = self.0.open();
        let running = open.values().filter(|open| open.ended.is_none());
        running.fold((0, 0), |(count, bytes), open| (count + 1, bytes + open.pull.missing_bytes()))
    }

    /// How many bytes of these blobs have come in already, of those that are under way.
    pub fn there_of<'a>(&self, objects: impl Iterator<Item = &'a ObjectRef>) -> u64 {
        let open = self.0.open();
        let under_way = objects.filter_map(|object| open.get(&object.blake3)).filter(|open| open.ended.is_none());
        under_way.map(|open| open.pull.object().size - open.pull.missing_bytes()).sum()
    }
}

async fn run(driving: Driving) {
    let Driving(inner, pull) = &driving;
    let outcome = tokio::select! {
        biased;
        () = inner.stop.cancelled() => Err(PullError::Stopped),
        outcome = drive(inner, pull) => outcome,
    };
    let object = pull.object();
    match &outcome {
        Ok(_) => {
            inner.figures.completed();
            tracing::info!(blob = %object.blake3, size = object.size, "a blob was pulled");
        }
        Err(PullError::Stopped) => {}
        // Of a server that is away, filling says so once, and every answer that fails for it.
        Err(error @ PullError::Away(_)) => {
            inner.figures.failed();
            tracing::debug!(blob = %object.blake3, %error, "a blob could not be pulled");
        }
        Err(error) => {
            inner.figures.failed();
            tracing::warn!(blob = %object.blake3, %error, "a blob could not be pulled");
        }
    }
    pull.end(outcome);
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, HashMap<Blake3Digest, Open>> {
        // The map is whole between any two statements, so a panic elsewhere does not spoil it.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pull is over: a failed one is remembered for a moment, the bytes of others are in the store.
    fn close(&self, pull: &Pull) {
        let mut open = self.open();
        match pull.failure() {
            Some(_) => {
                if let Some(known) = open.get_mut(&pull.object().blake3) {
                    known.ended = Some(Instant::now());
                }
            }
            None => drop(open.remove(&pull.object().blake3)),
        }
    }

    /// The body, if it is in the store and not seen to be damaged.
    fn stored(&self, object: &ObjectRef) -> Result<Option<Bytes>, PullError> {
        // What only a mapping of an earlier reader holds is not there any more.
        if self.store.size(&object.blake3)? != Some(object.size) {
            return Ok(None);
        }
        let body = match self.store.open(&object.blake3, object.size) {
            Ok(body) => body.map(|body| body.bytes),
            // The commit puts the whole one in its place.
            Err(StoreError::Corrupt { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let is_damaged = |body: &Bytes| object.size <= CHECKED_MAX_BYTES && Blake3Digest::of(body) != object.blake3;
        match body {
            Some(body) if is_damaged(&body) => match self.store.quarantine(&object.blake3)? {
                Verdict::Intact { .. } => Ok(Some(body)),
                Verdict::Damaged { .. } | Verdict::Missing => Ok(None),
            },
            body => Ok(body),
        }
    }

    /// The partial file of a blob. Where there are too many, one that nobody pulls makes room.
    pub(super) fn open_partial(&self, object: ObjectRef, values: Vec<[u8; 32]>) -> Result<Sparse, SparseError> {
        let most = self.options.partial_max;
        let opened = Sparse::open(&self.partial, object, values.clone(), most);
        let Err(SparseError::TooMany { .. }) = opened else { return opened };
        let idle = {
            let open = self.open();
            let is_pulled = |blob: &Blake3Digest| open.get(blob).is_some_and(|open| open.ended.is_none());
            partials(&self.partial)?.into_iter().find(|blob| !is_pulled(blob))
        };
        if let Some(blob) = idle {
            tracing::debug!(%blob, "an incomplete blob that nobody asks for makes room");
            remove_partial(&self.partial, &blob)?;
        }
        Sparse::open(&self.partial, object, values, most)
    }

    /// Why a blob that was pulled could not be kept.
    pub(super) fn not_kept(&self, object: &ObjectRef, error: SparseError) -> PullError {
        match error {
            SparseError::Store(error) | SparseError::Intake(IntakeError::Store(error)) => PullError::Store(error),
            SparseError::TooMany { max } => PullError::Busy(max),
            error => self.wrong(object, error.to_string()),
        }
    }

    /// Blames the upstream.
    pub(super) fn wrong(&self, object: &ObjectRef, what: String) -> PullError {
        self.figures.wrong();
        tracing::error!(blob = %object.blake3, what, "the upstream sends wrong bytes; nothing of them was served");
        self.figures.blame(Blame { blob: object.blake3, what: what.clone(), at: self.clock.now() });
        PullError::Wrong(format!("blob {}: {what}", object.blake3))
    }
}
