//! Many bodies at once, with the fsyncs of a few: what 20,000 small files would otherwise spend minutes on.
//!
//! A batch goes through three steps, which different threads may take for different batches at the same time: its bodies
//! are written ([`FsBlobs::seal_all`]), get their names ([`FsBlobs::name_all`]), and the names become durable: with the
//! next batch, or at the end ([`FsBlobs::settle`]). Each batch so costs one flush of the file system.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::pipeline::{self, Content};
use super::{Checked, Committed, FsBlobs, Protection, StagedDone, StoreError};
use crate::model::Blake3Digest;
use crate::sys::durable;
use crate::sys::fault;
use crate::sys::unnamed::UnnamedFile;

/// Fewer than these are committed one by one: bringing a whole file system to the disk costs more.
const BATCH_LEAST: usize = 4;

/// A batch of bodies in files that have no names yet, not durable. They vanish when dropped.
#[derive(Debug)]
#[must_use = "the bodies have no names yet"]
pub struct SealedBatch(Vec<SealedBody>);

#[derive(Debug)]
struct SealedBody {
    digest: Blake3Digest,
    protection: Protection,
    file: UnnamedFile,
}

/// A batch of bodies that have their names: the bodies are durable, and the names not yet.
#[derive(Debug, Default)]
#[must_use = "the names are not durable yet"]
pub struct NamedBatch(Vec<Committed>);

impl FsBlobs {
    /// Writes checked bodies to files. Nothing is durable on return.
    pub fn seal_all(&self, checked: Vec<Checked>) -> Result<SealedBatch, StoreError> {
        use super::BlobStore as _;
        let seal = |one: Checked| {
            let staged = one.into_staged();
            let digest = *staged.blake3();
            Ok(SealedBody { digest, protection: self.protect(digest), file: self.sealed(staged)? })
        };
        checked.into_iter().map(seal).collect::<Result<_, _>>().map(SealedBatch)
    }

    /// Gives a batch its names, and returns the batch named before it, which is durable now, in the order given. Bodies
    /// are durable before the first name appears, as with [`super::BlobStore::commit`].
    ///
    /// Whatever else is written on this file system meanwhile is waited for, too. After an error some of the bodies may
    /// have their names; a sweep removes them.
    pub fn name_all(
        &self,
        before: NamedBatch,
        sealed: SealedBatch,
    ) -> Result<(Vec<Committed>, NamedBatch), StoreError> {
        self.distrust.judge(self.name_batch(before, sealed))
    }

    fn name_batch(&self, before: NamedBatch, sealed: SealedBatch) -> Result<(Vec<Committed>, NamedBatch), StoreError> {
        let staging = &self.layout.staging;
        if before.0.len() < BATCH_LEAST && sealed.0.len() < BATCH_LEAST {
            self.sync_each(&before)?;
            for body in &sealed.0 {
                body.file.file().sync_all().map_err(|cause| StoreError::sync_unnamed(staging, cause))?;
            }
        } else {
            // Of what may be told here, only bodies can find the disk full: a name has its room once it is given.
            durable::sync_file_system(staging).map_err(|cause| StoreError::sync_unnamed(staging, cause))?;
        }
        fault::point("store.batch-synced");
        let mut named = Vec::with_capacity(sealed.0.len());
        for SealedBody { digest, protection, file } in sealed.0 {
            self.layout.create_leaf_for_now(&digest)?;
            named.push(Committed { outcome: self.name(&file, &digest)?, protection });
        }
        fault::point("store.batch-linked");
        Ok((before.0, NamedBatch(named)))
    }

    /// Makes the names of the last batch durable.
    pub fn settle(&self, named: NamedBatch) -> Result<Vec<Committed>, StoreError> {
        if named.0.len() < BATCH_LEAST {
            self.distrust.judge(self.sync_each(&named))?;
        } else {
            self.flush()?;
        }
        Ok(named.0)
    }

    fn sync_each(&self, named: &NamedBatch) -> Result<(), StoreError> {
        named.0.iter().try_for_each(|one| self.layout.sync_names(one.protection.digest()))
    }

    /// Makes everything durable that is in the store, by whomever it was written.
    pub fn flush(&self) -> Result<(), StoreError> {
        let blobs = &self.layout.blobs;
        self.distrust.judge(durable::sync_file_system(blobs).map_err(|cause| StoreError::sync(blobs, cause)))
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
    fn batches_are_as_good_as_one_after_the_other() {
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
        let mut checked: Vec<Checked> = checked.collect();
        let (mut committed, mut named) = (Vec::new(), NamedBatch::default());
        // Large ones, small ones and an empty one follow each other.
        for length in [50, 1, 2, 0, 30, 17] {
            let sealed = store.seal_all(checked.drain(..length).collect()).unwrap();
            let (durable, next) = store.name_all(named, sealed).unwrap();
            committed.extend(durable);
            named = next;
        }
        committed.extend(store.settle(named).unwrap());
        assert!(checked.is_empty() && committed.len() == bodies.len());
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
