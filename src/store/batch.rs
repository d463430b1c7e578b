//! Many bodies at once, with the fsyncs of a few: what 20,000 small files would otherwise spend minutes on.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::pipeline::{self, Content};
use super::{Checked, Committed, FsBlobs, StagedDone, StoreError};
use crate::sys::durable;
use crate::sys::fault;
use crate::sys::unnamed::UnnamedFile;

/// Fewer than these are committed one by one: bringing a whole file system to the disk costs more.
const BATCH_LEAST: usize = 4;

impl FsBlobs {
    /// Gives checked bodies their names, as [`super::BlobStore::commit`] does with one; all of them are durable on return,
    /// in the order given. The bodies are durable before the first name appears, as with one.
    ///
    /// Whatever else is written on this file system meanwhile is waited for, too. After an error some of the bodies may
    /// have their names; a sweep removes them.
    pub fn commit_all(&self, checked: Vec<Checked>) -> Result<Vec<Committed>, StoreError> {
        use super::BlobStore as _;
        let staged: Vec<StagedDone> = checked.into_iter().map(Checked::into_staged).collect();
        if staged.len() < BATCH_LEAST {
            return staged.into_iter().map(|one| self.commit(one)).collect();
        }
        let mut ready = Vec::with_capacity(staged.len());
        for one in staged {
            let digest = *one.blake3();
            let protection = self.protect(digest);
            ready.push((digest, protection, self.sealed(one)?));
        }
        let staging = &self.layout.staging;
        durable::sync_file_system(staging).map_err(|cause| StoreError::sync_unnamed(staging, cause))?;
        fault::point("store.batch-synced");
        let mut committed = Vec::with_capacity(ready.len());
        for (digest, protection, file) in ready {
            self.layout.create_leaf_for_now(&digest)?;
            committed.push(Committed { outcome: self.name(&file, &digest)?, protection });
        }
        fault::point("store.batch-linked");
        let blobs = &self.layout.blobs;
        durable::sync_file_system(blobs).map_err(|cause| StoreError::sync(blobs, cause))?;
        Ok(committed)
    }

    /// The body in a file that only has to be fsynced and named.
    fn sealed(&self, staged: StagedDone) -> Result<UnnamedFile, StoreError> {
        let staging = &self.layout.staging;
        let file = match staged.into_content() {
            Content::File(file) => file,
            Content::Memory(pieces) => pipeline::write_unnamed(staging, &pieces)?,
        };
        let sealed = file.file().set_permissions(Permissions::from_mode(0o444));
        sealed.map_err(|cause| StoreError::write("change the mode of a file in", staging, cause))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{BlobStore as _, CommitOutcome, FsBlobsOptions, Verdict};
    use super::*;
    use crate::model::{Blake3Digest, ObjectRef, Sha256Digest};

    #[test]
    fn a_batch_is_as_good_as_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let store = FsBlobs::open(dir.path(), &FsBlobsOptions::default()).unwrap();
        let bodies: Vec<Bytes> = (0..100u32).map(|number| Bytes::from(number.to_le_bytes().repeat(9))).collect();
        let damaged = Blake3Digest::of(&bodies[7]);
        let _ = store.commit(StagedDone::from_bytes(bodies[3].clone())).unwrap();
        let _ = store.commit(StagedDone::from_bytes(bodies[7].clone())).unwrap();
        let path = store.path(&damaged);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"bad").unwrap();
        let checked = bodies.iter().map(|body| {
            let expected =
                ObjectRef { blake3: Blake3Digest::of(body), sha256: Sha256Digest::of(body), size: body.len() as u64 };
            assert!(Checked::of_bytes(&expected, body.slice(1..)).is_err());
            let other = ObjectRef { sha256: Sha256Digest::of(b"other"), ..expected };
            assert!(Checked::of_bytes(&other, body.clone()).is_err());
            Checked::of_bytes(&expected, body.clone()).unwrap()
        });
        let committed = store.commit_all(checked.collect()).unwrap();
        for (number, (body, committed)) in bodies.iter().zip(&committed).enumerate() {
            let digest = Blake3Digest::of(body);
            assert_eq!(*committed.protection.digest(), digest);
            let expected = match number {
                3 => CommitOutcome::Existed,
                7 => CommitOutcome::Replaced,
                _ => CommitOutcome::New,
            };
            assert_eq!(committed.outcome, expected);
            assert_eq!(store.verify(&digest).unwrap(), Verdict::Intact { size: body.len() as u64 });
            assert_eq!(store.path(&digest).metadata().unwrap().permissions().mode() & 0o7777, 0o444);
        }
    }
}
