//! Signed answers, kept for as long as they can be given again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderValue, Method, Response};
use jiff::Timestamp;
use serde::Serialize;

use super::Problem;
use crate::model::{Blake3Digest, KeyId, ReleaseId};
use crate::serve::http::BytesBody;

/// Answers kept of each kind, and their bytes; past either, that kind starts anew.
const KEPT_MAX: usize = 4096;
const KEPT_MAX_BYTES: usize = 16 << 20;
/// The longest answer kept.
const ANSWER_MAX_BYTES: usize = 64 << 10;

/// What was signed, so that the same is not signed again and again.
#[derive(Debug, Default)]
pub(super) struct SignedTexts {
    /// By release and key: neither ever changes.
    manifests: Mutex<Kept<(ReleaseId, KeyId), Bytes>>,
    /// By what they say, which names the key; good for the time that they were made at.
    statements: Mutex<Kept<Blake3Digest, (Timestamp, Bytes)>>,
}

/// Answers, and how long they are in all.
#[derive(Debug)]
struct Kept<K, V> {
    answers: HashMap<K, V>,
    bytes: usize,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self { answers: HashMap::new(), bytes: 0 }
    }
}

impl<K: Eq + Hash, V> Kept<K, V> {
    fn keep(&mut self, key: K, value: V, length: usize) {
        if length > ANSWER_MAX_BYTES {
            return;
        }
        if self.answers.len() >= KEPT_MAX || self.bytes + length > KEPT_MAX_BYTES {
            *self = Self::default();
        }
        // What is replaced is counted twice, which only makes it start anew the earlier.
        self.bytes += length;
        self.answers.insert(key, value);
    }
}

impl SignedTexts {
    pub(super) fn manifest(
        &self,
        key: (ReleaseId, KeyId),
        make: impl FnOnce() -> Result<Bytes, Problem>,
    ) -> Result<Bytes, Problem> {
        if let Some(kept) = self.manifests.lock().unwrap_or_else(PoisonError::into_inner).answers.get(&key) {
            return Ok(kept.clone());
        }
        let made = make()?;
        let mut manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        manifests.keep(key, made.clone(), made.len());
        Ok(made)
    }

    pub(super) fn statement(
        &self,
        contents: Blake3Digest,
        at: Timestamp,
        make: impl FnOnce() -> Result<Bytes, Problem>,
    ) -> Result<Bytes, Problem> {
        let statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, kept)) = statements.answers.get(&contents).filter(|(made_at, _)| *made_at == at) {
            return Ok(kept.clone());
        }
        drop(statements);
        let made = make()?;
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        statements.keep(contents, (at, made.clone()), made.len());
        Ok(made)
    }
}

/// The JSON of an answer.
pub(super) fn json(answer: &impl Serialize) -> Result<Bytes, Problem> {
    serde_json::to_vec(answer).map(Bytes::from).map_err(|error| {
        tracing::error!(%error, "a signed answer cannot be rendered");
        Problem::internal()
    })
}

/// 200 with this JSON.
pub(super) fn respond(method: &Method, text: Bytes, cache_control: &'static str) -> Response<BytesBody> {
    let length = text.len();
    let body = if method == Method::HEAD { BytesBody::empty() } else { BytesBody::from(text) };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control));
    headers.insert(VARY, super::offer::VARIES.clone());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_signed_once_in_its_time() {
        let texts = SignedTexts::default();
        let signed = std::cell::Cell::new(0);
        let make = || {
            signed.set(signed.get() + 1);
            Ok(Bytes::from_static(b"x"))
        };
        let (one, two) = (Blake3Digest::of(b"1"), Blake3Digest::of(b"2"));
        let (now, later) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        for (contents, at, expected) in [(one, now, 1), (one, now, 1), (two, now, 2), (one, later, 3), (one, later, 3)]
        {
            texts.statement(contents, at, make).unwrap();
            assert_eq!(signed.get(), expected);
        }
        let (release, key) = (ReleaseId(one), KeyId([1; 8]));
        for (key, expected) in [((release, key), 4), ((release, key), 4), ((release, KeyId([2; 8])), 5)] {
            texts.manifest(key, make).unwrap();
            assert_eq!(signed.get(), expected);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let texts = SignedTexts::default();
        for number in 0..3 * KEPT_MAX as u64 {
            let contents = Blake3Digest::of(&number.to_be_bytes());
            texts.statement(contents, Timestamp::UNIX_EPOCH, || Ok(Bytes::new())).unwrap();
        }
        assert!(texts.statements.lock().unwrap().answers.len() <= KEPT_MAX);
        let large = Bytes::from(vec![0; ANSWER_MAX_BYTES]);
        for number in 0..1000_u64 {
            let contents = Blake3Digest::of(&number.to_le_bytes());
            texts.statement(contents, Timestamp::UNIX_EPOCH, || Ok(large.clone())).unwrap();
        }
        let kept = texts.statements.lock().unwrap().answers.values().map(|(_, text)| text.len()).sum::<usize>();
        assert!(kept <= KEPT_MAX_BYTES, "{kept}");
        let long = Bytes::from(vec![0; ANSWER_MAX_BYTES + 1]);
        let contents = Blake3Digest::of(b"long");
        texts.statement(contents, Timestamp::UNIX_EPOCH, || Ok(long)).unwrap();
        assert!(!texts.statements.lock().unwrap().answers.contains_key(&contents));
    }
}
