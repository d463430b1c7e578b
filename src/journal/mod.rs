//! The journal: every change ever made, one JSON object a line, each holding the hash of the one before, fsynced
//! before anyone is told that it happened. It is the truth that everything else is rebuilt from.
//!
//! A line is written in one order, by one thread, which gathers whatever is queued into one write and one fsync
//! (group commit). Reading verifies the bytes as they are: sequence numbers without gaps, the chain of hashes, time
//! that never goes back, segments without gaps. Only the very last line may be cut (the process died while writing
//! it, so nobody was told of it); it is set aside and named. Everything else is refused with its place.
//!
//! [`lines`] is the same writer without a chain, for device reports.
//!
//! What this room deliberately does not do: it gives events no meaning, removes nothing, repairs nothing, and does not
//! lock the directory (the data directory's lock is the owner's business).

mod appender;
mod chain;
mod disk;
mod error;
pub mod lines;
mod open;
mod raw;
mod read;
mod reader;
mod segment;
mod verify;
mod walk;
mod writer;

#[cfg(test)]
mod failure_tests;
#[cfg(test)]
mod mutation_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;

use crate::model::{Actor, Blake3Digest, Event, EventRecord};

use appender::Appender;
use chain::Chain;

pub use appender::{JournalOptions, JournalStats};
pub use error::{Fault, JournalError, MAX_LINE_BYTES};
pub use open::{Opened, TornTail};
pub use raw::{Continuation, RawReader};
pub use read::{read, read_newest};
pub use verify::{Verified, verify};

/// The open journal: the only writer of its directory. Cheap to share behind an `Arc`. Dropping it writes and fsyncs
/// what is still queued.
#[derive(Debug)]
pub struct Journal {
    chain: Mutex<Chain>,
    appender: Appender<Blake3Digest>,
}

impl Journal {
    /// Assigns `seq`, `time` (`now`, but never before the last line's), `prev` and `hash` to each event and queues
    /// their lines for the writer thread, all in one segment and in this order. Does not wait for them to be
    /// written: nothing may be acknowledged before [`synced`](Self::synced) has returned for the last `seq`.
    /// After a crash a prefix of the events may be found written.
    ///
    /// # Errors
    /// Without any effect: [`JournalError::NoSpace`] when the disk has no room for the lines,
    /// [`JournalError::TooLong`] for an event above [`MAX_LINE_BYTES`], [`JournalError::Backlog`] when the disk is too
    /// far behind, [`JournalError::Failed`] after an earlier write failed, [`JournalError::Io`] when a new segment
    /// cannot be created.
    pub fn enqueue(
        &self,
        now: Timestamp,
        actor: &Actor,
        events: Vec<Event>,
    ) -> Result<Vec<Arc<EventRecord>>, JournalError> {
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = chain.clone();
        let mut bytes = Vec::new();
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            records.push(Arc::new(next.append(now, actor, event, &mut bytes)?));
        }
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(records) };
        self.appender.enqueue(first.seq, last.seq, last.hash, bytes)?;
        *chain = next;
        Ok(records)
    }

    /// Queues lines of another server's journal as they are, each without its line feed: they must continue this one,
    /// hash by hash, and `agree` must take every record, before the first is queued. What [`enqueue`](Self::enqueue) says
    /// of waiting and crashes holds here, too.
    ///
    /// # Errors
    /// Without any effect: [`JournalError::Foreign`] for a line that does not continue the chain, what `agree` says, and
    /// the errors of [`enqueue`](Self::enqueue).
    pub fn enqueue_lines<E: From<JournalError>>(
        &self,
        lines: &[Bytes],
        mut agree: impl FnMut(&EventRecord) -> Result<(), E>,
    ) -> Result<Vec<Arc<EventRecord>>, E> {
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = chain.clone();
        let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        let mut records = Vec::with_capacity(lines.len());
        for line in lines {
            let seq = next.head().0 + 1;
            if line.len() >= MAX_LINE_BYTES || line.contains(&b'\n') {
                return Err(JournalError::Foreign { seq, fault: Fault::TooLong }.into());
            }
            let record = next.accept(line).map_err(|fault| JournalError::Foreign { seq, fault })?;
            agree(&record)?;
            records.push(Arc::new(record));
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(records) };
        self.appender.enqueue(first.seq, last.seq, last.hash, bytes)?;
        *chain = next;
        Ok(records)
    }

    /// Returns once every record up to `seq` is fsynced; one fsync serves all who wait.
    ///
    /// # Errors
    /// [`JournalError::Failed`] when a write or fsync failed (the record may or may not be found after a restart),
    /// [`JournalError::NeverQueued`] for a `seq` that was never assigned.
    pub async fn synced(&self, seq: u64) -> Result<(), JournalError> {
        self.appender.synced(seq).await
    }

    /// As [`synced`](Self::synced), for threads outside the async runtime.
    ///
    /// # Errors
    /// As [`synced`](Self::synced).
    pub fn synced_blocking(&self, seq: u64) -> Result<(), JournalError> {
        self.appender.synced_blocking(seq)
    }

    /// The last fsynced record's `seq` and `hash`; 0 and zeros in an empty journal.
    pub fn head(&self) -> (u64, Blake3Digest) {
        self.appender.synced_to()
    }

    /// Turns true, for good, when a write or fsync has failed. That is fatal: what is on disk is unknown until a
    /// restart has read it, so the process must exit. The journal retries nothing.
    pub fn failed(&self) -> tokio::sync::watch::Receiver<bool> {
        self.appender.failed()
    }

    /// What has been written since the journal was opened.
    pub fn stats(&self) -> JournalStats {
        self.appender.stats()
    }
}
