//! Content-addressed blobs, and the index over them.
//!
//! A body is staged (written and hashed in one pass), committed under its BLAKE3 digest, and from then on immutable:
//! mode 0444, never written, never truncated, removed only by a sweep or a quarantine. [`Index`] is a sled database
//! that holds nothing which could not be rebuilt from the blobs and the journal.
//!
//! What this room deliberately does not do: it knows digests only (no products, releases or devices), it does not
//! decide who may read a blob, and it keeps no truth in the index.

mod batch;
#[cfg(test)]
mod conformance;
mod distrust;
mod error;
mod fs;
mod groups;
mod index;
mod intake;
mod layout;
mod mapped;
mod memory;
mod pipeline;
mod protect;
mod records;
mod scrub;
mod sparse;
mod staged;
mod sweep;
mod transfer;

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

pub use batch::{NamedBatch, SealedBatch};
pub use error::StoreError;
pub use fs::{FsBlobs, FsBlobsOptions};
pub use groups::{GROUP_BYTES, group_count, group_range, group_values, root_of_groups, verify_group};
pub use index::{Index, IndexOrigin};
pub use intake::{BlockingIntake, Checked, Intake, IntakeError, take_blocking};
pub use memory::MemoryBlobs;
pub use protect::Protection;
pub use records::{BlobIndex, BlobRecord, INLINE_MAX_BYTES};
pub use scrub::{ScrubOptions, ScrubProgress, ScrubReport, scrub};
pub use sparse::{PARTIAL_READ_MAX_BYTES, Sparse, SparseError, partials, remove_partial};
pub use staged::{Staged, StagedDone};
pub use sweep::{SweepReport, sweep};
pub use transfer::TransferPlan;

use crate::model::Blake3Digest;
use crate::sys::map::Mapping;

/// A place for bodies named by their digest. Every method blocks on the disk except [`BlobStore::cached`] and
/// [`BlobStore::protect`]: call them from a blocking thread.
///
/// Each implementation passes the one suite in `conformance.rs`.
pub trait BlobStore: Send + Sync + 'static {
    /// Begins an upload. `size_hint` bytes are reserved where the file system can, so that a full disk shows now, as
    /// [`StoreError::NoSpace`]; a body may turn out shorter or longer.
    fn stage(&self, size_hint: Option<u64>) -> Result<Staged, StoreError>;

    /// Gives a staged body its name; durable on return. A blob already there is hashed again: if it is damaged, it
    /// goes to quarantine and the staged bytes take its place. The protection in the answer began before the name
    /// existed; hold it until something refers to the blob.
    ///
    /// On [`StoreError::is_fatal`] the process must end, and every commit after it fails, too. After any other error the
    /// store is as it was, save for bytes that a sweep removes.
    fn commit(&self, staged: StagedDone) -> Result<Committed, StoreError>;

    /// The body of a blob of `size` bytes; none if there is no such blob. A blob with another size is
    /// [`StoreError::Corrupt`] and never handed out.
    fn open(&self, digest: &Blake3Digest, size: u64) -> Result<Option<BlobBody>, StoreError>;

    /// The body, if [`BlobStore::open`] would need no system call for it. Never blocks.
    fn cached(&self, digest: &Blake3Digest) -> Option<BlobBody>;

    /// The size of a blob in bytes; none if there is no such blob.
    fn size(&self, digest: &Blake3Digest) -> Result<Option<u64>, StoreError>;

    /// Calls `each` with the digest and size of every blob, in ascending order of digest, until it breaks. Blobs that
    /// come or go meanwhile may or may not be seen.
    fn for_each(&self, each: &mut dyn FnMut(Blake3Digest, u64) -> ControlFlow<()>) -> Result<(), StoreError>;

    /// Hashes the blob as it is stored now.
    fn verify(&self, digest: &Blake3Digest) -> Result<Verdict, StoreError>;

    /// Hashes the blob again and, if it is damaged, moves it to where it is never served from; durable on return.
    /// [`Verdict::Damaged`] means that it was moved.
    fn quarantine(&self, digest: &Blake3Digest) -> Result<Verdict, StoreError>;

    /// Keeps the blob, present or to come, from being removed until the guard is dropped.
    fn protect(&self, digest: Blake3Digest) -> Protection;

    /// Removes a blob unless it is protected or `is_referenced` says so. Both are asked at the moment of removal, and
    /// no protection can begin in between, so `is_referenced` must look at the newest snapshot at each call and must
    /// not call the store. Not durable: a power cut may bring an unreferenced blob back.
    fn remove_unless(
        &self,
        digest: &Blake3Digest,
        is_referenced: &dyn Fn(&Blake3Digest) -> bool,
    ) -> Result<Removal, StoreError>;

    /// Removes a blob unless it is protected.
    fn remove(&self, digest: &Blake3Digest) -> Result<Removal, StoreError> {
        self.remove_unless(digest, &|_| false)
    }
}

/// The answer to a commit.
#[derive(Debug)]
pub struct Committed {
    /// How the name came to be.
    pub outcome: CommitOutcome,
    /// Keeps the blob from sweeps.
    pub protection: Protection,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The blob is new.
    New,
    /// The same bytes were there, and are intact.
    Existed,
    /// Damaged bytes had the name; they are in quarantine now.
    Replaced,
}

/// What [`BlobStore::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes are what the name promises.
    Intact {
        /// In bytes.
        size: u64,
    },
    /// They are not, or cannot be read.
    Damaged {
        /// In bytes, as stored now.
        size: u64,
        /// What was seen.
        why: String,
    },
    /// There is no such blob.
    Missing,
}

/// What [`BlobStore::remove_unless`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone; this many bytes were freed once its last reader is done.
    Removed(u64),
    /// It is protected or referenced.
    Kept,
    /// There was no such blob.
    Missing,
}

/// The bytes of a blob, shared and cheap to clone. They stay readable while any clone or slice lives, whatever
/// becomes of the blob's name.
#[derive(Debug, Clone)]
pub struct BlobBody {
    /// The whole body: a read-only mapping of the blob's file, or the heap.
    pub bytes: Bytes,
    mapping: Option<Arc<Mapping>>,
}

impl BlobBody {
    /// A body on the heap.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self { bytes, mapping: None }
    }

    fn from_mapping(mapping: Mapping) -> Self {
        struct Shared(Arc<Mapping>);
        impl AsRef<[u8]> for Shared {
            fn as_ref(&self) -> &[u8] {
                self.0.as_ref().as_ref()
            }
        }
        let mapping = Arc::new(mapping);
        Self { bytes: Bytes::from_owner(Shared(Arc::clone(&mapping))), mapping: Some(mapping) }
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Asks the kernel to read these bytes of a mapped body ahead; returns before they are there. Only advice: errors
    /// are of no consequence and not reported.
    pub fn read_ahead(&self, offset: usize, length: usize) {
        if let Some(mapping) = &self.mapping {
            let _ = mapping.read_ahead(offset, length);
        }
    }
}
