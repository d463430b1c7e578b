//! Some bytes of a blob as one reader takes them, while others of them still come in.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::PullError;
use super::one::Pull;
use super::pulls::Waiter;

type Piece = Pin<Box<dyn Future<Output = Result<Bytes, PullError>> + Send>>;

/// The bytes of a range, piece by piece, in order: exactly those, or an error in the midst of them.
pub struct Reading {
    pull: Arc<Pull>,
    left: Range<u64>,
    coming: Option<Piece>,
    _waiter: Arc<Waiter>,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("blob", &self.pull.object().blake3).field("left", &self.left).finish()
    }
}

impl Reading {
    pub(super) fn new(pull: Arc<Pull>, range: Range<u64>, waiter: Arc<Waiter>) -> Self {
        let size = pull.object().size;
        Self { pull, left: range.start.min(size)..range.end.min(size), coming: None, _waiter: waiter }
    }

    /// The next piece, never an empty one; `None` after the last.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, PullError>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let coming = self.coming.get_or_insert_with(|| {
            let (pull, left) = (self.pull.clone(), self.left.clone());
            Box::pin(async move { pull.next_piece(left).await })
        });
        let piece = ready!(coming.as_mut().poll(cx));
        self.coming = None;
        match &piece {
            Ok(bytes) => self.left.start += bytes.len() as u64,
            Err(_) => self.left.start = self.left.end,
        }
        Poll::Ready(Some(piece))
    }

    /// The next piece, never an empty one; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<Bytes, PullError>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}
