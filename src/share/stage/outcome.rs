//! What a run did, and what it says on the way.

use serde::Serialize;

use crate::model::{ShareName, TargetName};

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Staged {
    /// Whose tree.
    pub share: ShareName,
    /// The journal's sequence number of the switch.
    pub switch: u64,
    /// Published, alias pending: a name that could not be switched because somebody has it open. The next run goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_pending: Option<Pending>,
    /// Files whose bytes were written.
    pub written_files: u64,
    /// Bytes of them.
    pub written_bytes: u64,
    /// Files in the tree.
    pub tree_files: u64,
    /// Bytes of them.
    pub tree_bytes: u64,
    /// Files that were found in the directory under another name or in the previous tree, by digest.
    pub reused_files: u64,
    /// Files that went away.
    pub removed_files: u64,
    /// What was not as the last run left it.
    pub repaired: Vec<Repaired>,
    /// What could not be removed because somebody has it open: the next run tries again.
    pub requeued: Vec<TargetName>,
    /// Milliseconds of the whole run.
    pub took_ms: u64,
    /// Microseconds from the first to the last name switched.
    pub switch_us: u64,
}

/// A name that waits for its switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// The file or directory.
    pub path: String,
    /// What the operating system said.
    pub why: String,
}

/// Something that was not as the last run left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// The file or directory.
    pub path: String,
    /// What was the matter.
    pub why: String,
}

/// Told while a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// What there is to do.
    Found {
        /// Files to write.
        files: u64,
        /// Bytes to write.
        bytes_to_write: u64,
    },
    /// So many bytes more were written.
    Wrote {
        /// Since the last time.
        bytes: u64,
    },
    /// Everything is ready; names are switched now.
    Publishing,
}
