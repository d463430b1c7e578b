//! Committing a change: build, append, fsync, index, publish.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::census::CensusCache;
use super::error::{CatalogError, CommitError, ReadOnly};
use super::health::Tallies;
use super::offers::LostOffers;
use super::projection::Projection;
use super::reports::Reports;
use super::token_uses::TokenUses;
use crate::journal::{Journal, JournalError};
use crate::model::{Actor, Blake3Digest, Event, EventRecord, Snapshot};
use crate::store::{BlobIndex, FsBlobs, Index};
use crate::sys::clock::Clock;
use crate::sys::fault;

/// How long an event may take from the disk to the readers before nobody waits for it.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

/// The journal's projection and the one way to change anything.
pub struct Catalog {
    pub(super) journal: Journal,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<FsBlobs>,
    pub(super) index: Index,
    pub(super) blob_index: BlobIndex,
    pub(super) projection: Projection,
    pub(super) reports: Reports,
    pub(super) tallies: Tallies,
    pub(super) lost_offers: LostOffers,
    pub(super) census: CensusCache,
    pub(super) token_uses: TokenUses,
    /// Where changes are made instead, if this server only follows another's journal.
    pub(super) read_only_of: OnceLock<String>,
    /// Woken when something has changed that may let a rollout take a step.
    pub(super) stirred: Notify,
    /// The newest event that readers see, for those who wait for the next.
    pub(super) advanced: watch::Sender<u64>,
    /// What readers see: durable events only.
    pub(super) published: ArcSwap<Snapshot>,
    pub(super) writer: Mutex<Writer>,
    /// Serialises the step after the fsync, so that the index sees events in order.
    pub(super) finishing: Mutex<()>,
}

/// The newest state, ahead of what readers see by the commits that wait for their fsync.
pub(super) struct Writer {
    pub(super) newest: Snapshot,
    pub(super) waiting: VecDeque<Waiting>,
}

impl Writer {
    /// Notes a state whose records wait for their fsync; returns the last of them.
    pub(super) fn queue(&mut self, next: Snapshot, records: Vec<Arc<EventRecord>>) -> (u64, Vec<Arc<EventRecord>>) {
        self.newest = next.clone();
        self.waiting.push_back(Waiting { snapshot: Arc::new(next), records: records.clone() });
        (self.newest.seq(), records)
    }
}

/// A commit that is in the journal's queue.
pub(super) struct Waiting {
    snapshot: Arc<Snapshot>,
    records: Vec<Arc<EventRecord>>,
}

/// A change that is durable and visible.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its events as journaled; none where the use case found nothing to change.
    pub records: Vec<Arc<EventRecord>>,
    /// The state with the change in it.
    pub snapshot: Arc<Snapshot>,
}

impl Catalog {
    /// The durable state at this moment. Cheap; hold it for one request, so that the request sees one state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// What `now` is for decisions on the newest state: the wall clock, never before the newest event.
    pub fn now(&self) -> Timestamp {
        self.published.load().present(self.clock.now())
    }

    /// The bare wall clock, for a caller that holds a snapshot of its own.
    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes one change. `build` sees the newest state (with commits that are not durable yet) and the event time, and
    /// returns the events or refuses; no other change comes in between. Returns once the events are fsynced, in the
    /// index, and visible in [`Catalog::snapshot`]. If the caller stops waiting, the change happens all the same.
    ///
    /// No events means that the state is already as wanted; that answer, too, waits until that state is durable.
    pub async fn commit<E>(
        self: &Arc<Self>,
        actor: &Actor,
        build: impl FnOnce(&Snapshot, Timestamp) -> Result<Vec<Event>, E>,
    ) -> Result<Committed, CommitError<E>> {
        let (seq, records) = self.enqueue(actor, build)?;
        self.finish(seq).await.map_err(CommitError::Journal)?;
        Ok(Committed { records, snapshot: self.snapshot() })
    }

    fn enqueue<E>(
        &self,
        actor: &Actor,
        build: impl FnOnce(&Snapshot, Timestamp) -> Result<Vec<Event>, E>,
    ) -> Result<(u64, Vec<Arc<EventRecord>>), CommitError<E>> {
        if let Some(origin) = self.read_only_of.get() {
            return Err(CommitError::ReadOnly(ReadOnly::Mirror { origin: origin.clone() }));
        }
        let mut writer = self.writer();
        let now = event_time(self.clock.now(), writer.newest.time());
        let events = build(&writer.newest, now).map_err(CommitError::Refused)?;
        if events.is_empty() {
            return Ok((writer.newest.seq(), Vec::new()));
        }
        if let Some(own) = writer.newest.own_site().filter(|own| own.applied.is_some())
            && events.iter().any(Event::is_origins)
        {
            return Err(CommitError::ReadOnly(ReadOnly::Site { site: own.name.clone() }));
        }
        let mut next = writer.newest.clone();
        for event in &events {
            next.apply_draft(&draft(&next, actor, now, event)).map_err(CommitError::Contradiction)?;
        }
        let records = self.journal.enqueue(now, actor, events).map_err(CommitError::Journal)?;
        if let Some(last) = records.last() {
            next.settle(last.hash);
        }
        Ok(writer.queue(next, records))
    }

    /// Waits for the fsync of `seq`, and makes it visible.
    pub(super) async fn finish(self: &Arc<Self>, seq: u64) -> Result<(), JournalError> {
        let catalog = self.clone();
        // A task of its own: a client that goes away must not leave a durable event unseen by readers.
        let finish = tokio::spawn(async move {
            catalog.journal.synced(seq).await?;
            let blocking = catalog.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || blocking.finish_synced()).await {
                std::panic::resume_unwind(error.into_panic());
            }
            Ok(())
        });
        finish.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Indexes and publishes every commit that the journal has fsynced.
    fn finish_synced(&self) {
        let _in_order = self.finishing.lock().unwrap_or_else(PoisonError::into_inner);
        let (durable, _) = self.journal.head();
        let mut writer = self.writer();
        let ready = writer.waiting.partition_point(|waiting| waiting.snapshot.seq() <= durable);
        let ready: Vec<Waiting> = writer.waiting.drain(..ready).collect();
        drop(writer);
        let Some(newest) = ready.last().map(|waiting| waiting.snapshot.clone()) else { return };
        let records: Vec<_> = ready.into_iter().flat_map(|waiting| waiting.records).collect();
        for record in &records {
            tracing::info!(seq = record.seq, event = record.event.name(), actor = %record.actor, "change journaled");
        }
        fault::point("catalog.event-synced");
        self.index_blobs(&records);
        fault::point("catalog.blobs-indexed");
        self.projection.advance(&newest, &records);
        fault::point("catalog.indexed");
        self.begin_to_count(&newest, &records);
        self.count_receipts(&newest, &records);
        let seq = newest.seq();
        self.published.store(newest);
        self.advanced.send_replace(seq);
        fault::point("catalog.published");
        self.stirred.notify_one();
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic inside `build` left the newest state untouched, so the lock is as good as new.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once something has changed since the last call that may let a rollout take a step: a commit, or a report
    /// of a failure. For one waiter.
    pub async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// The number of the newest event that readers see, and every next one. For as many waiters as there are.
    pub fn advanced(&self) -> watch::Receiver<u64> {
        self.advanced.subscribe()
    }

    /// The last fsynced event's sequence and hash: what to keep elsewhere to detect a rewritten journal.
    pub fn head(&self) -> (u64, Blake3Digest) {
        self.journal.head()
    }

    /// As [`Catalog::head`], once readers see that event, so that whoever is told of it finds it; waits a second at most.
    pub async fn head_that_is_seen(&self) -> (u64, Blake3Digest) {
        let head = self.head();
        // Where it takes longer, the last event is a durable one all the same.
        let _ = tokio::time::timeout(SEEN_WITHIN, self.advanced().wait_for(|seq| *seq >= head.0)).await;
        head
    }

    /// The journal, for its figures and its failure signal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Whether a write of the index failed since the start, so that the next start has more to replay.
    pub fn is_index_behind(&self) -> bool {
        self.projection.is_behind()
    }

    /// Bytes of the index on the disk.
    pub fn index_bytes(&self) -> Result<u64, CatalogError> {
        Ok(self.index.size_on_disk()?)
    }

    /// Brings the index to the disk, so that the next start replays nothing.
    pub fn flush_index(&self) -> Result<(), CatalogError> {
        self.index.flush()?;
        Ok(())
    }

    /// When each token was last used.
    pub fn token_uses(&self) -> &TokenUses {
        &self.token_uses
    }

    /// The blob store.
    pub fn store(&self) -> &Arc<FsBlobs> {
        &self.store
    }
}

/// Event times have whole milliseconds and never go back, whatever the wall clock does.
fn event_time(now: Timestamp, newest: Option<Timestamp>) -> Timestamp {
    let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    newest.map_or(now, |newest| now.max(newest))
}

fn draft(snapshot: &Snapshot, actor: &Actor, time: Timestamp, event: &Event) -> EventRecord {
    let unknown = Blake3Digest::from_bytes([0; 32]);
    EventRecord {
        seq: snapshot.seq() + 1,
        time,
        actor: actor.clone(),
        event: event.clone(),
        prev: unknown,
        hash: unknown,
    }
}
