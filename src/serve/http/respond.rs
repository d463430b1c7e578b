//! Joins a plan with the bytes it is about.

use std::num::NonZeroUsize;

use bytes::Bytes;
use http::Response;

use super::body::{Arriving, BytesBody, Piece};
use super::digest_fields::{self, CONTENT_DIGEST};
use super::plan::{Content, Plan};
use super::range::ByteRange;
use crate::model::Sha256Digest;

impl Plan {
    /// The answer, its content cut from `body`, the whole representation, without copying. A `body` that is shorter
    /// than the representation was said to be gives a body that fails where the bytes end. `largest_frame_bytes` is
    /// [`BytesBody::with_largest_frame`]'s.
    pub fn respond(self, body: &Bytes, largest_frame_bytes: Option<NonZeroUsize>) -> Response<BytesBody> {
        let declared = self.content_length();
        let slices = match self.content {
            Content::Nothing => Vec::new(),
            Content::Whole(size) => vec![body.slice(..body.len().min(usize::try_from(size).unwrap_or(usize::MAX)))],
            Content::One(range) => vec![cut(body, range)],
            Content::Several(multipart) => multipart.slices(|range| cut(body, range)),
        };
        let mut response = Response::new(());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        // A digest of a cut content would vouch for it.
        if self.hash_content
            && slices.iter().map(Bytes::len).sum::<usize>() as u64 == declared
            && let Some(value) = digest_fields::field_value(&hash(&slices))
        {
            response.headers_mut().insert(CONTENT_DIGEST, value);
        }
        let body = BytesBody::many(slices, declared);
        response.map(|()| body.with_largest_frame(largest_frame_bytes))
    }

    /// The ranges of the representation that the content has, in its order.
    pub fn ranges(&self) -> Vec<ByteRange> {
        match &self.content {
            Content::Nothing | Content::Whole(0) => Vec::new(),
            Content::Whole(size) => vec![ByteRange { first: 0, last: size - 1 }],
            Content::One(range) => vec![*range],
            Content::Several(multipart) => multipart.ranges().collect(),
        }
    }

    /// The answer, with content that comes in while it is sent: one source for each of [`Plan::ranges`]. A
    /// `Content-Digest` over it, which would have to go first, is left out.
    pub fn respond_arriving(self, sources: Vec<Box<dyn Arriving>>) -> Response<BytesBody> {
        let declared = self.content_length();
        let pieces = match self.content {
            Content::Several(multipart) => multipart.pieces(sources.into_iter().map(Piece::Arriving)),
            _ => sources.into_iter().map(Piece::Arriving).collect(),
        };
        let mut response = Response::new(BytesBody::pieces(pieces, declared));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    /// How many bytes follow the head.
    fn content_length(&self) -> u64 {
        match &self.content {
            Content::Nothing => 0,
            Content::Whole(size) => *size,
            Content::One(range) => range.octets(),
            Content::Several(multipart) => multipart.content_length(),
        }
    }
}

/// The range of the body, or what there is of it.
fn cut(body: &Bytes, range: ByteRange) -> Bytes {
    let end = usize::try_from(range.last).map_or(body.len(), |last| body.len().min(last.saturating_add(1)));
    let start = usize::try_from(range.first).map_or(end, |first| first.min(end));
    body.slice(start..end)
}

fn hash(slices: &[Bytes]) -> Sha256Digest {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    for slice in slices {
        hasher.update(slice);
    }
    Sha256Digest::from_bytes(hasher.finalize().into())
}
