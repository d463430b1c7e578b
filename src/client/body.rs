//! Request bodies: a small whole one, or a file from an offset on, read as it is sent.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::fs::File;
use tokio_util::io::poll_read_buf;

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The body of a request.
#[derive(Debug)]
pub(super) enum RequestBody {
    Whole(Full<Bytes>),
    File(FileBody),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(full) => Pin::new(full).poll_frame(context).map_err(|never| match never {}),
            Self::File(file) => file.poll_chunk(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full) => full.is_end_stream(),
            Self::File(file) => file.position == file.length,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(full) => full.size_hint(),
            Self::File(file) => SizeHint::with_exact(file.length - file.position),
        }
    }
}

/// What is known of a file while it is sent, shared by the attempts.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// How far the file has been read for sending, in this attempt.
    pub(super) position: u64,
    /// How far it has been hashed: every byte once, however often it is sent.
    hashed: u64,
    hasher: blake3::Hasher,
    /// Why it cannot be read on: no retry helps.
    pub(super) failure: Option<String>,
}

impl Sent {
    fn add(&mut self, chunk: &[u8]) {
        let fresh = usize::try_from(self.hashed.saturating_sub(self.position)).unwrap_or(usize::MAX);
        if let Some(fresh) = chunk.get(fresh..) {
            self.hasher.update(fresh);
            self.hashed += fresh.len() as u64;
        }
        self.position += chunk.len() as u64;
    }

    /// The digest of the first `length` bytes, if exactly those were sent.
    pub(super) fn digest(&self, length: u64) -> Option<[u8; 32]> {
        (self.hashed == length).then(|| *self.hasher.finalize().as_bytes())
    }
}

/// A file's bytes from a position to a length that was promised.
#[derive(Debug)]
pub(super) struct FileBody {
    file: tokio::io::Take<File>,
    /// Reused once what was split from it has been sent.
    buffer: BytesMut,
    position: u64,
    length: u64,
    sent: Arc<Mutex<Sent>>,
}

impl FileBody {
    /// A body of `file`, which stands at `position`, up to `length`.
    pub(super) fn new(file: File, position: u64, length: u64, sent: Arc<Mutex<Sent>>) -> Self {
        use tokio::io::AsyncReadExt as _;
        sent.lock().unwrap_or_else(PoisonError::into_inner).position = position;
        Self { file: file.take(length - position), buffer: BytesMut::new(), position, length, sent }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.position == self.length {
            return Poll::Ready(None);
        }
        let wanted = CHUNK_BYTES.min(usize::try_from(self.length - self.position).unwrap_or(CHUNK_BYTES));
        self.buffer.reserve(wanted);
        match ready!(poll_read_buf(Pin::new(&mut self.file), context, &mut self.buffer)) {
            Ok(0) => {
                let what = format!("it became shorter while it was sent ({} of {} bytes)", self.position, self.length);
                return Poll::Ready(Some(Err(self.fail(what))));
            }
            Ok(_) => {}
            Err(cause) => return Poll::Ready(Some(Err(self.fail(cause.to_string())))),
        }
        let chunk = self.buffer.split().freeze();
        self.position += chunk.len() as u64;
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).add(&chunk);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn fail(&self, cause: String) -> io::Error {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).failure = Some(cause.clone());
        io::Error::other(cause)
    }
}
