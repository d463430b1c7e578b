//! The bodies on a watched connection: requests that must arrive at a pace, answers that are counted while they leave.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::activity::Answering;
use super::http::BytesBody;
use super::limits::PaceLimit;
use super::pace::Pace;

/// Why a request's body ended early.
#[derive(Debug, thiserror::Error)]
pub enum RequestBodyError {
    /// The peer sends below the minimum pace.
    #[error("the request's body comes in below the minimum pace")]
    TooSlow,
    /// The connection failed, or the framing is broken.
    #[error("the request's body ended early: {0}")]
    Broken(#[from] hyper::Error),
}

/// A request's body. Fails once the peer sends too slowly while it is waited for.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    pace: Pace,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, limit: PaceLimit) -> Self {
        Self { incoming, pace: Pace::new(limit, 0) }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.pace.moved(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                ready!(this.pace.poll_waiting(cx));
                Poll::Ready(Some(Err(RequestBodyError::TooSlow)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// An answer's body; the connection is not idle while it exists. Data passes through untouched.
#[derive(Debug)]
pub(crate) struct AnswerBody<B> {
    inner: B,
    _answering: Answering,
}

impl<B> AnswerBody<B> {
    pub(crate) fn new(inner: B, answering: Answering) -> Self {
        Self { inner, _answering: answering }
    }
}

impl<B: Body + Unpin> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl From<Bytes> for BytesBody {
    /// All of these bytes.
    fn from(bytes: Bytes) -> Self {
        let declared = bytes.len() as u64;
        Self::one(bytes, declared)
    }
}
