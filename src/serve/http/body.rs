//! The body of an answer: a short queue of slices of memory, or of bytes that still come in, with the exact length known
//! from the start.

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The source ended before the length that the answer's head has promised. The connection must be closed: hyper does so
/// when a body fails, and a client then sees a cut transfer instead of a short file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body was cut short: {missing} of {declared} bytes are missing")]
pub struct TruncatedBody {
    /// How many bytes the head promised.
    pub declared: u64,
    /// How many of them the source does not have.
    pub missing: u64,
}

/// Bytes that come in while the answer is being sent.
pub trait Arriving: Debug + Send + 'static {
    /// The next of them; `None` after the last. An error is a sentence for the log, and the end of the answer.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>>;
}

/// A part of a body.
#[derive(Debug)]
pub enum Piece {
    /// Bytes that are there.
    There(Bytes),
    /// Bytes that come in.
    Arriving(Box<dyn Arriving>),
}

/// A body of exactly the declared length, or an error; never a shorter one and never a longer one.
///
/// Each slice becomes one frame, so that a whole blob is handed over at once, unless a largest frame size is set.
#[derive(Debug)]
pub struct BytesBody {
    current: Bytes,
    arriving: Option<Box<dyn Arriving>>,
    following: std::vec::IntoIter<Piece>,
    declared: u64,
    remaining: u64,
    largest_frame_bytes: Option<NonZeroUsize>,
}

impl BytesBody {
    /// No content.
    pub fn empty() -> Self {
        Self::one(Bytes::new(), 0)
    }

    /// These bytes, which should be `declared` many.
    pub fn one(bytes: Bytes, declared: u64) -> Self {
        Self {
            current: bytes,
            arriving: None,
            following: Vec::new().into_iter(),
            declared,
            remaining: declared,
            largest_frame_bytes: None,
        }
    }

    /// These slices one after the other, which should be `declared` bytes together.
    pub fn many(slices: Vec<Bytes>, declared: u64) -> Self {
        Self::pieces(slices.into_iter().map(Piece::There).collect(), declared)
    }

    /// These pieces one after the other, which should be `declared` bytes together.
    pub fn pieces(pieces: Vec<Piece>, declared: u64) -> Self {
        Self { following: pieces.into_iter(), ..Self::one(Bytes::new(), declared) }
    }

    /// Cuts frames to at most this many bytes. HTTP/2 over TLS copies less with frames that fit one record; HTTP/1.1
    /// wants none of it.
    pub fn with_largest_frame(self, bytes: Option<NonZeroUsize>) -> Self {
        Self { largest_frame_bytes: bytes, ..self }
    }

    /// The next frame's bytes, None at the end or where the source ends.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while self.current.is_empty() {
            if let Some(arriving) = &mut self.arriving {
                match ready!(arriving.poll_next(cx)) {
                    Some(Ok(bytes)) => self.current = bytes,
                    Some(Err(why)) => {
                        tracing::warn!(why, missing = self.remaining, "an answer is cut short");
                        return Poll::Ready(None);
                    }
                    None => self.arriving = None,
                }
                continue;
            }
            match self.following.next() {
                Some(Piece::There(bytes)) => self.current = bytes,
                Some(Piece::Arriving(arriving)) => self.arriving = Some(arriving),
                None => return Poll::Ready(None),
            }
        }
        let limit = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let limit = self.largest_frame_bytes.map_or(limit, |largest| limit.min(largest.get()));
        let frame = self.current.split_to(limit.min(self.current.len()));
        self.remaining -= frame.len() as u64;
        Poll::Ready(Some(frame))
    }
}

impl Body for BytesBody {
    type Data = Bytes;
    type Error = TruncatedBody;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, TruncatedBody>>> {
        let body = self.get_mut();
        if body.remaining == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(ready!(body.poll_take(cx)).map(Frame::data).ok_or_else(|| {
            let error = TruncatedBody { declared: body.declared, missing: body.remaining };
            // Told once; the body is over then.
            body.remaining = 0;
            error
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// All frames' lengths and contents, and the error if it ended with one.
    fn drain(mut body: BytesBody) -> (Vec<usize>, Vec<u8>, Option<TruncatedBody>) {
        let (mut lengths, mut content) = (Vec::new(), Vec::new());
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let before = body.size_hint().exact().unwrap();
            match Pin::new(&mut body).poll_frame(&mut context) {
                Poll::Ready(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap();
                    assert!(!data.is_empty());
                    assert_eq!(body.size_hint().exact().unwrap(), before - data.len() as u64);
                    lengths.push(data.len());
                    content.extend_from_slice(&data);
                }
                Poll::Ready(Some(Err(error))) => {
                    assert!(body.is_end_stream());
                    return (lengths, content, Some(error));
                }
                Poll::Ready(None) => return (lengths, content, None),
                Poll::Pending => panic!("memory is always ready"),
            }
        }
    }

    #[test]
    fn a_body_is_one_frame() {
        assert_eq!(drain(BytesBody::one(Bytes::from_static(b"abc"), 3)), (vec![3], b"abc".to_vec(), None));
        assert_eq!(drain(BytesBody::empty()), (vec![], vec![], None));
        assert!(BytesBody::empty().is_end_stream());
    }

    #[test]
    fn slices_follow_each_other_and_empty_ones_are_no_frames() {
        let slices = ["", "ab", "", "", "c"].map(Bytes::from).to_vec();
        assert_eq!(drain(BytesBody::many(slices, 3)), (vec![2, 1], b"abc".to_vec(), None));
    }

    #[test]
    fn frames_are_cut_to_size() {
        let slices = ["abcde", "f"].map(Bytes::from).to_vec();
        let body = BytesBody::many(slices, 6).with_largest_frame(NonZeroUsize::new(2));
        assert_eq!(drain(body), (vec![2, 2, 1, 1], b"abcdef".to_vec(), None));
    }

    #[test]
    fn a_short_source_is_an_error_and_a_long_one_is_cut() {
        let error = TruncatedBody { declared: 5, missing: 2 };
        assert_eq!(drain(BytesBody::one(Bytes::from_static(b"abc"), 5)), (vec![3], b"abc".to_vec(), Some(error)));
        assert_eq!(error.to_string(), "the body was cut short: 2 of 5 bytes are missing");
        assert_eq!(drain(BytesBody::one(Bytes::from_static(b"abc"), 2)), (vec![2], b"ab".to_vec(), None));
        let nothing = TruncatedBody { declared: 1, missing: 1 };
        assert_eq!(drain(BytesBody::one(Bytes::new(), 1)), (vec![], vec![], Some(nothing)));
    }

    /// Gives what it is told to, after a pending poll before each.
    #[derive(Debug)]
    struct Slowly(Vec<Result<Bytes, String>>, bool);

    impl Arriving for Slowly {
        fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
            self.1 = !self.1;
            if self.1 { Poll::Pending } else { Poll::Ready(self.0.pop()) }
        }
    }

    #[test]
    fn bytes_that_arrive_are_waited_for_and_an_error_cuts_the_body() {
        let run = |mut pieces: Vec<Result<Bytes, String>>, declared| {
            pieces.reverse();
            let there = Piece::There(Bytes::from_static(b"<"));
            let pieces = vec![there, Piece::Arriving(Box::new(Slowly(pieces, false))), Piece::There(">".into())];
            let mut body = BytesBody::pieces(pieces, declared);
            let (mut content, mut context) = (Vec::new(), Context::from_waker(Waker::noop()));
            loop {
                match Pin::new(&mut body).poll_frame(&mut context) {
                    Poll::Ready(Some(Ok(frame))) => content.extend_from_slice(&frame.into_data().unwrap()),
                    Poll::Ready(Some(Err(error))) => return (content, Some(error.missing)),
                    Poll::Ready(None) => return (content, None),
                    Poll::Pending => {}
                }
            }
        };
        let bytes = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
        assert_eq!(run(vec![bytes("ab"), bytes(""), bytes("c")], 5), (b"<abc>".to_vec(), None));
        assert_eq!(run(vec![bytes("ab"), Err("gone".to_owned())], 5), (b"<ab".to_vec(), Some(2)));
    }
}
