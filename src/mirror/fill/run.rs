//! The filling itself: look what is missing, pull it in order, look again when something changed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::order::desired;
use super::rate::Rate;
use super::standing::{FillStanding, FillState};
use crate::catalog::Catalog;
use crate::mirror::pull::{PullError, Pulls, Urgency};
use crate::model::policy::Windows;
use crate::model::{Blake3Digest, ObjectRef, ProductName};
use crate::store::{BlobStore as _, StoreError, TransferPlan};

/// How often it is looked whether something changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often all blobs are looked for, changed or not: a scrub may have taken some away.
const PLAN_EVERY: Duration = Duration::from_secs(60);
/// After how long what could not be pulled is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// The same where the upstream had wrong bytes.
const WRONG_RETRY_AFTER: Duration = Duration::from_secs(600);

/// How a mirror is filled.
#[derive(Debug, Clone, Default)]
pub struct FillOptions {
    /// The products that come first.
    pub critical: Vec<ProductName>,
    /// When blobs that nobody waits for may come in; always without them.
    pub windows: Option<Windows>,
    /// Blobs that come in at once.
    pub parallel_blobs: usize,
}

/// Fills the store of a mirror.
pub struct Filler {
    catalog: Arc<Catalog>,
    pulls: Pulls,
    options: FillOptions,
    standing: Mutex<FillStanding>,
    woken: Notify,
}

/// What there is to do.
#[derive(Default)]
struct Work {
    seq: u64,
    queue: VecDeque<ObjectRef>,
    missing: BTreeMap<Blake3Digest, ObjectRef>,
    desired: (u64, u64),
    planned_at: Option<Instant>,
    /// What could not be pulled, and when it may be tried again.
    resting: BTreeMap<Blake3Digest, Instant>,
    /// The upstream was away, or the disk full: nothing is begun until then.
    paused_until: Option<Instant>,
    last_error: Option<String>,
    /// Why the last blob that came could not be kept.
    not_kept: Option<String>,
    active: BTreeSet<Blake3Digest>,
    running: JoinSet<(ObjectRef, Result<(), PullError>)>,
}

impl Filler {
    /// Fills the store of `catalog` by `pulls`.
    pub fn new(catalog: Arc<Catalog>, pulls: Pulls, options: FillOptions) -> Self {
        Self { catalog, pulls, options, standing: Mutex::default(), woken: Notify::new() }
    }

    /// Something may have changed.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// How far it is.
    pub fn standing(&self) -> FillStanding {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where missing blobs come from.
    pub fn pulls(&self) -> &Pulls {
        &self.pulls
    }

    /// Fills until stopped.
    pub async fn run(&self, stop: CancellationToken) {
        let (mut work, mut rate) = (Work::default(), Rate::new());
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_open = self.look_at_windows();
            if work.is_outdated(self.catalog.snapshot().seq()) {
                self.plan(&mut work).await;
            }
            if is_open {
                self.begin(&mut work);
            }
            self.tell(&work, &mut rate, is_open);
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
                () = self.woken.notified() => {}
                Some(ended) = work.running.join_next() => work.ended(ended),
            }
        }
    }

    fn look_at_windows(&self) -> bool {
        let is_open = self.options.windows.as_ref().is_none_or(|windows| windows.is_open(self.catalog.now()));
        self.pulls.open_background(is_open);
        is_open
    }

    /// Looks what is wanted and what of it is here, beside the runtime.
    async fn plan(&self, work: &mut Work) {
        let (catalog, critical) = (self.catalog.clone(), self.options.critical.clone());
        let planned = tokio::task::spawn_blocking(move || {
            let (snapshot, store) = (catalog.snapshot(), catalog.store());
            let now = snapshot.present(catalog.clock_now());
            let order = desired(&snapshot, &critical, now);
            let is_here = |object: &ObjectRef| Ok::<_, StoreError>(store.size(&object.blake3)? == Some(object.size));
            TransferPlan::new(order.iter().copied(), is_here).map(|plan| (snapshot.seq(), order, plan))
        });
        work.planned_at = Some(Instant::now());
        match planned.await {
            Ok(Ok((seq, order, plan))) => {
                work.seq = seq;
                if plan.missing.is_empty() {
                    work.not_kept = None;
                }
                work.desired = (plan.desired.len() as u64, plan.desired.iter().map(|object| object.size).sum());
                work.missing = plan.missing.iter().map(|object| (object.blake3, *object)).collect();
                let is_due =
                    |object: &ObjectRef| plan.missing.contains(object) && !work.active.contains(&object.blake3);
                work.queue = order.into_iter().filter(is_due).collect();
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "it cannot be seen which blobs are missing; it is looked again");
                work.last_error = Some(error.to_string());
            }
            Err(error) => tracing::error!(%error, "looking for missing blobs ended with a panic"),
        }
    }

    /// Begins as many pulls as may run at once.
    fn begin(&self, work: &mut Work) {
        let now = Instant::now();
        work.resting.retain(|_, until| *until > now);
        if work.paused_until.is_some_and(|until| until > now) {
            return;
        }
        while work.running.len() < self.options.parallel_blobs.max(1) {
            let Some(place) = work.queue.iter().position(|object| !work.resting.contains_key(&object.blake3)) else {
                return;
            };
            let Some(object) = work.queue.remove(place) else { return };
            match self.pulls.pull(object, Urgency::Background) {
                Ok(pull) => {
                    work.active.insert(object.blake3);
                    work.running.spawn(async move {
                        let ended = pull.complete().await;
                        (object, ended)
                    });
                }
                Err(error) => {
                    work.failed(object, &error);
                    return;
                }
            }
        }
    }

    fn tell(&self, work: &Work, rate: &mut Rate, is_open: bool) {
        let received_bytes = self.pulls.figures().counts().bytes;
        let bytes_per_second = rate.look(received_bytes);
        let now = self.catalog.now();
        let whole: u64 = work.missing.values().map(|object| object.size).sum();
        let missing_bytes = whole - self.pulls.there_of(work.missing.values()).min(whole);
        let state = match () {
            () if work.planned_at.is_none() => FillState::Starting,
            () if work.missing.is_empty() => FillState::Complete,
            () if !is_open => FillState::Waiting,
            () if work.running.is_empty() => FillState::Failing,
            () => FillState::Filling,
        };
        let left_s = missing_bytes.checked_div(bytes_per_second).filter(|_| state == FillState::Filling);
        let after = |seconds: u64| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let standing = FillStanding {
            state,
            seq: work.seq,
            desired_blobs: work.desired.0,
            desired_bytes: work.desired.1,
            missing_blobs: work.missing.len() as u64,
            missing_bytes,
            bytes_per_second,
            received_bytes,
            complete_at: left_s.and_then(|seconds| now.checked_add(after(seconds)).ok()),
            opens_at: self.options.windows.as_ref().filter(|_| !is_open).and_then(|windows| next(windows, now)),
            last_error: work.last_error.clone(),
            not_kept: work.not_kept.clone(),
        };
        let before =
            std::mem::replace(&mut *self.standing.lock().unwrap_or_else(PoisonError::into_inner), standing.clone());
        if before.state != state {
            let FillStanding { missing_blobs, missing_bytes, .. } = standing;
            tracing::info!(state = state.as_str(), missing_blobs, missing_bytes, "filling from the upstream");
        }
    }
}

fn next(windows: &Windows, now: Timestamp) -> Option<Timestamp> {
    windows.next_open(now)
}

impl Work {
    fn is_outdated(&self, seq: u64) -> bool {
        let Some(since) = self.planned_at.map(|at| at.elapsed()) else { return true };
        self.seq != seq && since >= LOOK_EVERY || since >= PLAN_EVERY || self.has_rested()
    }

    /// Whether all that is left to do was given up on a while ago.
    fn has_rested(&self) -> bool {
        let is_idle = self.queue.is_empty() && self.running.is_empty() && !self.missing.is_empty();
        is_idle && self.planned_at.is_some_and(|at| at.elapsed() >= RETRY_AFTER)
    }

    fn ended(&mut self, ended: Result<(ObjectRef, Result<(), PullError>), tokio::task::JoinError>) {
        match ended {
            Ok((object, Ok(()))) => {
                self.active.remove(&object.blake3);
                self.missing.remove(&object.blake3);
                self.not_kept = None;
                if self.missing.is_empty() {
                    self.last_error = None;
                }
            }
            Ok((object, Err(error))) => {
                self.active.remove(&object.blake3);
                self.failed(object, &error);
            }
            Err(error) => tracing::error!(%error, "waiting for a blob ended with a panic"),
        }
    }

    /// It is put back, to rest for a while.
    fn failed(&mut self, object: ObjectRef, error: &PullError) {
        let rest = if matches!(error, PullError::Wrong(_)) { WRONG_RETRY_AFTER } else { RETRY_AFTER };
        self.resting.insert(object.blake3, Instant::now() + rest);
        self.queue.push_back(object);
        // On a full disk the next blob would only fail, too.
        let is_full = matches!(error, PullError::Store(StoreError::NoSpace { .. }));
        if is_full || matches!(error, PullError::Away(_) | PullError::Busy(_)) {
            self.paused_until = Some(Instant::now() + RETRY_AFTER);
        }
        self.last_error = Some(error.to_string());
        if matches!(error, PullError::Store(_)) {
            self.not_kept = self.last_error.clone();
        }
    }
}
