//! What can go wrong between a use case and its event being durable.

use crate::journal::JournalError;
use crate::model::{ApplyError, SiteName};
use crate::store::StoreError;

/// Why the catalog could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The journal is damaged or cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The blob store or the index cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal is intact, but an event of it makes no sense to this build.
    #[error("the journal cannot be replayed: {0}; this build may be older than the one that wrote it")]
    Replay(#[from] ApplyError),
    /// The index does not hold what it should. It is only an index: `store rebuild` writes it again.
    #[error("the index is damaged ({why}); `ringfence store rebuild` writes it again from the journal")]
    Index {
        /// What is wrong with it.
        why: String,
    },
    /// Events that were acknowledged are gone.
    #[error(
        "the journal ends before event {seq}, which the index has seen: events are lost; put the newest journal back \
         from a backup, or accept the loss with `ringfence store rebuild`"
    )]
    JournalCutShort {
        /// The last event the index has seen.
        seq: u64,
    },
    /// Events that were acknowledged are others now.
    #[error(
        "the journal holds another event {seq} than the one the index has seen: it was rewritten, or it is another \
         journal; put the right one back from a backup, or accept this one with `ringfence store rebuild`"
    )]
    JournalRewritten {
        /// The last event the index has seen.
        seq: u64,
    },
}

impl From<sled::Error> for CatalogError {
    fn from(error: sled::Error) -> Self {
        Self::Index { why: error.to_string() }
    }
}

/// Why a change did not happen. `E` is the use case's own refusal.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<E> {
    /// The use case looked at the newest state and declined; nothing was written.
    #[error(transparent)]
    Refused(E),
    /// The events do not fit the state: an error in the use case. Nothing was written.
    #[error("the change contradicts the present state: {0}")]
    Contradiction(ApplyError),
    /// The journal could not take them.
    #[error(transparent)]
    Journal(JournalError),
    /// Changes are made elsewhere.
    #[error(transparent)]
    ReadOnly(ReadOnly),
}

/// Whose changes a server takes instead of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadOnly {
    /// It follows an origin's journal.
    #[error("this server is a mirror and changes nothing: make the change at its origin, {origin}")]
    Mirror {
        /// The origin's address.
        origin: String,
    },
    /// It is an offline site.
    #[error(
        "this server is the offline site {site}: products, releases, rollouts, holds and the policy come with the \
         bundles of its origin; make the change there and carry the next bundle over"
    )]
    Site {
        /// Its name.
        site: SiteName,
    },
}

/// Why lines of another journal were not taken over. Nothing of them was.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// A line does not continue this server's journal, or the journal could not take them.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An event makes no sense to this build.
    #[error("the upstream's journal cannot be applied: {0}; this build may be older than the upstream's")]
    Contradiction(#[from] ApplyError),
}
