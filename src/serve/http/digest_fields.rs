//! Digest fields (RFC 9530). Only `sha-256` is ever sent: BLAKE3 is not in the registry of algorithms.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::model::Sha256Digest;

/// `Repr-Digest`: of the whole representation, whatever part of it the answer carries.
pub const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
/// `Content-Digest`: of the very bytes of the answer.
pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// `Want-Repr-Digest`: a client's preferences for the former.
pub const WANT_REPR_DIGEST: HeaderName = HeaderName::from_static("want-repr-digest");
/// `Want-Content-Digest`: a client's preferences for the latter.
pub const WANT_CONTENT_DIGEST: HeaderName = HeaderName::from_static("want-content-digest");

/// Answers that are not the whole representation are hashed for `Content-Digest` only up to this length (1 MiB, about
/// a millisecond): the hash has to be known before the first byte is sent. Longer ones go without the field.
pub const MAX_CONTENT_HASHED_BYTES: u64 = 1 << 20;

/// What a client says about `sha-256` in one of the `Want-` fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// Nothing that can be understood.
    Unsaid,
    /// 1 to 10.
    Wanted,
    /// 0: not acceptable.
    Refused,
}

/// Reads the preference for `sha-256`. A malformed field, or a value that is not an integer from 0 to 10, says nothing.
pub fn preference(headers: &HeaderMap, name: &HeaderName) -> Preference {
    if !headers.contains_key(name) {
        return Preference::Unsaid;
    }
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let Ok(wanted) = Parser::new(&lines.join(&b", "[..])).parse::<Dictionary>() else { return Preference::Unsaid };
    match wanted.get("sha-256") {
        Some(ListEntry::Item(item)) => match &item.bare_item {
            BareItem::Integer(weight) => match i64::from(*weight) {
                0 => Preference::Refused,
                1..=10 => Preference::Wanted,
                _ => Preference::Unsaid,
            },
            _ => Preference::Unsaid,
        },
        _ => Preference::Unsaid,
    }
}

/// The value of either digest field: `sha-256=:<base64>:`.
pub fn field_value(digest: &Sha256Digest) -> Option<HeaderValue> {
    const PREFIX: &[u8] = b"sha-256=:";
    // 32 bytes are 44 characters in base64.
    let mut text = [b':'; PREFIX.len() + 44 + 1];
    text[..PREFIX.len()].copy_from_slice(PREFIX);
    STANDARD.encode_slice(digest.as_bytes(), &mut text[PREFIX.len()..PREFIX.len() + 44]).ok()?;
    HeaderValue::from_bytes(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[&'static str]) -> Preference {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WANT_REPR_DIGEST, HeaderValue::from_static(line));
        }
        preference(&headers, &WANT_REPR_DIGEST)
    }

    #[test]
    fn preferences_are_a_dictionary_of_small_integers() {
        assert_eq!(said(&["sha-256=1"]), Preference::Wanted);
        assert_eq!(said(&["sha-512=3, sha-256=10, unixsum=0"]), Preference::Wanted);
        assert_eq!(said(&["sha-512=3", "sha-256=10"]), Preference::Wanted);
        assert_eq!(said(&["sha-256=10;x=1"]), Preference::Wanted);
        assert_eq!(said(&["sha-256=0"]), Preference::Refused);
        assert_eq!(said(&["sha-256=1, sha-256=0"]), Preference::Refused);
        for nothing in [
            "",
            "sha-512=1",
            "sha-256",
            "sha-256=11",
            "sha-256=-1",
            "sha-256=1.0",
            "SHA-256=1",
            "sha-256=(1)",
            "sha-256;q=1,,",
        ] {
            assert_eq!(said(&[nothing]), Preference::Unsaid, "{nothing}");
        }
        assert_eq!(said(&[]), Preference::Unsaid);
    }

    #[test]
    fn the_value_is_a_structured_byte_sequence() {
        // SHA-256 of `{"hello": "world"}` and a line feed: the example of RFC 9530.
        let value = field_value(&Sha256Digest::of(b"{\"hello\": \"world\"}\n")).unwrap();
        assert_eq!(value, "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
    }
}
