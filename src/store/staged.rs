//! Receiving a body of any size from an async task without blocking its runtime or holding the body in memory.

use std::fs::File;
use std::io;

use bytes::{Bytes, BytesMut};
use tokio::task::{JoinHandle, spawn_blocking};

use super::StoreError;
use super::pipeline::{Content, Hashed, Pipeline};
use crate::model::{Blake3Digest, Sha256Digest};
use crate::sys::map::Mapping;

/// A batch is handed to the blocking thread when it has this many bytes. Two batches exist at most: one being
/// written, one being filled; this bounds the memory of an upload whatever its size.
const BATCH_BYTES: usize = 4 << 20;
/// Smaller pieces are copied together: each would otherwise cost a slot in the batch and may pin a whole receive
/// buffer.
const COPY_BELOW_BYTES: usize = 16 << 10;

/// An upload being received. It has no name in the store and vanishes when dropped.
///
/// It outlives any one connection: a sender that breaks off simply stops appending, and another one continues at
/// [`Staged::len`]. Between batches it holds no thread. All its methods need a tokio runtime around them.
#[derive(Debug)]
pub struct Staged {
    state: State,
    pieces: Vec<Bytes>,
    /// The small pieces at the end of the batch, copied together.
    tail: BytesMut,
    batch_len: usize,
    len: u64,
}

#[derive(Debug)]
enum State {
    Idle(Box<Pipeline>),
    Busy(JoinHandle<Result<Box<Pipeline>, StoreError>>),
    /// The file is gone already and its space free again.
    Failed(StoreError),
}

/// A received body, hashed, and not yet in the store: what the gates look at.
#[derive(Debug)]
pub struct StagedDone {
    hashed: Hashed,
}

impl Staged {
    pub(super) fn new(pipeline: Pipeline) -> Self {
        let state = State::Idle(Box::new(pipeline));
        Self { state, pieces: Vec::new(), tail: BytesMut::new(), batch_len: 0, len: 0 }
    }

    /// Adds bytes at the end, waiting when the disk or the hashes are behind.
    ///
    /// If the future is dropped while it waits, none of `bytes` was added. Bytes are written in the background: an
    /// error (such as [`StoreError::NoSpace`]) may show at a later call, and then at every call after it, for this
    /// upload only.
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        if self.batch_len >= BATCH_BYTES {
            self.hand_over().await?;
        } else if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        self.batch_len += bytes.len();
        self.len += bytes.len() as u64;
        if bytes.len() < COPY_BELOW_BYTES {
            self.tail.extend_from_slice(&bytes);
        } else {
            self.cut_tail();
            self.pieces.push(bytes);
        }
        Ok(())
    }

    /// The number of bytes appended, in order and without a gap: the offset at which the sender continues.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Waits until everything appended is written and hashed (not durable yet). To be called when a sender has
    /// ended its part: it learns of a full disk at once, and a waiting upload holds no memory.
    pub async fn settle(&mut self) -> Result<(), StoreError> {
        if self.batch_len > 0 {
            self.hand_over().await?;
        }
        self.rest().await
    }

    /// Ends the upload: all bytes are written (not durable yet), and both digests known.
    pub async fn finish(mut self) -> Result<StagedDone, StoreError> {
        self.settle().await?;
        match self.state {
            State::Idle(pipeline) => {
                let hashed = spawn_blocking(move || pipeline.finish()).await.map_err(stopped)??;
                Ok(StagedDone { hashed })
            }
            State::Failed(error) => Err(error),
            State::Busy(_) => Err(stopped("its last batch did not end")),
        }
    }

    /// Waits for the batch under way, then starts the one that was filled meanwhile.
    async fn hand_over(&mut self) -> Result<(), StoreError> {
        self.rest().await?;
        self.cut_tail();
        let placeholder = State::Failed(stopped("its batch was lost"));
        if let State::Idle(mut pipeline) = std::mem::replace(&mut self.state, placeholder) {
            let batch = std::mem::take(&mut self.pieces);
            self.batch_len = 0;
            self.state = State::Busy(spawn_blocking(move || pipeline.take(&batch).map(|()| pipeline)));
        }
        Ok(())
    }

    /// Waits until no batch is under way.
    async fn rest(&mut self) -> Result<(), StoreError> {
        if let State::Busy(batch) = &mut self.state {
            self.state = match batch.await {
                Ok(Ok(pipeline)) => State::Idle(pipeline),
                Ok(Err(error)) => State::Failed(error),
                Err(error) => State::Failed(stopped(error)),
            };
        }
        match &self.state {
            State::Failed(error) => Err(error.clone()),
            State::Idle(_) | State::Busy(_) => Ok(()),
        }
    }

    fn cut_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(self.tail.split().freeze());
        }
    }
}

/// The worker of an upload ended before its work: the process is shutting down.
fn stopped(cause: impl ToString) -> StoreError {
    let cause = std::sync::Arc::new(io::Error::other(cause.to_string()));
    StoreError::Io { path: "staging".into(), what: "complete an upload in", cause }
}

impl StagedDone {
    /// A body made in this process. Hashes at once: keep it off the runtime's threads when it is large.
    pub fn from_bytes(bytes: Bytes) -> Self {
        let (blake3, sha256) = (Blake3Digest::of(&bytes), Sha256Digest::of(&bytes));
        let size = bytes.len() as u64;
        Self { hashed: Hashed { content: Content::Memory(vec![bytes]), blake3, sha256, size } }
    }

    /// A body that was written and hashed by other means than [`Staged`].
    pub(super) fn of_hashed(hashed: Hashed) -> Self {
        Self { hashed }
    }

    /// The name the body will have.
    pub fn blake3(&self) -> &Blake3Digest {
        &self.hashed.blake3
    }

    /// The digest that vendors publish.
    pub fn sha256(&self) -> &Sha256Digest {
        &self.hashed.sha256
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.hashed.size
    }

    /// The staged bytes, for the gates to look at: a mapping, so a large body costs no heap, but reading it may wait
    /// for the disk.
    pub fn bytes(&self) -> Result<Bytes, StoreError> {
        match &self.hashed.content {
            // Nothing writes to the file after `finish`, so it may be mapped before it is committed.
            Content::File(file) => Mapping::of_immutable(file.file())
                .map(Bytes::from_owner)
                .map_err(|cause| StoreError::read("map a staged upload in", "staging".as_ref(), cause)),
            Content::Memory(pieces) => Ok(match pieces.as_slice() {
                [whole] => whole.clone(),
                pieces => pieces.concat().into(),
            }),
        }
    }

    /// The staged file, if it is one: for a command that reads `/proc/self/fd/<n>`.
    pub fn file(&self) -> Option<&File> {
        match &self.hashed.content {
            Content::File(file) => Some(file.file()),
            Content::Memory(_) => None,
        }
    }

    pub(super) fn into_content(self) -> Content {
        self.hashed.content
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BlobStore as _, FsBlobs, FsBlobsOptions};
    use super::*;

    fn store() -> (FsBlobs, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        (FsBlobs::open(dir.path(), &FsBlobsOptions::default()).unwrap(), dir)
    }

    #[tokio::test]
    async fn an_upload_continues_where_it_broke_off() {
        let (store, _dir) = store();
        let mut staged = store.stage(Some(6)).unwrap();
        assert!(staged.is_empty());
        staged.append(Bytes::from_static(b"abc")).await.unwrap();
        staged.settle().await.unwrap();
        assert_eq!(staged.len(), 3);
        staged.append(Bytes::from_static(b"def")).await.unwrap();
        let done = staged.finish().await.unwrap();
        assert_eq!(*done.blake3(), Blake3Digest::of(b"abcdef"));
        assert!(done.file().is_some());
    }

    #[tokio::test]
    async fn a_dropped_append_has_added_nothing() {
        let (store, _dir) = store();
        let mut staged = store.stage(None).unwrap();
        let piece = Bytes::from(vec![7; BATCH_BYTES]);
        let mut appended = Vec::new();
        for _ in 0..8 {
            // Polled once, then dropped wherever it stands, like the body of a broken connection.
            let before = staged.len();
            tokio::select! {
                biased;
                done = staged.append(piece.clone()) => done.unwrap(),
                () = std::future::ready(()) => {}
            }
            appended.extend(std::iter::repeat_n(7, (staged.len() - before) as usize));
        }
        let done = staged.finish().await.unwrap();
        assert_eq!(done.size(), appended.len() as u64);
        assert_eq!(*done.blake3(), Blake3Digest::of(&appended));
    }

    #[tokio::test]
    async fn a_size_no_disk_has_is_refused_at_once() {
        let (store, _dir) = store();
        for size in [1 << 60, u64::MAX] {
            let refused = store.stage(Some(size)).unwrap_err();
            assert!(matches!(refused, StoreError::NoSpace { needed: Some(needed), .. } if needed == size), "{refused}");
        }
    }

    #[tokio::test]
    async fn unused_reservations_are_given_back() {
        use std::os::unix::fs::MetadataExt as _;
        let (store, _dir) = store();
        let mut staged = store.stage(Some(16 << 20)).unwrap();
        staged.append(Bytes::from_static(b"short")).await.unwrap();
        let done = staged.finish().await.unwrap();
        assert!(done.file().unwrap().metadata().unwrap().blocks() <= 8);
    }

    #[tokio::test]
    #[ignore = "needs TMPDIR on a file system of at most 64 MiB"]
    async fn a_full_disk_fails_only_the_upload_in_hand() {
        let (store, _dir) = store();
        let mut small = store.stage(Some(1 << 20)).unwrap();
        let mut large = store.stage(None).unwrap();
        let piece = Bytes::from(vec![7; 1 << 20]);
        let mut outcome = Ok(());
        for _ in 0..100 {
            outcome = large.append(piece.clone()).await;
            if outcome.is_err() {
                break;
            }
        }
        assert!(matches!(outcome, Err(StoreError::NoSpace { needed: Some(_), .. })), "{outcome:?}");
        assert!(large.append(piece.clone()).await.is_err(), "the error stays");
        small.append(piece.clone()).await.unwrap();
        let done = small.finish().await.unwrap();
        store.commit(done).unwrap();
        // The failed upload has freed its space although it is still held.
        let mut next = store.stage(Some(8 << 20)).unwrap();
        next.append(piece).await.unwrap();
        next.finish().await.unwrap();
    }
}
