//! A document on one line whose last member is its id: BLAKE3 of all that stands before it.

use crate::model::Blake3Digest;

const ID_KEY: &str = ",\"id\":\"";
const ID_END: &str = "\"}";
const TAIL_BYTES: usize = ID_KEY.len() + 64 + ID_END.len();

/// Why a line is not closed by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotClosed {
    /// There is no id at its end.
    NoId,
    /// The id is not that of the bytes before it.
    OtherId,
}

/// Ends a JSON object with at least one member in its id.
pub(super) fn close(mut object: String) -> (String, Blake3Digest) {
    object.pop();
    let id = Blake3Digest::of(object.as_bytes());
    object.push_str(ID_KEY);
    object.push_str(&id.to_hex());
    object.push_str(ID_END);
    (object, id)
}

/// The object without its id, and the id, which fits.
pub(super) fn open(text: &str) -> Result<(String, Blake3Digest), NotClosed> {
    let at = text.len().checked_sub(TAIL_BYTES).and_then(|at| text.split_at_checked(at));
    let (body, tail) = at.ok_or(NotClosed::NoId)?;
    let hex = tail.strip_prefix(ID_KEY).and_then(|tail| tail.strip_suffix(ID_END));
    let id: Blake3Digest = hex.and_then(|hex| hex.parse().ok()).ok_or(NotClosed::NoId)?;
    if Blake3Digest::of(body.as_bytes()) != id {
        return Err(NotClosed::OtherId);
    }
    Ok((format!("{body}}}"), id))
}
