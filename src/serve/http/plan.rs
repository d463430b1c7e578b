//! From a request and the description of a representation to the answer: which status, which headers, which bytes.

use std::time::Duration;

use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;

use super::conditional::{Validators, Verdict};
use super::digest_fields::{self, CONTENT_DIGEST, MAX_CONTENT_HASHED_BYTES, Preference, REPR_DIGEST};
use super::digest_fields::{WANT_CONTENT_DIGEST, WANT_REPR_DIGEST};
use super::etag::strong_etag;
use super::multipart::{Boundary, Multipart};
use super::range::{ByteRange, Selection, select};
use crate::model::{Blake3Digest, Sha256Digest};

/// What is known about the bytes to be served, without the bytes.
#[derive(Debug, Clone)]
pub struct Representation {
    /// Length in bytes.
    pub size: u64,
    /// Names the content; the entity tag is made of it.
    pub blake3: Blake3Digest,
    /// For the digest fields; without it they are left out, except where the answer's own bytes are hashed.
    pub sha256: Option<Sha256Digest>,
    /// When these bytes became active at this path. Blobs have none. On a whole second it is a strong validator, so
    /// no two versions may share it; times before 1970 are not sent.
    pub last_modified: Option<Timestamp>,
    /// `Content-Type`.
    pub media_type: HeaderValue,
    /// `Cache-Control`, sent with 200, 206 and 304.
    pub cache_control: Option<HeaderValue>,
    /// How long a download may have taken; see [`Validators::new`]. None: dates are compared as RFC 9110 says.
    pub longest_transfer: Option<Duration>,
    /// Random, drawn once a process: keeps multipart boundaries from being foreseen.
    pub boundary_salt: u64,
}

/// An answer but for the bytes of its content.
#[derive(Debug, Clone)]
pub struct Plan {
    /// 200, 206, 304, 405, 412 or 416.
    pub status: StatusCode,
    /// Everything but `Date` and the connection's own headers. `Content-Length` is always there except in a 304,
    /// which has no content by definition.
    pub headers: HeaderMap,
    /// What to send.
    pub content: Content,
    /// Whether `Content-Digest` is to be added over the content when it is at hand; [`Plan::respond`] does.
    pub hash_content: bool,
}

/// Which bytes follow the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// None: an answer to HEAD, or one that has none.
    Nothing,
    /// The whole representation, of this many bytes.
    Whole(u64),
    /// One range of it.
    One(ByteRange),
    /// Several, framed.
    Several(Multipart),
}

/// Plans the answer to a request for a representation that exists and that the requester may see.
pub fn plan(method: &Method, request: &HeaderMap, representation: &Representation) -> Plan {
    if method != Method::GET && method != Method::HEAD {
        return method_not_allowed();
    }
    let etag = strong_etag(&representation.blake3);
    let validators = Validators::new(&etag, representation.last_modified, representation.longest_transfer);
    match validators.evaluate(method, request) {
        Verdict::PreconditionFailed => return precondition_failed(),
        Verdict::NotModified => return not_modified(etag, representation),
        Verdict::Proceed => {}
    }
    let answer = Answer { request, representation, validators: &validators };
    match requested(method, request, &validators, representation.size) {
        Selection::Whole => answer.whole(method),
        Selection::One(range) => answer.one(range),
        Selection::Several(ranges) => answer.several(&ranges).unwrap_or_else(|| answer.whole(method)),
        Selection::Unsatisfiable => unsatisfiable(representation.size),
    }
}

/// Only GET knows ranges (RFC 9110 section 14.2). `Range` is not a list: repeated, it is malformed and so ignored.
fn requested(method: &Method, request: &HeaderMap, validators: &Validators<'_>, size: u64) -> Selection {
    let mut lines = request.get_all(RANGE).iter();
    match (lines.next(), lines.next()) {
        (Some(range), None) if method == Method::GET && validators.range_applies(request) => {
            select(range.as_bytes(), size)
        }
        _ => Selection::Whole,
    }
}

struct Answer<'a> {
    request: &'a HeaderMap,
    representation: &'a Representation,
    validators: &'a Validators<'a>,
}

impl Answer<'_> {
    fn whole(&self, method: &Method) -> Plan {
        let size = self.representation.size;
        let mut headers = self.headers(size, Some(self.representation.media_type.clone()));
        if self.validators.doubts_date(self.request) {
            headers.remove(LAST_MODIFIED);
        }
        let mut hash_content = self.wants_content_digest(size) && method == Method::GET;
        // The content is the representation here, whose digest is known whatever its length.
        if let Some(digest) = self.representation.sha256
            && self.prefers_content_digest()
        {
            insert_some(&mut headers, CONTENT_DIGEST, digest_fields::field_value(&digest));
            hash_content = false;
        }
        let content = if method == Method::HEAD { Content::Nothing } else { Content::Whole(size) };
        Plan { status: StatusCode::OK, headers, content, hash_content }
    }

    fn one(&self, range: ByteRange) -> Plan {
        let octets = range.octets();
        let mut headers = self.headers(octets, Some(self.representation.media_type.clone()));
        let size = self.representation.size;
        insert_some(&mut headers, CONTENT_RANGE, content_range(Some(range), size));
        let hash_content = self.wants_content_digest(octets);
        Plan { status: StatusCode::PARTIAL_CONTENT, headers, content: Content::One(range), hash_content }
    }

    fn several(&self, ranges: &[ByteRange]) -> Option<Plan> {
        let Representation { size, blake3, media_type, boundary_salt, .. } = self.representation;
        let boundary = Boundary::new(blake3, *boundary_salt);
        let multipart = Multipart::new(ranges, *size, media_type, boundary)?;
        let length = multipart.content_length();
        let headers = self.headers(length, multipart.content_type());
        let hash_content = self.wants_content_digest(length);
        Some(Plan { status: StatusCode::PARTIAL_CONTENT, headers, content: Content::Several(multipart), hash_content })
    }

    /// What 200 and 206 have in common. A 206 to an `If-Range` carries all of it, too: section 15.3.7 would have
    /// less, but clients that resume by date take the date of the file from this answer.
    fn headers(&self, content_length: u64, content_type: Option<HeaderValue>) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(12);
        insert_some(&mut headers, CONTENT_TYPE, content_type);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(content_length));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(ETAG, self.validators.etag.clone());
        insert_some(&mut headers, LAST_MODIFIED, self.validators.last_modified_value());
        insert_some(&mut headers, CACHE_CONTROL, self.representation.cache_control.clone());
        if digest_fields::preference(self.request, &WANT_REPR_DIGEST) != Preference::Refused {
            let digest = self.representation.sha256.as_ref();
            insert_some(&mut headers, REPR_DIGEST, digest.and_then(digest_fields::field_value));
        }
        headers
    }

    fn prefers_content_digest(&self) -> bool {
        digest_fields::preference(self.request, &WANT_CONTENT_DIGEST) == Preference::Wanted
    }

    fn wants_content_digest(&self, content_length: u64) -> bool {
        content_length <= MAX_CONTENT_HASHED_BYTES && self.prefers_content_digest()
    }
}

/// RFC 9110 section 15.4.5: what a cache has to update, and nothing that it has already.
fn not_modified(etag: HeaderValue, representation: &Representation) -> Plan {
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(ETAG, etag);
    insert_some(&mut headers, CACHE_CONTROL, representation.cache_control.clone());
    Plan { status: StatusCode::NOT_MODIFIED, headers, content: Content::Nothing, hash_content: false }
}

fn precondition_failed() -> Plan {
    without_content(StatusCode::PRECONDITION_FAILED)
}

/// Says the current length, from which curl and others know that they have everything.
fn unsatisfiable(size: u64) -> Plan {
    let mut plan = without_content(StatusCode::RANGE_NOT_SATISFIABLE);
    plan.headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert_some(&mut plan.headers, CONTENT_RANGE, content_range(None, size));
    plan
}

/// Preconditions do not matter here (RFC 9110 section 13.2.1): the answer would not have been a success.
fn method_not_allowed() -> Plan {
    let mut plan = without_content(StatusCode::METHOD_NOT_ALLOWED);
    plan.headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    plan
}

fn without_content(status: StatusCode) -> Plan {
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(0u64));
    Plan { status, headers, content: Content::Nothing, hash_content: false }
}

fn content_range(range: Option<ByteRange>, size: u64) -> Option<HeaderValue> {
    let text = match range {
        Some(ByteRange { first, last }) => format!("bytes {first}-{last}/{size}"),
        None => format!("bytes */{size}"),
    };
    HeaderValue::try_from(text).ok()
}

fn insert_some(headers: &mut HeaderMap, name: http::HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}
