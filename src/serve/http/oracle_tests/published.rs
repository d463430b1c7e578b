//! What the test suites of other servers expect, restated. Where they go beyond RFC 9110 or against it, the vector has
//! our answer and a note.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;

use super::super::plan::{Representation, plan};
use super::super::range::{ByteRange, Selection, select};
use super::blob;

const WHOLE: &[(u64, u64)] = &[];

fn ranges(selection: Selection) -> Option<Vec<(u64, u64)>> {
    let pair = |range: &ByteRange| (range.first, range.last);
    match selection {
        Selection::Unsatisfiable => None,
        Selection::Whole => Some(WHOLE.to_vec()),
        Selection::One(range) => Some(vec![pair(&range)]),
        Selection::Several(ranges) => Some(ranges.iter().map(pair).collect()),
    }
}

/// (header, length, ranges); no ranges: the header is ignored.
type Vector<'a> = (&'a str, u64, &'a [(u64, u64)]);

fn check(vectors: &[Vector<'_>]) {
    for (field, length, expected) in vectors {
        assert_eq!(ranges(select(field.as_bytes(), *length)).as_deref(), Some(*expected), "{field:?} of {length}");
    }
}

/// Go, `net/http` `range_test.go`.
#[test]
fn go_parse_range() {
    // Go calls these errors and answers 416; RFC 9110 section 14.2 lets a server ignore what is malformed, and a whole
    // body serves every client.
    for malformed in [
        "",
        "foo",
        "bytes=",
        "bytes=7",
        "bytes= 7 ",
        "bytes=5-4",
        "bytes=0-2,5-4",
        "bytes=2-5,4-3",
        "bytes=--5,4--3",
        "bytes=A-",
        "bytes=A- ",
        "bytes=A-Z",
        "bytes= -Z",
        "bytes=5-Z",
        "bytes=Ran-dom, garbage",
        "bytes=0x01-0x02",
        "bytes=         ",
        "bytes= , , ,   ",
    ] {
        check(&[(malformed, 10, WHOLE)]);
    }
    check(&[
        ("bytes=0-9", 10, &[(0, 9)]),
        ("bytes=0-", 10, &[(0, 9)]),
        ("bytes=5-", 10, &[(5, 9)]),
        ("bytes=0-20", 10, &[(0, 9)]),
        ("bytes=1-2,5-", 10, &[(1, 2), (5, 9)]),
        ("bytes=0-0 ,2-2, 7-", 11, &[(0, 0), (2, 2), (7, 10)]),
        ("bytes=-5", 10, &[(5, 9)]),
        ("bytes=-15", 10, &[(0, 9)]),
        ("bytes=0-499", 10_000, &[(0, 499)]),
        ("bytes=500-999", 10_000, &[(500, 999)]),
        ("bytes=-500", 10_000, &[(9500, 9999)]),
        ("bytes=9500-", 10_000, &[(9500, 9999)]),
        ("bytes=0-0,-1", 10_000, &[(0, 0), (9999, 9999)]),
        // Go sends these pairs as two parts; section 15.3.7.2 lets us join them.
        ("bytes=-2 , 7-", 11, &[(7, 10)]),
        ("bytes=500-600,601-999", 10_000, &[(500, 999)]),
        ("bytes=500-700,601-999", 10_000, &[(500, 999)]),
        // Go refuses the set for its first range. Section 14.1.2: one satisfiable range makes the set satisfiable.
        ("bytes=15-,0-5", 10, &[(0, 5)]),
        // Go follows Apache in taking white space inside a range; the grammar has none there, so it is malformed.
        ("bytes=   1 -2   ,  4- 5, 7 - 8 , ,,", 11, WHOLE),
    ]);
    // Go ignores ranges of empty files altogether; by section 14.1.2 this one is unsatisfiable.
    assert_eq!(ranges(select(b"bytes=1-", 0)), None);
}

/// nginx-tests, `range.t`: a file of 1,000 bytes.
#[test]
fn nginx_ranges() {
    check(&[
        ("bytes=0-8", 1000, &[(0, 8)]),
        ("bytes=-10", 1000, &[(990, 999)]),
        ("bytes=990-", 1000, &[(990, 999)]),
        ("bytes=990-1990", 1000, &[(990, 999)]),
        ("bytes=0-10001", 1000, &[(0, 999)]),
        // nginx sends three parts, as asked for; 0-9 and 10-19 touch, so here they are one.
        ("bytes=0-9, -10, 10-19", 1000, &[(0, 19), (990, 999)]),
        ("bytes=0-9, -10, 100000-, 10-19", 1000, &[(0, 19), (990, 999)]),
        ("bytes=0-10001, 0-0", 1000, WHOLE),
        // nginx answers 416 to what is malformed. Section 15.5.17 has 416 for what cannot be satisfied only.
        ("bytes=alpha", 1000, WHOLE),
        ("bytes=10-alpha", 1000, WHOLE),
        ("bytes=10", 1000, WHOLE),
        ("bytes=10-11 12-", 1000, WHOLE),
    ]);
    assert_eq!(ranges(select(b"bytes=100000-", 1000)), None);
}

/// tower-http, the tests of `ServeDir`, which uses the crate http-range-header.
#[test]
fn tower_http_ranges() {
    check(&[
        ("bytes=9-1023", 23_000, &[(9, 1023)]),
        ("bytes=0-9999998", 23_000, &[(0, 22_999)]),
        // tower-http answers 416 to both, which are malformed.
        ("bad_format", 23_000, WHOLE),
        ("bytes=-1-15", 23_000, WHOLE),
    ]);
    // tower-http answers 206 with `bytes 0-0/0`, which claims an octet that is not there.
    assert_eq!(ranges(select(b"bytes=0-", 0)), None);
}

struct Served {
    described: Representation,
    etag: String,
}

impl Served {
    fn status(&self, method: &Method, lines: &[(&'static str, &str)]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = value.replace("ETAG", &self.etag);
            headers.append(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
        }
        plan(method, &headers, &self.described).status.as_u16()
    }
}

/// 8 bytes, changed on Wed, 25 Jun 2014 17:12:18 GMT and so many nanoseconds.
fn served(nanoseconds: i32) -> Served {
    let mut described = blob(&bytes::Bytes::from_static(b"body {}\n"));
    described.last_modified = Some(Timestamp::new(1_403_716_338, nanoseconds).unwrap());
    let etag = format!("\"{}\"", described.blake3);
    Served { described, etag }
}

/// Go, `net/http` `fs_test.go`, the table for `ServeContent`. Each is asked with GET, whose status is given.
#[test]
fn go_serve_content() {
    const CHANGED: &str = "Wed, 25 Jun 2014 17:12:18 GMT";
    let served = served(0);
    let vectors: &[(&[(&'static str, &str)], u16)] = &[
        (&[], 200),
        (&[("if-modified-since", CHANGED)], 304),
        (&[("if-none-match", "ETAG")], 304),
        (&[("if-none-match", "\"baz\", W/ETAG")], 304),
        (&[("if-none-match", "\"Foo\"")], 200),
        (&[("if-none-match", ",")], 200),
        (&[("range", "bytes=0-4")], 206),
        (&[("range", "bytes=0-4"), ("if-range", "ETAG")], 206),
        (&[("range", "bytes=0-4"), ("if-range", "W/ETAG")], 200),
        (&[("range", "bytes=10-20")], 416),
        (&[("range", "bytes=0-4"), ("if-range", "\"B\"")], 200),
        (&[("range", "bytes=0-4"), ("if-range", CHANGED)], 206),
        (&[("range", "bytes=0-4"), ("if-range", "Wed, 25 Jun 2014 17:12:19 GMT")], 200),
        (&[("if-match", "\"Z\", ETAG")], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", "\"B\"")], 412),
        (&[("if-match", "W/ETAG")], 412),
        (&[("if-unmodified-since", CHANGED)], 200),
        (&[("if-unmodified-since", "Wed, 25 Jun 2014 17:12:16 GMT")], 412),
    ];
    for (lines, status) in vectors {
        assert_eq!(served.status(&Method::GET, lines), *status, "{lines:?}");
        // Go applies ranges to HEAD, too; section 14.2 defines them for GET only.
        let without_ranges = if matches!(status, 206 | 416) { 200 } else { *status };
        assert_eq!(served.status(&Method::HEAD, lines), without_ranges, "HEAD {lines:?}");
    }
    // Go resumes by a date that was rounded down (206). Section 8.8.2.2: such a date is weak, and section 13.1.5 asks
    // for a strong one.
    assert_eq!(self::served(123).status(&Method::GET, &[("range", "bytes=0-4"), ("if-range", CHANGED)]), 200);
}

/// tower-http, `ServeDir`'s test of dates, and its answer to POST.
#[test]
fn tower_http_dates() {
    const CHANGED: &str = "Wed, 25 Jun 2014 17:12:18 GMT";
    const EARLIER: &str = "Fri, 09 Aug 1996 14:21:40 GMT";
    let served = served(0);
    for (name, date, status) in [
        ("if-modified-since", CHANGED, 304),
        ("if-modified-since", EARLIER, 200),
        ("if-unmodified-since", CHANGED, 200),
        ("if-unmodified-since", EARLIER, 412),
    ] {
        assert_eq!(served.status(&Method::GET, &[(name, date)]), status, "{name}: {date}");
    }
    assert_eq!(served.status(&Method::POST, &[]), 405);
}

/// nginx-tests, `not_modified.t`, with `if_modified_since before`.
#[test]
fn nginx_not_modified() {
    let served = served(0);
    let vectors: &[(&[(&'static str, &str)], u16)] = &[
        (&[("if-modified-since", "Wed, 08 Jul 2037 22:53:52 GMT")], 304),
        (&[("if-modified-since", "Tue, 19 Jan 2038 03:14:07 GMT")], 304),
        // nginx expects 200 for the next two where its clock has 32 bits.
        (&[("if-modified-since", "Tue, 19 Jan 2038 03:14:08 GMT")], 304),
        (&[("if-modified-since", "Fri, 25 Feb 2174 09:42:23 GMT")], 304),
        (&[("if-none-match", "ETAG")], 304),
        (&[("if-none-match", "\"foo\"")], 200),
        (&[("if-none-match", "\"foo\", \"bar\", ETAG , \"baz\"")], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "W/ETAG")], 304),
        (&[("if-match", "ETAG")], 200),
        (&[("if-match", "\"foo\"")], 412),
        (&[("if-match", "\"foo\", \"bar\", \tETAG , \"baz\"")], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", "W/ETAG")], 412),
    ];
    for (lines, status) in vectors {
        assert_eq!(served.status(&Method::GET, lines), *status, "{lines:?}");
    }
}
