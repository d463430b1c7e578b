//! The `Range` header, resolved against a length (RFC 9110 section 14).
//!
//! Whatever is malformed, unknown or abusive selects the whole representation: a client that gets 200 has lost nothing
//! but time, while a wrong 206 corrupts a download.

use std::cmp::Ordering;

/// The most parts an answer may have after coalescing; a request that needs more gets the whole representation.
pub const MAX_PARTS: usize = 8;

/// The most satisfiable ranges that are looked at before coalescing. RFC 9110 section 14.2 lets a server ignore "many
/// small ranges"; the bound keeps memory constant whatever a client sends.
pub const MAX_REQUESTED: usize = 64;

/// The most ranges of one request that may overlap another one of it: RFC 9110 section 14.2 names "more than two
/// overlapping ranges" as a sign of a broken client or an attack.
const MAX_OVERLAPPING: usize = 2;

/// A non-empty run of octets, both ends included, as `Content-Range` writes it. `last` is below the length it was
/// resolved against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Offset of the first octet.
    pub first: u64,
    /// Offset of the last octet, never below `first`.
    pub last: u64,
}

impl ByteRange {
    /// How many octets: at least 1. (No overflow: `last` is below some u64 length.)
    pub const fn octets(self) -> u64 {
        self.last - self.first + 1
    }
}

/// Which octets a `Range` header selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The header is to be ignored: answer 200.
    Whole,
    /// One range, asked for or left after coalescing: answer 206 with `Content-Range`.
    One(ByteRange),
    /// 2 to [`MAX_PARTS`] ranges that neither overlap nor touch, in request order: answer 206 with
    /// `multipart/byteranges`.
    Several(Vec<ByteRange>),
    /// Well formed, but no range is satisfiable: answer 416.
    Unsatisfiable,
}

/// Resolves the value of one `Range` header against the length of the representation in octets. Never fails: see the
/// module's comment.
pub fn select(field: &[u8], length: u64) -> Selection {
    let Some(set) = byte_range_set(trim_ows(field)) else { return Selection::Whole };
    let mut wanted = Vec::new();
    let (mut seen, mut satisfiable) = (false, false);
    for element in set.split(|&byte| byte == b',').map(trim_ows).filter(|element| !element.is_empty()) {
        let Some(spec) = RangeSpec::parse(element) else { return Selection::Whole };
        seen = true;
        satisfiable |= spec.is_satisfiable(length);
        // One more than allowed is enough to know that there are too many.
        if wanted.len() <= MAX_REQUESTED {
            wanted.extend(spec.resolve(length));
        }
    }
    match (seen, satisfiable, &wanted[..]) {
        (false, ..) => Selection::Whole,
        (true, false, _) => Selection::Unsatisfiable,
        // A suffix of an empty representation is satisfiable, but `Content-Range` cannot express it.
        (true, true, []) => Selection::Whole,
        (true, true, [only]) => Selection::One(*only),
        (true, true, _) => select_several(&wanted, length),
    }
}

/// The text after `bytes=`; None for another unit or when white space stands where the grammar has none.
fn byte_range_set(field: &[u8]) -> Option<&[u8]> {
    let equals = field.iter().position(|&byte| byte == b'=')?;
    let (unit, set) = (&field[..equals], &field[equals + 1..]);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    // `#rule` (RFC 9110 section 5.6.1) has optional white space around commas only, so before the first comma just
    // when the first element is empty.
    let first = set.split(|&byte| byte == b',').next().unwrap_or_default();
    let indented = first.first().is_some_and(|&byte| is_ows(byte)) && !trim_ows(first).is_empty();
    (!indented).then_some(set)
}

const fn is_ows(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without the optional white space (SP and HTAB, nothing else) around it.
pub(super) fn trim_ows(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_ows(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_ows(*last)
    {
        text = rest;
    }
    text
}

/// One element of the set; numbers above `u64::MAX` are clamped, which no length can tell from the real number.
enum RangeSpec {
    /// `first-last` or `first-`.
    From { first: u64, last: u64 },
    /// `-octets`.
    Suffix { octets: u64 },
}

impl RangeSpec {
    fn parse(element: &[u8]) -> Option<Self> {
        let dash = element.iter().position(|&byte| byte == b'-')?;
        let (first, last) = (&element[..dash], &element[dash + 1..]);
        match (first.is_empty(), last.is_empty()) {
            (true, _) => Some(Self::Suffix { octets: clamped(number(last)?) }),
            (false, true) => Some(Self::From { first: clamped(number(first)?), last: u64::MAX }),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                // Compared as written: two different numbers may clamp to the same one.
                (compare(first, last) != Ordering::Greater)
                    .then(|| Self::From { first: clamped(first), last: clamped(last) })
            }
        }
    }

    /// RFC 9110 section 14.1.2. It differs from having octets to send for suffixes of an empty representation only.
    const fn is_satisfiable(&self, length: u64) -> bool {
        match *self {
            Self::From { first, .. } => first < length,
            Self::Suffix { octets } => octets > 0,
        }
    }

    fn resolve(&self, length: u64) -> Option<ByteRange> {
        if length == 0 || !self.is_satisfiable(length) {
            return None;
        }
        Some(match *self {
            Self::From { first, last } => ByteRange { first, last: last.min(length - 1) },
            Self::Suffix { octets } => ByteRange { first: length - octets.min(length), last: length - 1 },
        })
    }
}

/// `1*DIGIT` without its leading zeros (so empty for zero); None if it is anything else.
fn number(text: &[u8]) -> Option<&[u8]> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = text.iter().take_while(|&&digit| digit == b'0').count();
    Some(&text[zeros..])
}

fn clamped(digits: &[u8]) -> u64 {
    digits.iter().fold(0u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

/// Orders two numbers of any size; neither may have leading zeros.
fn compare(left: &[u8], right: &[u8]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Refuses abuse, then coalesces what overlaps or touches (RFC 9110 section 15.3.7.2 lets a server do so).
fn select_several(wanted: &[ByteRange], length: u64) -> Selection {
    let octets: u128 = wanted.iter().map(|range| u128::from(range.octets())).sum();
    if wanted.len() > MAX_REQUESTED || octets > u128::from(length) {
        return Selection::Whole;
    }
    let mut ascending: Vec<(usize, ByteRange)> = wanted.iter().copied().enumerate().collect();
    ascending.sort_unstable_by_key(|(_, range)| (range.first, range.last));
    if overlapping(&ascending) > MAX_OVERLAPPING {
        return Selection::Whole;
    }
    match coalesced(&ascending)[..] {
        [only] => Selection::One(only),
        ref parts if parts.len() > MAX_PARTS => Selection::Whole,
        ref parts => Selection::Several(parts.to_vec()),
    }
}

/// How many ranges share an octet with another one.
fn overlapping(ascending: &[(usize, ByteRange)]) -> usize {
    let mut count = 0;
    let mut reached = None;
    for (place, (_, range)) in ascending.iter().enumerate() {
        let with_earlier = reached.is_some_and(|last| range.first <= last);
        let with_later = ascending.get(place + 1).is_some_and(|(_, next)| next.first <= range.last);
        count += usize::from(with_earlier || with_later);
        reached = reached.max(Some(range.last));
    }
    count
}

/// Joins ranges that overlap or touch; each result stands where the first of its members stood in the request.
fn coalesced(ascending: &[(usize, ByteRange)]) -> Vec<ByteRange> {
    let mut joined: Vec<(usize, ByteRange)> = Vec::with_capacity(ascending.len());
    for &(place, range) in ascending {
        match joined.last_mut() {
            // `last` is below a u64 length, so adding 1 cannot overflow.
            Some((first_place, open)) if range.first <= open.last + 1 => {
                *first_place = place.min(*first_place);
                open.last = open.last.max(range.last);
            }
            _ => joined.push((place, range)),
        }
    }
    joined.sort_unstable_by_key(|(place, _)| *place);
    joined.into_iter().map(|(_, range)| range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(first: u64, last: u64) -> Selection {
        Selection::One(ByteRange { first, last })
    }

    #[test]
    fn numbers_beyond_u64_are_still_numbers() {
        let max = u64::MAX;
        assert_eq!(select(b"bytes=0-99999999999999999999999999", 10), one(0, 9));
        assert_eq!(select(b"bytes=-99999999999999999999999999", 10), one(0, 9));
        assert_eq!(select(b"bytes=99999999999999999999999999-", max), Selection::Unsatisfiable);
        assert_eq!(select(b"bytes=18446744073709551614-18446744073709551615", max), one(max - 1, max - 1));
        assert_eq!(select(b"bytes=18446744073709551615-", max), Selection::Unsatisfiable);
        assert_eq!(select(b"bytes=00000000000000000000000000001-2", 10), one(1, 2));
        // Both clamp to the same number, but the written order is the wrong way round: malformed, not unsatisfiable.
        assert_eq!(select(b"bytes=99999999999999999999-88888888888888888888", 10), Selection::Whole);
    }

    #[test]
    fn the_empty_representation() {
        assert_eq!(select(b"bytes=0-", 0), Selection::Unsatisfiable);
        assert_eq!(select(b"bytes=0-0,-0", 0), Selection::Unsatisfiable);
        assert_eq!(select(b"bytes=-1", 0), Selection::Whole);
        assert_eq!(select(b"bytes=0-0,-1", 0), Selection::Whole);
    }

    #[test]
    fn at_most_eight_parts_after_coalescing() {
        let spaced = |count: u64| (0..count).map(|at| format!("{0}-{0}", at * 2)).collect::<Vec<_>>().join(",");
        let field = format!("bytes={}", spaced(8));
        assert!(matches!(select(field.as_bytes(), 100), Selection::Several(parts) if parts.len() == 8));
        assert_eq!(select(format!("bytes={}", spaced(9)).as_bytes(), 100), Selection::Whole);
    }

    #[test]
    fn at_most_64_before_coalescing_however_many_are_unsatisfiable() {
        let touching = |count: u64| (0..count).map(|at| format!("{at}-{at}")).collect::<Vec<_>>().join(",");
        assert_eq!(select(format!("bytes={}", touching(64)).as_bytes(), 1000), one(0, 63));
        assert_eq!(select(format!("bytes={}", touching(65)).as_bytes(), 1000), Selection::Whole);
        let field = format!("bytes=0-0{}", ",5000-".repeat(5000));
        assert_eq!(select(field.as_bytes(), 1000), one(0, 0));
    }

    #[test]
    fn two_may_overlap_three_may_not() {
        assert_eq!(select(b"bytes=0-5,3-9", 100), one(0, 9));
        assert_eq!(select(b"bytes=0-5,3-9,9-12", 100), Selection::Whole);
        assert_eq!(select(b"bytes=0-5,3-9,20-25,24-29", 100), Selection::Whole);
        assert_eq!(select(b"bytes=0-50,10-10,20-20", 100), Selection::Whole);
    }

    #[test]
    fn coalesced_ranges_stand_where_their_first_member_stood() {
        let parts = vec![ByteRange { first: 50, last: 59 }, ByteRange { first: 0, last: 9 }];
        assert_eq!(select(b"bytes=55-59,0-9,50-54", 100), Selection::Several(parts));
    }
}
