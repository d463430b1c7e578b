//! What can go wrong with a partial body, each with what to do about it.

use crate::model::Blake3Digest;
use crate::store::{IntakeError, StoreError};

/// Why a partial body could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum SparseError {
    /// The values that came with it are another body's.
    #[error("the group values given for blob {blob} do not give its digest: ask another upstream")]
    Values {
        /// The promised name.
        blob: Blake3Digest,
    },
    /// A group is not the promised one. Nothing of it was written.
    #[error("group {index} given for blob {blob} has other bytes than were promised: fetch it again")]
    Group {
        /// The promised name.
        blob: Blake3Digest,
        /// Which one.
        index: u64,
    },
    /// It is open already.
    #[error("blob {blob} is being filled already: wait for that")]
    InUse {
        /// The promised name.
        blob: Blake3Digest,
    },
    /// There are as many as there may be.
    #[error("{max} blobs are being filled already: wait until one is complete, or allow more")]
    TooMany {
        /// How many there may be.
        max: usize,
    },
    /// It is not whole yet. What arrived is kept.
    #[error("{missing} groups of blob {blob} are still missing: fetch them first")]
    Incomplete {
        /// The promised name.
        blob: Blake3Digest,
        /// How many.
        missing: u64,
    },
    /// The whole is not what was promised. Nothing is kept.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
