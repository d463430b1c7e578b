//! Whole answers: what a client reads from head and body, taken apart by a naive reader.

use std::num::NonZeroUsize;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;

use super::super::body::{BytesBody, TruncatedBody};
use super::super::digest_fields::{MAX_CONTENT_HASHED_BYTES, field_value};
use super::super::plan::{Representation, plan};
use super::random::Random;
use super::ranges::{Expected, generate, oracle};
use super::{blob, cases};
use crate::model::Sha256Digest;

fn request(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn answer(
    method: &Method,
    lines: &[(&'static str, &str)],
    described: &Representation,
    body: &Bytes,
) -> Response<BytesBody> {
    plan(method, &request(lines), described).respond(body, NonZeroUsize::new(7))
}

/// All bytes of a body; every body here is in memory, so no runtime is needed.
fn read(body: BytesBody) -> Result<Vec<u8>, TruncatedBody> {
    let collected = std::pin::pin!(body.collect());
    match collected.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(collected) => Ok(collected?.to_bytes().to_vec()),
        std::task::Poll::Pending => panic!("memory is always ready"),
    }
}

fn header<'a>(response: &'a Response<BytesBody>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// (Content-Range, content) of every part, found by searching for the boundary as a client would.
fn parts(content_type: &str, content: &[u8]) -> Vec<(String, Vec<u8>)> {
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let text = String::from_utf8(content.to_vec()).unwrap();
    let text = format!("\r\n{text}");
    let delimiter = format!("\r\n--{boundary}");
    let mut pieces = text.split(&delimiter);
    assert_eq!(pieces.next(), Some(""));
    let mut parts = Vec::new();
    for piece in pieces {
        if piece == "--\r\n" {
            return parts;
        }
        let (head, content) = piece.strip_prefix("\r\n").unwrap().split_once("\r\n\r\n").unwrap();
        let range = head.lines().find_map(|line| line.strip_prefix("Content-Range: ")).unwrap();
        assert!(head.lines().any(|line| line == "Content-Type: application/octet-stream"));
        parts.push((range.to_owned(), content.as_bytes().to_vec()));
    }
    panic!("no closing delimiter")
}

#[test]
fn generated_requests_get_the_octets_that_the_model_selects() {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let seed = Random::seed() + 1;
    let mut random = Random::new(seed);
    for case in 0..cases() / 4 {
        let (field, length) = generate(&mut random);
        let body = Bytes::from_static(&ALPHABET[..usize::try_from(length).unwrap()]);
        let described = blob(&body);
        let response = answer(&Method::GET, &[("range", &field)], &described, &body);
        let context = format!("seed {seed}, case {case}: {field:?} of {length}: {response:?}");
        let octets =
            |set: u64| (0..length).filter(|at| set >> at & 1 == 1).map(|at| body[at as usize]).collect::<Vec<u8>>();
        let range = |set: u64| format!("bytes {}-{}/{length}", set.trailing_zeros(), 63 - set.leading_zeros());
        let content_type = header(&response, "content-type").unwrap_or_default().to_owned();
        let content_range = header(&response, "content-range").map(str::to_owned);
        let content_length = header(&response, "content-length").unwrap().parse::<usize>().unwrap();
        let status = response.status();
        let content = read(response.into_body()).unwrap();
        assert_eq!(content.len(), content_length, "{context}");
        match oracle(&field, length) {
            Expected::Whole => {
                assert_eq!((status, content_range, content), (StatusCode::OK, None, body.to_vec()), "{context}");
            }
            Expected::Unsatisfiable => {
                let size = Some(format!("bytes */{length}"));
                assert_eq!(
                    (status, content_range, content),
                    (StatusCode::RANGE_NOT_SATISFIABLE, size, vec![]),
                    "{context}"
                );
            }
            Expected::Parts(sets) if sets.len() == 1 => {
                let found = (status, content_range, content);
                assert_eq!(found, (StatusCode::PARTIAL_CONTENT, Some(range(sets[0])), octets(sets[0])), "{context}");
            }
            Expected::Parts(sets) => {
                assert_eq!((status, content_range), (StatusCode::PARTIAL_CONTENT, None), "{context}");
                let wanted: Vec<_> = sets.iter().map(|&set| (range(set), octets(set))).collect();
                assert_eq!(parts(&content_type, &content), wanted, "{context}");
            }
        }
    }
}

#[test]
fn every_success_describes_the_representation() {
    let body = Bytes::from_static(b"0123456789");
    let described = blob(&body);
    let digest = field_value(&Sha256Digest::of(&body)).unwrap();
    for (range, status) in [("bytes=x", 200), ("bytes=1-2", 206), ("bytes=1-2,5-6", 206)] {
        let response = answer(&Method::GET, &[("range", range)], &described, &body);
        assert_eq!(response.status(), status);
        assert_eq!(header(&response, "accept-ranges"), Some("bytes"));
        assert_eq!(header(&response, "etag").unwrap(), format!("\"{}\"", described.blake3));
        assert_eq!(header(&response, "cache-control"), Some("private, immutable, max-age=31536000"));
        assert_eq!(response.headers()["repr-digest"], digest);
        assert_eq!(header(&response, "last-modified"), None);
        assert_eq!(header(&response, "content-digest"), None);
    }
}

#[test]
fn head_is_get_without_content_and_without_range() {
    let body = Bytes::from_static(b"0123456789");
    let described = blob(&body);
    for extra in [("accept", "*/*"), ("want-content-digest", "sha-256=1"), ("want-repr-digest", "sha-256=0")] {
        let get = answer(&Method::GET, &[extra], &described, &body);
        let head = answer(&Method::HEAD, &[extra, ("range", "bytes=0-1"), ("if-range", "\"x\"")], &described, &body);
        assert_eq!((head.status(), head.headers()), (get.status(), get.headers()));
        assert_eq!(read(head.into_body()), Ok(vec![]));
    }
    let beyond = answer(&Method::HEAD, &[("range", "bytes=50-")], &described, &body);
    assert_eq!(beyond.status(), StatusCode::OK);
}

#[test]
fn answers_without_content_say_no_more_than_they_must() {
    let body = Bytes::from_static(b"0123456789");
    let described = blob(&body);
    let names = |response: &Response<BytesBody>| {
        let mut names: Vec<_> = response.headers().keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names.join(" ")
    };
    let not_modified = answer(&Method::GET, &[("if-none-match", "*")], &described, &body);
    assert_eq!((not_modified.status().as_u16(), &*names(&not_modified)), (304, "cache-control etag"));
    let failed = answer(&Method::GET, &[("if-match", "\"x\""), ("range", "bytes=99-")], &described, &body);
    assert_eq!((failed.status().as_u16(), &*names(&failed)), (412, "content-length"));
    let beyond = answer(&Method::GET, &[("range", "bytes=99-")], &described, &body);
    assert_eq!((beyond.status().as_u16(), &*names(&beyond)), (416, "accept-ranges content-length content-range"));
    let post = answer(&Method::POST, &[("if-match", "\"x\"")], &described, &body);
    assert_eq!((post.status().as_u16(), &*names(&post)), (405, "allow content-length"));
}

#[test]
fn a_repeated_range_is_ignored() {
    let body = Bytes::from_static(b"0123456789");
    let twice = [("range", "bytes=0-1"), ("range", "bytes=0-1")];
    assert_eq!(answer(&Method::GET, &twice, &blob(&body), &body).status(), StatusCode::OK);
}

#[test]
fn digests_on_request() {
    let body = Bytes::from(vec![7; MAX_CONTENT_HASHED_BYTES as usize + 2]);
    let described = blob(&body);
    let want = ("want-content-digest", "sha-256=5");
    // The whole: its digest is known, so the bound does not matter.
    let whole = answer(&Method::GET, &[want], &described, &body);
    assert_eq!(whole.headers()["content-digest"], whole.headers()["repr-digest"]);
    // A range up to the bound: over its own bytes. One more byte: not at all.
    let within = format!("bytes=1-{MAX_CONTENT_HASHED_BYTES}");
    let range = answer(&Method::GET, &[want, ("range", &within)], &described, &body);
    let expected = Sha256Digest::of(&body[1..=MAX_CONTENT_HASHED_BYTES as usize]);
    assert_eq!(range.headers()["content-digest"], field_value(&expected).unwrap());
    let beyond = format!("bytes=0-{MAX_CONTENT_HASHED_BYTES}");
    let range = answer(&Method::GET, &[want, ("range", &beyond)], &described, &body);
    assert_eq!((range.status(), header(&range, "content-digest")), (StatusCode::PARTIAL_CONTENT, None));
    // Several: over the multipart framing, too.
    let several = answer(&Method::GET, &[want, ("range", "bytes=0-1,5-6")], &described, &body);
    let digest = several.headers()["content-digest"].clone();
    assert_eq!(digest, field_value(&Sha256Digest::of(&read(several.into_body()).unwrap())).unwrap());
    // Refused, and another algorithm only.
    let refused = answer(&Method::GET, &[("want-repr-digest", "sha-256=0")], &described, &body);
    assert_eq!(header(&refused, "repr-digest"), None);
    let other = answer(
        &Method::GET,
        &[("want-repr-digest", "sha-512=9"), ("want-content-digest", "sha-512=9")],
        &described,
        &body,
    );
    assert!(header(&other, "repr-digest").is_some() && header(&other, "content-digest").is_none());
}

#[test]
fn a_truncated_source_fails_the_body() {
    let body = Bytes::from_static(b"0123456789");
    let described = blob(&body);
    let short = body.slice(..6);
    for (range, missing) in [("bytes=x", 4), ("bytes=5-9", 4), ("bytes=8-9", 2)] {
        let response =
            answer(&Method::GET, &[("range", range), ("want-content-digest", "sha-256=1")], &described, &short);
        // A digest over what is left would vouch for it; the whole has the representation's own.
        assert_eq!(header(&response, "content-digest").is_some(), range == "bytes=x");
        assert_eq!(read(response.into_body()).unwrap_err().missing, missing, "{range}");
    }
    let several = answer(&Method::GET, &[("range", "bytes=8-9,0-1")], &described, &short);
    assert!(read(several.into_body()).is_err());
    // A source that is too long is a fault elsewhere; the answer stays what its head says.
    let long = Bytes::from_static(b"0123456789abc");
    let whole = answer(&Method::GET, &[("want-content-digest", "sha-256=1")], &described, &long);
    assert_eq!(read(whole.into_body()).unwrap(), body);
}
