//! The pure HTTP rules against naive models of RFC 9110, written another way, and against what others publish.

mod answers;
mod preconditions;
mod published;
mod random;
mod ranges;

use bytes::Bytes;
use http::HeaderValue;

use super::plan::Representation;
use crate::model::{Blake3Digest, Sha256Digest};

/// The description of these bytes as the store would give it.
fn blob(bytes: &Bytes) -> Representation {
    Representation {
        size: bytes.len() as u64,
        blake3: Blake3Digest::of(bytes),
        sha256: Some(Sha256Digest::of(bytes)),
        last_modified: None,
        media_type: HeaderValue::from_static("application/octet-stream"),
        cache_control: Some(HeaderValue::from_static("private, immutable, max-age=31536000")),
        longest_transfer: None,
        boundary_salt: 42,
    }
}

/// How many generated cases to run: 1,000,000 in the full tier.
fn cases() -> u64 {
    match std::env::var("RINGFENCE_TIER").as_deref() {
        Ok("full") => 1_000_000,
        _ => 10_000,
    }
}
