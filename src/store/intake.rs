//! Taking a body whose digests are known: the one way in for what bundles carry and upstreams send.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::task::spawn_blocking;

use super::pipeline::Pipeline;
use super::{BlobStore as _, Committed, FsBlobs, Staged, StagedDone, StoreError};
use crate::model::{Blake3Digest, ObjectRef};

/// What is written and hashed at once by [`BlockingIntake`].
const BATCH_BYTES: usize = 4 << 20;

/// Why a body was not taken. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// It is as long as promised, and other bytes.
    #[error("the bytes given for blob {blob} have another {what} than was promised: fetch or copy them again")]
    Mismatch {
        /// The promised name.
        blob: Blake3Digest,
        /// Which digest differs.
        what: &'static str,
    },
    /// There was more than promised.
    #[error("more than the promised {size} bytes were given for blob {blob}: fetch or copy it again")]
    TooLong {
        /// The promised name.
        blob: Blake3Digest,
        /// The promised length in bytes.
        size: u64,
    },
    /// There was less than promised.
    #[error("only {len} of the promised {size} bytes were given for blob {blob}: fetch or copy it again")]
    Short {
        /// The promised name.
        blob: Blake3Digest,
        /// What was given, in bytes.
        len: u64,
        /// The promised length in bytes.
        size: u64,
    },
    /// The bytes could not be read from where they come.
    #[error("the bytes for blob {blob} cannot be read: {cause}")]
    Read {
        /// The promised name.
        blob: Blake3Digest,
        /// The reader's answer.
        cause: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A body that has the promised digests and length, and waits for its name: see [`FsBlobs::seal_all`].
#[derive(Debug)]
pub struct Checked(StagedDone);

impl Checked {
    /// A body in memory. Hashes at once.
    pub fn of_bytes(expected: &ObjectRef, bytes: Bytes) -> Result<Self, IntakeError> {
        check_room(expected, 0, bytes.len())?;
        check_end(expected, bytes.len() as u64)?;
        Self::of_staged(expected, StagedDone::from_bytes(bytes))
    }

    fn of_staged(expected: &ObjectRef, done: StagedDone) -> Result<Self, IntakeError> {
        check(expected, &done)?;
        Ok(Self(done))
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    pub(super) fn into_staged(self) -> StagedDone {
        self.0
    }
}

/// A body being received of which both digests and the length are promised. It gets its name only if all three are
/// right, and vanishes when dropped. Needs a tokio runtime around it.
#[derive(Debug)]
pub struct Intake {
    store: Arc<FsBlobs>,
    expected: ObjectRef,
    staged: Staged,
}

impl Intake {
    /// Begins, and reserves the space. Makes a few quick system calls.
    pub fn begin(store: &Arc<FsBlobs>, expected: ObjectRef) -> Result<Self, IntakeError> {
        let staged = store.stage(Some(expected.size))?;
        Ok(Self { store: Arc::clone(store), expected, staged })
    }

    /// Adds bytes at the end; all or, when they are more than was promised, none of them. See [`Staged::append`].
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), IntakeError> {
        check_room(&self.expected, self.staged.len(), bytes.len())?;
        Ok(self.staged.append(bytes).await?)
    }

    /// How many bytes arrived: where a sender goes on that was interrupted.
    pub fn len(&self) -> u64 {
        self.staged.len()
    }

    /// Whether nothing arrived yet.
    pub fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }

    /// What was promised.
    pub fn expected(&self) -> &ObjectRef {
        &self.expected
    }

    /// Waits until everything so far is written and hashed; see [`Staged::settle`].
    pub async fn settle(&mut self) -> Result<(), IntakeError> {
        Ok(self.staged.settle().await?)
    }

    /// Compares, then gives the body its name; durable on return.
    pub async fn finish(self) -> Result<Committed, IntakeError> {
        let store = Arc::clone(&self.store);
        let Checked(done) = self.check().await?;
        let committed = spawn_blocking(move || store.commit(done)).await;
        Ok(committed.map_err(|error| StoreError::write("commit to", "staging".as_ref(), io::Error::other(error)))??)
    }
}

impl Intake {
    /// Compares, and leaves it to the caller to give the body its name, together with others.
    pub async fn check(self) -> Result<Checked, IntakeError> {
        check_end(&self.expected, self.staged.len())?;
        Checked::of_staged(&self.expected, self.staged.finish().await?)
    }
}

/// [`Intake`] for threads that may block, with or without a runtime. It holds at most 4 MiB of the body.
#[derive(Debug)]
pub struct BlockingIntake<'a> {
    store: &'a FsBlobs,
    expected: ObjectRef,
    pipeline: Pipeline,
    batch: BytesMut,
    len: u64,
}

impl<'a> BlockingIntake<'a> {
    /// Begins, and reserves the space.
    pub fn begin(store: &'a FsBlobs, expected: ObjectRef) -> Result<Self, IntakeError> {
        let pipeline = store.pipeline(Some(expected.size))?;
        let batch = BytesMut::with_capacity(BATCH_BYTES.min(usize::try_from(expected.size).unwrap_or(BATCH_BYTES)));
        Ok(Self { store, expected, pipeline, batch, len: 0 })
    }

    /// Adds bytes at the end; when they are more than was promised, none of them.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<(), IntakeError> {
        check_room(&self.expected, self.len, bytes.len())?;
        self.len += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BATCH_BYTES - self.batch.len()));
            self.batch.extend_from_slice(now);
            bytes = later;
            if self.batch.len() >= BATCH_BYTES {
                self.hand_over()?;
            }
        }
        Ok(())
    }

    /// How many bytes arrived.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing arrived yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Compares, then gives the body its name; durable on return.
    pub fn finish(self) -> Result<Committed, IntakeError> {
        let store = self.store;
        let Checked(done) = self.check()?;
        Ok(store.commit(done)?)
    }

    /// Compares, and leaves it to the caller to give the body its name, together with others.
    pub fn check(mut self) -> Result<Checked, IntakeError> {
        check_end(&self.expected, self.len)?;
        self.hand_over()?;
        Checked::of_staged(&self.expected, StagedDone::of_hashed(self.pipeline.finish()?))
    }

    fn hand_over(&mut self) -> Result<(), StoreError> {
        let batch = [std::mem::take(&mut self.batch).freeze()];
        self.pipeline.take(&batch)?;
        let [batch] = batch;
        // A fresh buffer for each batch would cost as much as the copy: the kernel hands out zeroed pages.
        self.batch = batch.try_into_mut().unwrap_or_default();
        self.batch.clear();
        Ok(())
    }
}

/// Takes a body from a reader to its end. Blocks; `reader` needs no buffer of its own.
pub fn take_blocking(store: &FsBlobs, expected: ObjectRef, mut reader: impl Read) -> Result<Committed, IntakeError> {
    let mut intake = BlockingIntake::begin(store, expected)?;
    let mut piece = vec![0; 256 << 10];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return intake.finish(),
            Ok(count) => intake.append(&piece[..count])?,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(IntakeError::Read { blob: expected.blake3, cause }),
        }
    }
}

fn check_room(expected: &ObjectRef, len: u64, more: usize) -> Result<(), IntakeError> {
    let ObjectRef { blake3: blob, size, .. } = *expected;
    if more as u64 > size.saturating_sub(len) {
        return Err(IntakeError::TooLong { blob, size });
    }
    Ok(())
}

fn check_end(expected: &ObjectRef, len: u64) -> Result<(), IntakeError> {
    let ObjectRef { blake3: blob, size, .. } = *expected;
    if len < size {
        return Err(IntakeError::Short { blob, len, size });
    }
    Ok(())
}

/// Whether a body that was written and hashed is the promised one.
pub(super) fn check(expected: &ObjectRef, done: &StagedDone) -> Result<(), IntakeError> {
    let blob = expected.blake3;
    if *done.blake3() != expected.blake3 {
        return Err(IntakeError::Mismatch { blob, what: "BLAKE3" });
    }
    if *done.sha256() != expected.sha256 {
        return Err(IntakeError::Mismatch { blob, what: "SHA-256" });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
