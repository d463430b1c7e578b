//! The bytes of a volume as they come in: read piece by piece, with the place in the volume kept.

use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::Pin;

use bytes::{Buf as _, Bytes};
use http_body::Body;
use tokio::sync::mpsc;

/// How many pieces may lie between who receives and who unpacks.
const PIECES_BETWEEN: usize = 8;

/// A body that begins somewhere in a volume.
pub(super) struct Incoming<B> {
    body: B,
    /// What has come and was not taken yet.
    buffer: Bytes,
    /// Where in the volume the buffer begins.
    position: u64,
    has_ended: bool,
}

impl<B> Incoming<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(super) fn new(body: B, position: u64) -> Self {
        Self { body, buffer: Bytes::new(), position, has_ended: false }
    }

    /// Where in the volume the next byte lies.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Passes over everything before this place; false where the body ends before it.
    pub(super) async fn skip_to(&mut self, place: u64) -> bool {
        while self.position < place {
            let left = place - self.position;
            if self.next(left).await.is_none() {
                return false;
            }
        }
        true
    }

    /// The next piece, of at most `most` bytes; none at the end, be it a good one or not.
    pub(super) async fn next(&mut self, most: u64) -> Option<Bytes> {
        while self.buffer.is_empty() {
            if self.has_ended {
                return None;
            }
            match poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await {
                Some(Ok(frame)) => self.buffer = frame.into_data().unwrap_or_default(),
                // A connection that broke and a medium that was pulled look the same: what came whole is kept.
                Some(Err(_)) | None => self.has_ended = true,
            }
        }
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(self.buffer.remaining());
        self.position += length as u64;
        Some(self.buffer.split_to(length))
    }

    /// The next `size` bytes in one piece; none where the body ends before them.
    pub(super) async fn whole(&mut self, size: u64) -> Option<Bytes> {
        let first = self.next(size).await.unwrap_or_default();
        if first.len() as u64 == size {
            return Some(first);
        }
        let mut all = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        all.extend_from_slice(&first);
        while (all.len() as u64) < size {
            all.extend_from_slice(&self.next(size - all.len() as u64).await?);
        }
        Some(all.into())
    }
}

/// Pieces for a thread that reads them as a file.
pub(super) fn pipe() -> (mpsc::Sender<Bytes>, PipeReader) {
    let (sender, receiver) = mpsc::channel(PIECES_BETWEEN);
    (sender, PipeReader { receiver, buffer: Bytes::new() })
}

/// The reading end: for a blocking thread only. Ends where the sender is gone.
pub(super) struct PipeReader {
    receiver: mpsc::Receiver<Bytes>,
    buffer: Bytes,
}

impl Read for PipeReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.buffer.is_empty() {
            match self.receiver.blocking_recv() {
                Some(bytes) => self.buffer = bytes,
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.buffer.len());
        self.buffer.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}
