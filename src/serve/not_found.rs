//! The one 404 of the device listener.
//!
//! Withheld, unknown and malformed look the same from outside: the same status, the same headers, the same bytes, for
//! every method and whatever the request's conditions say. So there is exactly one function that makes this answer,
//! and it takes nothing that could make a difference.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::http::BytesBody;

const BODY: &str = r#"{"type":"about:blank","title":"Not Found","status":404}"#;

/// Cloned for each answer: cheaper than three insertions, and there is no way to get them wrong.
static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(BODY.len()));
    // A cache between must not keep it: what is withheld now may be offered in a minute.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers
});

/// The answer. To HEAD, hyper sends its headers only.
pub fn not_found() -> Response<BytesBody> {
    let mut response = Response::new(BytesBody::one(Bytes::from_static(BODY.as_bytes()), BODY.len() as u64));
    *response.status_mut() = StatusCode::NOT_FOUND;
    *response.headers_mut() = HEADERS.clone();
    response
}
