//! Reading the packed bytes of objects: to hash them, and to send volumes.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::pack::{PackedSet, Source};
use super::{ExportError, ExportSession};
use crate::bundle::Span;
use crate::model::Sha256Digest;
use crate::store::{BlobStore as _, FsBlobs};
use crate::sys::map::release_pages;

/// What is read at once.
const PIECE_BYTES: usize = 256 << 10;
/// How many pieces are read ahead of whoever takes them.
const PIECES_AHEAD: usize = 4;

impl PackedSet {
    /// SHA-256 of some of an object's packed bytes.
    pub(super) fn hash(&self, store: &FsBlobs, object: usize, range: Range<u64>) -> Result<Sha256Digest, ExportError> {
        let mut hasher = Sha256::new();
        self.read(store, object, range, &mut |piece| {
            hasher.update(&piece);
            true
        })?;
        Ok(Sha256Digest::from_bytes(hasher.finalize().into()))
    }

    /// Reads some of an object's packed bytes, piece by piece, until `take` wants no more; says whether it took all.
    fn read(
        &self,
        store: &FsBlobs,
        object: usize,
        range: Range<u64>,
        take: &mut dyn FnMut(Bytes) -> bool,
    ) -> Result<bool, ExportError> {
        let mut at = range.start;
        let next = |at: u64| usize::try_from(range.end - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        match self.sources[object] {
            Source::Store(blob) => {
                let missing = || ExportError::Missing { blob: blob.blake3, what: "the bundle".to_owned() };
                let body = store.open(&blob.blake3, blob.size)?.ok_or_else(missing)?;
                while at < range.end {
                    // Copied, so that the pages of a long body are not this process's memory while it is sent.
                    let slice = &body.bytes[at as usize..at as usize + next(at)];
                    body.read_ahead(at as usize + slice.len(), 4 * PIECE_BYTES);
                    let piece = Bytes::copy_from_slice(slice);
                    release_pages(slice);
                    at += piece.len() as u64;
                    if !take(piece) {
                        return Ok(false);
                    }
                }
            }
            Source::Spool(start) => {
                while at < range.end {
                    let piece = self.spool.read(start + at, next(at));
                    let piece =
                        piece.map_err(|cause| ExportError::Spool { path: self.spool.dir().to_owned(), cause })?;
                    at += piece.len() as u64;
                    if !take(piece.into()) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

/// A volume on its way.
#[derive(Debug)]
pub struct VolumeStream {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
}

/// What comes next of a stream.
pub type Waiting = Poll<Option<io::Result<Bytes>>>;

impl VolumeStream {
    /// How many bytes are still to come.
    pub fn left_bytes(&self) -> u64 {
        self.left
    }

    /// The next piece, if it is there.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Waiting {
        let next = self.pieces.poll_recv(context);
        if let Poll::Ready(Some(Ok(piece))) = &next {
            self.left = self.left.saturating_sub(piece.len() as u64);
        }
        match next {
            Poll::Ready(None) if self.left > 0 => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            other => other,
        }
    }
}

/// Begins to read a volume, on a thread that may block, as far ahead as is taken.
pub(super) fn start(session: &Arc<ExportSession>, number: u32, from: u64) -> VolumeStream {
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    let left = session.volume_bytes(number).map_or(0, |size| size.saturating_sub(from));
    let session = session.clone();
    tokio::spawn(async move {
        let Ok(_reader) = session.readers.clone().acquire_owned().await else { return };
        let reading = session.clone();
        let read = tokio::task::spawn_blocking(move || send(&reading, number, from, &sender)).await;
        read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    });
    VolumeStream { pieces, left }
}

fn send(session: &ExportSession, number: u32, from: u64, sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut take = |piece: Bytes| {
        session.touch();
        sender.blocking_send(Ok(piece)).is_ok()
    };
    for span in session.layout().spans(number, from) {
        let goes_on = match span {
            Span::Literal(bytes) => Ok(take(bytes.into())),
            Span::Body { object, range } => session.packed().read(session.store(), object, range, &mut take),
        };
        match goes_on {
            Ok(true) => {}
            // Whoever asked is gone.
            Ok(false) => return,
            Err(error) => {
                tracing::error!(%error, bundle = %session.id(), "a volume cannot be read");
                let _ = sender.blocking_send(Err(io::Error::other(error.to_string())));
                return;
            }
        }
    }
}
