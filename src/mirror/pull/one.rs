//! One blob on its way: what is there of it, who waits for what, and how it ended.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, watch};

use super::PullError;
use super::throttle::Urgency;
use super::wanted::Wanted;
use crate::model::ObjectRef;
use crate::store::{GROUP_BYTES, PARTIAL_READ_MAX_BYTES, Sparse};

/// Most bytes handed out at once while the blob is incomplete: they are copied, and many readers may be slow.
const PIECE_BYTES: u64 = 128 << 10;

/// A blob that is being pulled, shared by all who wait for it. What it hands out was checked against the blob's digest.
#[derive(Debug)]
pub struct Pull {
    object: ObjectRef,
    state: Mutex<State>,
    /// Counts changes of `state` that somebody may wait for.
    changed: watch::Sender<u64>,
    is_urgent: AtomicBool,
    /// Wakes the driver: a wish, or more urgency.
    pub(super) asked: Notify,
}

#[derive(Debug)]
struct State {
    wanted: Wanted,
    phase: Phase,
    /// Whether the upstream has said anything yet that could be believed.
    has_contact: bool,
    /// The values of its groups.
    values: Option<Arc<[[u8; 32]]>>,
}

#[derive(Debug)]
enum Phase {
    Opening,
    Filling(Arc<Sparse>),
    /// All of it is there, and on its way into the store.
    Whole(Arc<File>),
    Done(Bytes),
    Failed(PullError),
}

impl Pull {
    pub(super) fn new(object: ObjectRef, urgency: Urgency) -> Self {
        let state = State { wanted: Wanted::new(object.size), phase: Phase::Opening, has_contact: false, values: None };
        let pull = Self {
            object,
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            is_urgent: AtomicBool::new(false),
            asked: Notify::new(),
        };
        pull.raise(urgency);
        pull
    }

    /// One that is over: the blob is in the store.
    pub(super) fn done(object: ObjectRef, body: Bytes) -> Self {
        let pull = Self::new(object, Urgency::Background);
        pull.end(Ok(body));
        pull
    }

    /// Which blob.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// Waits until these bytes are there and verified.
    ///
    /// # Errors
    /// The pull ended without them.
    pub async fn ready(&self, range: Range<u64>) -> Result<(), PullError> {
        self.until(&range, |state| state.wanted.has(&range)).await
    }

    /// Waits until the upstream has said something about this blob that can be believed.
    ///
    /// # Errors
    /// The pull ended before that.
    pub async fn begun(&self) -> Result<(), PullError> {
        self.until(&(0..0), |state| state.has_contact).await
    }

    /// Waits until the whole blob is in the store.
    ///
    /// # Errors
    /// The pull ended without that.
    pub async fn complete(&self) -> Result<(), PullError> {
        self.until(&(0..0), |_| false).await
    }

    /// These bytes from their start on, at most 4 MiB of them unless the whole blob is in the store, if they are there and
    /// verified; `None` while they are not.
    ///
    /// # Errors
    /// The pull has failed, or the bytes cannot be read back.
    pub fn bytes(&self, range: Range<u64>) -> Result<Option<Bytes>, PullError> {
        let range = range.start.min(self.object.size)..range.end.min(self.object.size);
        enum From {
            Sparse(Arc<Sparse>),
            File(Arc<File>),
        }
        let from = match &self.state().phase {
            Phase::Done(body) => return Ok(Some(cut(body, &range))),
            Phase::Failed(error) => return Err(error.clone()),
            Phase::Opening => return Ok(None),
            Phase::Filling(sparse) => From::Sparse(sparse.clone()),
            Phase::Whole(file) => From::File(file.clone()),
        };
        match from {
            From::Sparse(sparse) => Ok(sparse.read(range)?),
            From::File(file) => {
                let length = (range.end - range.start).min(PARTIAL_READ_MAX_BYTES);
                let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
                let read = file.read_exact_at(&mut bytes, range.start);
                read.map_err(|cause| PullError::Away(format!("what came in cannot be read: {cause}")))?;
                Ok(Some(bytes.into()))
            }
        }
    }

    /// Waits for the first of these bytes, and returns as many of them as are there from it on. All of them are asked
    /// for at once.
    ///
    /// # Errors
    /// As [`Pull::ready`] and [`Pull::bytes`].
    pub async fn next_piece(&self, range: Range<u64>) -> Result<Bytes, PullError> {
        let group_end = (range.start / GROUP_BYTES + 1) * GROUP_BYTES;
        loop {
            let piece = range.start..range.end.min(group_end).min(range.start + PIECE_BYTES);
            self.until(&range, |state| state.wanted.has(&piece)).await?;
            if let Phase::Done(body) = &self.state().phase {
                return Ok(cut(body, &range));
            }
            if let Some(bytes) = self.bytes(piece)? {
                return Ok(bytes);
            }
        }
    }

    /// Waits until `is_met` or the end; wishes for the range if it has to wait.
    async fn until(&self, range: &Range<u64>, is_met: impl Fn(&State) -> bool) -> Result<(), PullError> {
        let mut changed = self.changed.subscribe();
        let mut has_wished = range.is_empty();
        loop {
            changed.borrow_and_update();
            {
                let mut state = self.state();
                match &state.phase {
                    Phase::Done(_) => return Ok(()),
                    Phase::Failed(error) => return Err(error.clone()),
                    Phase::Opening | Phase::Filling(_) | Phase::Whole(_) if is_met(&state) => return Ok(()),
                    Phase::Opening | Phase::Filling(_) | Phase::Whole(_) => {}
                }
                if !has_wished {
                    state.wanted.wish(range);
                    has_wished = true;
                    self.asked.notify_one();
                }
            }
            // The sender lives as long as this pull.
            changed.changed().await.map_err(|_| PullError::Stopped)?;
        }
    }

    /// Makes it as urgent as this, if it is less.
    pub(super) fn raise(&self, urgency: Urgency) {
        if urgency == Urgency::OnDemand && !self.is_urgent.swap(true, Ordering::Relaxed) {
            self.asked.notify_one();
        }
    }

    pub(super) fn urgency(&self) -> Urgency {
        if self.is_urgent.load(Ordering::Relaxed) { Urgency::OnDemand } else { Urgency::Background }
    }

    /// The values of its groups are known and good: from now on groups come in here.
    pub(super) fn fill(&self, sparse: Arc<Sparse>, there: impl Iterator<Item = usize>) {
        let mut state = self.state();
        there.for_each(|group| state.wanted.put(group));
        state.phase = Phase::Filling(sparse);
        drop(state);
        self.tell();
    }

    /// All groups are there: from now on they are read from this file.
    pub(super) fn whole(&self, file: File) {
        self.state().phase = Phase::Whole(Arc::new(file));
    }

    /// The values of its groups, once they are known and good.
    ///
    /// # Errors
    /// The pull ended without them.
    pub async fn values(&self) -> Result<Arc<[[u8; 32]]>, PullError> {
        self.until(&(0..0), |state| state.values.is_some()).await?;
        let known = self.state().values.clone();
        known.ok_or_else(|| PullError::Away("the blob has come in meanwhile: ask again".to_owned()))
    }

    pub(super) fn note_values(&self, values: &[[u8; 32]]) {
        self.state().values = Some(values.into());
        self.tell();
    }

    /// The upstream has said something that can be believed.
    pub(super) fn note_contact(&self) {
        if !std::mem::replace(&mut self.state().has_contact, true) {
            self.tell();
        }
    }

    /// A group was verified and kept.
    pub(super) fn put(&self, group: usize) {
        self.state().wanted.put(group);
        self.tell();
    }

    /// What to ask for next, and whether somebody waits for it.
    pub(super) fn next_run(&self, most: usize) -> Option<(Range<usize>, bool)> {
        self.state().wanted.next_run(most)
    }

    /// Whether somebody waits for what is not even asked for.
    pub(super) fn has_wish(&self) -> bool {
        self.state().wanted.has_wish()
    }

    pub(super) fn give_back(&self, run: &Range<usize>) {
        self.state().wanted.give_back(run);
    }

    pub(super) fn has_more(&self) -> bool {
        self.state().wanted.has_more()
    }

    pub(super) fn has_all(&self) -> bool {
        self.state().wanted.is_complete()
    }

    /// How many bytes are still to come.
    pub(super) fn missing_bytes(&self) -> u64 {
        match &*self.state() {
            State { phase: Phase::Done(_) | Phase::Failed(_), .. } => 0,
            State { wanted, .. } => wanted.missing_bytes(),
        }
    }

    /// Why it failed, if it did.
    pub(super) fn failure(&self) -> Option<PullError> {
        match &self.state().phase {
            Phase::Failed(error) => Some(error.clone()),
            _ => None,
        }
    }

    /// It is over: the bytes are in the store, or will not come. What was said first stays.
    pub(super) fn end(&self, outcome: Result<Bytes, PullError>) {
        let mut state = self.state();
        if !matches!(state.phase, Phase::Done(_) | Phase::Failed(_)) {
            state.phase = match outcome {
                Ok(body) => Phase::Done(body),
                Err(error) => Phase::Failed(error),
            };
        }
        drop(state);
        self.tell();
    }

    fn tell(&self) {
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one statement, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cut(body: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |offset: u64| usize::try_from(offset).map_or(body.len(), |offset| offset.min(body.len()));
    body.slice(at(range.start)..at(range.end))
}
