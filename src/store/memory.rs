//! Blobs on the heap, for the tests of the rooms above.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::pipeline::Pipeline;
use super::protect::Protections;
use super::{
    BlobBody, BlobStore, CommitOutcome, Committed, Protection, Removal, Staged, StagedDone, StoreError, Verdict,
};
use crate::model::Blake3Digest;

/// A store that forgets everything with the process and behaves like the real one until then.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    bodies: Mutex<BTreeMap<Blake3Digest, Bytes>>,
    protections: Protections,
}

impl MemoryBlobs {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the stored bytes of a blob, to see what becomes of a damaged one.
    pub fn damage(&self, digest: &Blake3Digest, bytes: Bytes) {
        self.bodies().insert(*digest, bytes);
    }

    fn bodies(&self) -> MutexGuard<'_, BTreeMap<Blake3Digest, Bytes>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore for MemoryBlobs {
    fn stage(&self, _size_hint: Option<u64>) -> Result<Staged, StoreError> {
        Ok(Staged::new(Pipeline::to_memory()))
    }

    fn commit(&self, staged: StagedDone) -> Result<Committed, StoreError> {
        let digest = *staged.blake3();
        let protection = self.protections.protect(digest);
        let outcome = match self.verify(&digest)? {
            Verdict::Intact { .. } => CommitOutcome::Existed,
            Verdict::Damaged { .. } => CommitOutcome::Replaced,
            Verdict::Missing => CommitOutcome::New,
        };
        if outcome != CommitOutcome::Existed {
            // A copy, because a staged mapping would keep a file of another store alive.
            let bytes = Bytes::copy_from_slice(&staged.bytes()?);
            self.bodies().insert(digest, bytes);
        }
        Ok(Committed { outcome, protection })
    }

    fn open(&self, digest: &Blake3Digest, size: u64) -> Result<Option<BlobBody>, StoreError> {
        let Some(body) = self.cached(digest) else { return Ok(None) };
        if body.size() == size {
            return Ok(Some(body));
        }
        let why = format!("it has {} bytes instead of {size}", body.size());
        Err(StoreError::Corrupt { digest: *digest, path: "memory".into(), why })
    }

    fn cached(&self, digest: &Blake3Digest) -> Option<BlobBody> {
        self.bodies().get(digest).cloned().map(BlobBody::from_bytes)
    }

    fn size(&self, digest: &Blake3Digest) -> Result<Option<u64>, StoreError> {
        Ok(self.cached(digest).map(|body| body.size()))
    }

    fn for_each(&self, each: &mut dyn FnMut(Blake3Digest, u64) -> ControlFlow<()>) -> Result<(), StoreError> {
        let sizes: Vec<_> = self.bodies().iter().map(|(digest, bytes)| (*digest, bytes.len() as u64)).collect();
        // Ending early is the caller's wish, not an outcome.
        let _ = sizes.into_iter().try_for_each(|(digest, size)| each(digest, size));
        Ok(())
    }

    fn verify(&self, digest: &Blake3Digest) -> Result<Verdict, StoreError> {
        Ok(judge(digest, self.bodies().get(digest)))
    }

    fn quarantine(&self, digest: &Blake3Digest) -> Result<Verdict, StoreError> {
        let mut bodies = self.bodies();
        let verdict = judge(digest, bodies.get(digest));
        if let Verdict::Damaged { .. } = verdict {
            bodies.remove(digest);
        }
        Ok(verdict)
    }

    fn protect(&self, digest: Blake3Digest) -> Protection {
        self.protections.protect(digest)
    }

    fn remove_unless(
        &self,
        digest: &Blake3Digest,
        is_referenced: &dyn Fn(&Blake3Digest) -> bool,
    ) -> Result<Removal, StoreError> {
        let remove = || {
            if is_referenced(digest) {
                return Removal::Kept;
            }
            self.bodies().remove(digest).map_or(Removal::Missing, |bytes| Removal::Removed(bytes.len() as u64))
        };
        Ok(self.protections.unless_protected(digest, remove).unwrap_or(Removal::Kept))
    }
}

fn judge(digest: &Blake3Digest, bytes: Option<&Bytes>) -> Verdict {
    let Some(bytes) = bytes else { return Verdict::Missing };
    let (size, found) = (bytes.len() as u64, Blake3Digest::of(bytes));
    if found == *digest {
        return Verdict::Intact { size };
    }
    Verdict::Damaged { size, why: format!("its bytes hash to {found}") }
}
