//! Entity tags (RFC 9110 section 8.8.3): the one that a blob has, and the lists that requests compare it with.

use http::HeaderValue;

use super::range::trim_ows;
use crate::model::Blake3Digest;

/// The strong entity tag of the bytes with this digest: equal bytes have equal tags on every server and at every path,
/// other bytes never do.
pub fn strong_etag(digest: &Blake3Digest) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'"'; 66];
    for (pair, byte) in text[1..65].chunks_exact_mut(2).zip(digest.as_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    // Quotes and hexadecimal digits are always a valid value; an empty tag would match nothing.
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// How two entity tags are compared (RFC 9110 section 8.8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Both are strong and equal.
    Strong,
    /// Equal, whether weak or strong.
    Weak,
}

/// One entity tag of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntityTag<'a> {
    weak: bool,
    /// With its quotes.
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Takes one tag off the front of the text and returns the rest with it.
    fn take(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, quoted) = match text.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let inside = quoted.strip_prefix(b"\"")?;
        let end = inside.iter().position(|&byte| !is_etag_char(byte))?;
        if inside[end] != b'"' {
            return None;
        }
        let (opaque, rest) = quoted.split_at(end + 2);
        Some((Self { weak, opaque }, rest))
    }

    /// The tag that is the whole of this text, if it is one.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        Self::take(text).filter(|(_, rest)| rest.is_empty()).map(|(tag, _)| tag)
    }

    /// Whether it equals the representation's strong tag.
    pub(super) fn matches(&self, current: &HeaderValue, comparison: Comparison) -> bool {
        (comparison == Comparison::Weak || !self.weak) && self.opaque == current.as_bytes()
    }
}

const fn is_etag_char(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

/// Whether the field values of an `If-Match` or `If-None-Match` (all its lines) match the strong tag of a
/// representation that exists: `*`, or a list that has the tag. A field that is not of this form matches nothing, which
/// is the careful reading for both: the body is sent, or the change is refused.
pub fn field_matches<'a>(
    mut lines: impl Iterator<Item = &'a HeaderValue>,
    current: &HeaderValue,
    comparison: Comparison,
) -> bool {
    let Some(first) = lines.next() else { return false };
    let mut rest = lines.peekable();
    if rest.peek().is_none() && trim_ows(first.as_bytes()) == b"*" {
        return true;
    }
    let mut matched = false;
    for line in std::iter::once(first).chain(rest) {
        match list_matches(line.as_bytes(), current, comparison) {
            Some(found) => matched |= found,
            None => return false,
        }
    }
    matched
}

/// Whether the list has the tag; None if it is malformed. Tags may hold commas, so it cannot be split at them.
fn list_matches(line: &[u8], current: &HeaderValue, comparison: Comparison) -> Option<bool> {
    let mut matched = false;
    let mut text = trim_ows(line);
    while !text.is_empty() {
        if let Some(rest) = text.strip_prefix(b",") {
            text = trim_ows(rest);
            continue;
        }
        let (tag, rest) = EntityTag::take(text)?;
        matched |= tag.matches(current, comparison);
        text = trim_ows(rest);
        if !text.is_empty() && !text.starts_with(b",") {
            return None;
        }
    }
    Some(matched)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(lines: &[&str], comparison: Comparison) -> bool {
        let lines: Vec<HeaderValue> =
            lines.iter().map(|line| HeaderValue::from_bytes(line.as_bytes()).unwrap()).collect();
        field_matches(lines.iter(), &HeaderValue::from_static("\"a,b\""), comparison)
    }

    #[test]
    fn the_tag_is_the_quoted_digest() {
        let digest = Blake3Digest::of(b"ringfence");
        assert_eq!(strong_etag(&digest), format!("\"{digest}\""));
    }

    #[test]
    fn lists_hold_commas_empty_elements_and_white_space() {
        for field in ["\"a,b\"", ",, \"x\",\t\"a,b\" ,", "\"a\",\"a,b\"", "*", "\"\",\"a,b\"", "\"é\", \"a,b\""] {
            assert!(matches(&[field], Comparison::Strong), "{field}");
        }
        for field in [
            "",
            ",",
            "\"a\", \"b\"",
            "a,b",
            "\"A,B\"",
            "\"a,b",
            "\"a,b\" \"c\"",
            "w/\"a,b\"",
            "*, \"a,b\"",
            "\"a b\",\"a,b\"",
        ] {
            assert!(!matches(&[field], Comparison::Weak), "{field}");
        }
    }

    #[test]
    fn weak_tags_match_weakly_only() {
        assert!(matches(&["W/\"a,b\""], Comparison::Weak));
        assert!(!matches(&["W/\"a,b\""], Comparison::Strong));
    }

    #[test]
    fn several_lines_are_one_list() {
        assert!(matches(&["\"x\"", "\"a,b\""], Comparison::Strong));
        assert!(!matches(&["\"a,b\"", "*"], Comparison::Strong));
        assert!(!matches(&["\"a,b\"", "oops"], Comparison::Strong));
        assert!(!matches(&[], Comparison::Weak));
    }
}
