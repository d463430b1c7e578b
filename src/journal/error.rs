//! Why the journal cannot be read or written, each as one sentence with its place.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::Blake3Digest;

/// The longest line, in bytes: 16 MiB. Longer ones are neither written nor read.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file ends inside the line although another segment follows.
    #[error("the line is cut although more segments follow")]
    Cut,
    /// The line is longer than [`MAX_LINE_BYTES`].
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// The line is not text.
    #[error("the line is not UTF-8")]
    NotUtf8,
    /// The line does not end in its hash.
    #[error("the line does not end in its hash")]
    NoHash,
    /// The line's bytes are not those that were hashed.
    #[error("the line's bytes do not match its hash")]
    Hash,
    /// The line is hashed well but is not an event that this version knows.
    #[error("the line is not an event record: {0}")]
    NotARecord(String),
    /// A line is missing, doubled or out of place.
    #[error("the line has seq {found} where {expected} belongs")]
    Seq {
        /// What belongs here.
        expected: u64,
        /// What is here.
        found: u64,
    },
    /// The line does not continue the line before it.
    #[error("the line does not continue the chain: its prev is not the hash of the line before it")]
    Prev,
    /// The line is older than the line before it.
    #[error("the line's time is before that of the line before it")]
    Time,
}

/// Why the journal (or a log of report lines) cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A segment that must exist does not.
    #[error("the segment {} is missing; put it back from a backup", .path.display())]
    MissingSegment {
        /// Which.
        path: PathBuf,
    },
    /// A segment with later ones after it is empty.
    #[error("the segment {} is empty although more segments follow; put it back from a backup", .path.display())]
    EmptySegment {
        /// Which.
        path: PathBuf,
    },
    /// A line is not what was written there.
    #[error("{} is damaged at line {line} (byte {offset}): {fault}; nothing was changed, put the file back from a backup", .path.display())]
    Broken {
        /// The segment.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Where the line starts, in bytes from 0.
        offset: u64,
        /// What is wrong.
        fault: Fault,
    },
    /// A line of another server's journal does not continue this one.
    #[error("event {seq} of the upstream's journal does not continue this one: {fault}")]
    Foreign {
        /// The event that comes next.
        seq: u64,
        /// What is wrong with the line.
        fault: Fault,
    },
    /// The reader of the records did not accept one.
    #[error("{} line {line} (byte {offset}) cannot be applied: {reason}", .path.display())]
    Rejected {
        /// The segment.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Where the line starts, in bytes from 0.
        offset: u64,
        /// What the reader said.
        reason: String,
    },
    /// The snapshot to continue from does not belong to this journal: rebuild from the whole journal. Where nothing
    /// was `found`, the journal ends before the snapshot does: fsynced records are gone.
    #[error("the snapshot at seq {seq} does not belong to this journal ({})", place_holds(.found))]
    SnapshotMismatch {
        /// Where the snapshot ends.
        seq: u64,
        /// The hash it has for that record.
        expected: Blake3Digest,
        /// The journal's hash for it.
        found: Option<Blake3Digest>,
    },
    /// The journal is whole in itself but not the one that the head was taken from: rewritten or cut short.
    #[error("the journal does not hold the head {expected} at seq {seq} ({}): it was rewritten or cut short", place_holds(.found))]
    HeadMismatch {
        /// The head's place.
        seq: u64,
        /// The head's hash.
        expected: Blake3Digest,
        /// The journal's hash at that place.
        found: Option<Blake3Digest>,
    },
    /// The disk has no room; nothing was queued.
    #[error("no space for {needed_bytes} more bytes in {}: {source}", .path.display())]
    NoSpace {
        /// The segment.
        path: PathBuf,
        /// How much was to be reserved.
        needed_bytes: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// A line is longer than [`MAX_LINE_BYTES`]; nothing was queued.
    #[error("a line of {bytes} bytes is longer than the {MAX_LINE_BYTES} that a line may have")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A line holds a line feed, or nothing; nothing was queued.
    #[error("what is appended must be one line of text that is not empty")]
    NotOneLine,
    /// An event cannot be written as JSON; nothing was queued.
    #[error("the event cannot be written as JSON: {0}")]
    NotJson(serde_json::Error),
    /// The disk is so far behind that nothing more is queued; try again later.
    #[error("the disk is behind by {queued_bytes} bytes; nothing more is accepted until it has caught up")]
    Backlog {
        /// How much is queued.
        queued_bytes: usize,
    },
    /// Somebody waits for a record that was never queued.
    #[error("no record {seq} was ever queued")]
    NeverQueued {
        /// Which.
        seq: u64,
    },
    /// A write or fsync failed: nothing is written any more and the process must be restarted.
    #[error("{reason}; nothing more is written until a restart")]
    Failed {
        /// The first failure, with its path.
        reason: Arc<str>,
    },
}

fn place_holds(found: &Option<Blake3Digest>) -> String {
    found.map_or_else(|| "the journal ends before it".to_owned(), |hash| format!("it has {hash} there"))
}

impl JournalError {
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
