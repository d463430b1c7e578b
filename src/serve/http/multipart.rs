//! `multipart/byteranges` (RFC 9110 section 14.6): the parts of an answer to several ranges, in request order.

use bytes::Bytes;
use http::HeaderValue;

use super::body::Piece;
use super::range::ByteRange;
use crate::model::Blake3Digest;

/// The most bytes before a part's content, delimiter included: Windows' BITS accepts no more than 180 of headers.
pub const MAX_PART_HEAD_BYTES: usize = 180;

/// 24 hexadecimal characters: 96 bits.
const BOUNDARY_BYTES: usize = 24;

/// A delimiter that a body contains only by a chance of 2^-96 a byte. It depends on the body's digest and on a salt that
/// clients and publishers do not know beforehand, so a body that holds it cannot be made on purpose either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// The delimiter for answers from the body with this digest. `salt` is random, drawn once a process.
    pub fn new(digest: &Blake3Digest, salt: u64) -> Self {
        let mut input = [0; 40];
        input[..8].copy_from_slice(&salt.to_be_bytes());
        input[8..].copy_from_slice(digest.as_bytes());
        let mut text = Blake3Digest::of(&input).to_hex();
        text.truncate(BOUNDARY_BYTES);
        Self(text)
    }
}

/// The framing of an answer with several ranges; the content is cut from the body when the answer is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    boundary: Boundary,
    parts: Vec<(Bytes, ByteRange)>,
    end: Bytes,
    content_length: u64,
}

impl Multipart {
    /// Frames these ranges of a body of `size` bytes. A part repeats the media type unless its head would become longer
    /// than [`MAX_PART_HEAD_BYTES`]. None if the length of the whole does not fit in 64 bits.
    pub fn new(ranges: &[ByteRange], size: u64, media_type: &HeaderValue, boundary: Boundary) -> Option<Self> {
        let end = Bytes::from(format!("\r\n--{}--\r\n", boundary.0));
        let mut content_length = u64::try_from(end.len()).ok()?;
        let mut parts = Vec::with_capacity(ranges.len());
        for (place, &range) in ranges.iter().enumerate() {
            let head = part_head(place == 0, range, size, media_type, &boundary);
            content_length =
                content_length.checked_add(range.octets())?.checked_add(u64::try_from(head.len()).ok()?)?;
            parts.push((head, range));
        }
        Some(Self { boundary, parts, end, content_length })
    }

    /// The exact length of the answer in bytes.
    pub fn content_length(&self) -> u64 {
        self.content_length
    }

    /// The `Content-Type` of the answer.
    pub fn content_type(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("multipart/byteranges; boundary={}", self.boundary.0)).ok()
    }

    /// The ranges, in their order.
    pub fn ranges(&self) -> impl Iterator<Item = ByteRange> {
        self.parts.iter().map(|(_, range)| *range)
    }

    /// The answer as pieces: heads, and the content of each range as it is given.
    pub fn pieces(self, contents: impl Iterator<Item = Piece>) -> Vec<Piece> {
        let parts = self.parts.into_iter().zip(contents);
        let framed = parts.flat_map(|((head, _), content)| [Piece::There(head), content]);
        framed.chain([Piece::There(self.end)]).collect()
    }

    /// The answer as slices: heads and, uncopied, what `cut` gives for each range; up to and including the first range
    /// that is not there whole, so that a short body never looks complete.
    pub fn slices(&self, cut: impl Fn(ByteRange) -> Bytes) -> Vec<Bytes> {
        let mut slices = Vec::with_capacity(2 * self.parts.len() + 1);
        for (head, range) in &self.parts {
            let content = cut(*range);
            let whole = u64::try_from(content.len()).is_ok_and(|octets| octets == range.octets());
            slices.extend([head.clone(), content]);
            if !whole {
                return slices;
            }
        }
        slices.push(self.end.clone());
        slices
    }
}

fn part_head(is_first: bool, range: ByteRange, size: u64, media_type: &HeaderValue, boundary: &Boundary) -> Bytes {
    let mut head = Vec::with_capacity(MAX_PART_HEAD_BYTES);
    if !is_first {
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(format!("--{}\r\n", boundary.0).as_bytes());
    let range_line = format!("Content-Range: bytes {}-{}/{size}\r\n\r\n", range.first, range.last);
    let type_line = [b"Content-Type: ", media_type.as_bytes(), b"\r\n"];
    if head.len() + type_line.concat().len() + range_line.len() <= MAX_PART_HEAD_BYTES {
        head.extend_from_slice(&type_line.concat());
    }
    head.extend_from_slice(range_line.as_bytes());
    Bytes::from(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(ranges: &[(u64, u64)], size: u64, media_type: &'static str) -> Option<Multipart> {
        let ranges: Vec<ByteRange> = ranges.iter().map(|&(first, last)| ByteRange { first, last }).collect();
        Multipart::new(&ranges, size, &HeaderValue::from_static(media_type), Boundary("B".into()))
    }

    #[test]
    fn the_wire_format() {
        let body = Bytes::from_static(b"0123456789");
        let multipart = framed(&[(7, 8), (0, 0)], 10, "text/plain").unwrap();
        let slices = multipart.slices(|range| body.slice(range.first as usize..=range.last as usize));
        let text = String::from_utf8(slices.concat()).unwrap();
        assert_eq!(
            text,
            "--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-8/10\r\n\r\n78\
             \r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/10\r\n\r\n0\r\n--B--\r\n"
        );
        assert_eq!(multipart.content_length(), text.len() as u64);
        assert_eq!(multipart.content_type().unwrap(), "multipart/byteranges; boundary=B");
        // The content is a view into the body, not a copy of it.
        assert_eq!(slices[1].as_ptr(), body[7..].as_ptr());
    }

    #[test]
    fn part_heads_stay_within_what_bits_takes() {
        let size = u64::MAX;
        let ranges = [ByteRange { first: size - 4, last: size - 4 }, ByteRange { first: size - 2, last: size - 2 }];
        for length in 1..200 {
            let media_type = HeaderValue::try_from(format!("x/{}", "y".repeat(length))).unwrap();
            let boundary = Boundary::new(&Blake3Digest::of(b""), 7);
            let multipart = Multipart::new(&ranges, size, &media_type, boundary).unwrap();
            for (head, _) in &multipart.parts {
                assert!(head.len() <= MAX_PART_HEAD_BYTES, "{length}: {head:?}");
            }
        }
    }

    #[test]
    fn a_length_beyond_64_bits_is_refused() {
        assert_eq!(framed(&[(0, 5), (7, u64::MAX - 1)], u64::MAX, "text/plain"), None);
    }

    #[test]
    fn a_missing_range_ends_the_slices() {
        let multipart = framed(&[(0, 1), (5, 6)], 10, "text/plain").unwrap();
        assert_eq!(multipart.slices(|_| Bytes::from_static(b"x")).len(), 2);
    }

    #[test]
    fn the_boundary_depends_on_digest_and_salt() {
        let (one, other) = (Blake3Digest::of(b"1"), Blake3Digest::of(b"2"));
        assert_eq!(Boundary::new(&one, 1), Boundary::new(&one, 1));
        assert_ne!(Boundary::new(&one, 1), Boundary::new(&one, 2));
        assert_ne!(Boundary::new(&one, 1), Boundary::new(&other, 1));
    }
}
