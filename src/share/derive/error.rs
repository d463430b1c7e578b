//! Why an archive could not be unpacked.

use std::io;

use crate::model::{TargetName, TargetNameError};
use crate::share::layout::Collision;

/// Why an archive could not be unpacked. The text is a whole sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    /// Nothing that is known.
    #[error(
        "this is no zip, no cabinet and no executable with a cabinet inside; publish one of them, or choose a layout \
         that shows artifacts as they are"
    )]
    NotAnArchive,
    /// Bytes are missing or wrong.
    #[error("the archive is damaged or cut short ({why}); get it from its publisher again")]
    Damaged {
        /// What does not fit.
        why: String,
    },
    /// A password would be needed.
    #[error("{member} is encrypted in the archive; publish an archive without a password")]
    Encrypted {
        /// Which member.
        member: TargetName,
    },
    /// Something that Ringfence does not read.
    #[error("{what}, which Ringfence does not read; pack the archive as zip with deflate, or as one cabinet")]
    Unsupported {
        /// What, as the beginning of a sentence.
        what: String,
    },
    /// A name that cannot be written to every share.
    #[error("the archive has a member with a bad name: {source}; rename it and pack the archive again")]
    BadName {
        /// The name, and why.
        source: TargetNameError,
    },
    /// Two members that cannot be in one folder.
    #[error("{member} in the archive: {source}")]
    Collides {
        /// The later one.
        member: TargetName,
        /// Why.
        source: Collision,
    },
    /// No file at all.
    #[error("the archive holds no file; publish one that does")]
    Empty,
    /// Too many members.
    #[error("the archive has {count} members and may have {max}; publish its content as several archives")]
    TooManyMembers {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// Too many bytes.
    #[error("the archive unpacks to {bytes} bytes and may to {max}; publish its content as several archives")]
    TooLarge {
        /// How many there are.
        bytes: u64,
        /// How many there may be.
        max: u64,
    },
    /// Far more bytes than the archive can honestly hold.
    #[error(
        "the archive has {archive_bytes} bytes and unpacks to {bytes}, more than {ratio_max} for each: this looks like a \
         trap, and if it is none, pack it with less compression"
    )]
    RatioTooHigh {
        /// How many bytes its members have.
        bytes: u64,
        /// How many it has itself.
        archive_bytes: u64,
        /// How many there may be for each.
        ratio_max: u64,
    },
    /// The receiver of a member failed.
    #[error("a member of the archive could not be written: {0}")]
    Sink(#[from] io::Error),
}

impl DeriveError {
    pub(super) fn damaged(why: impl ToString) -> Self {
        Self::Damaged { why: why.to_string() }
    }
}
