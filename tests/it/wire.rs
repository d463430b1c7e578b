//! Ranges, conditionals and framing as they go over the wire, on a body whose every byte is known.

use std::io::{Read as _, Write as _};

use serde_json::json;

use crate::support::http::{parse, raw};
use crate::support::{Answer, TestServer, random_bytes, request, sha256_hex};

const SIZE: usize = 10_000;

struct Blob {
    server: TestServer,
    bytes: Vec<u8>,
    path: String,
}

fn blob() -> Blob {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let bytes = random_bytes(7, SIZE);
    let upload = server.as_admin().upload(&bytes);
    let artifact = json!({ "target": "feed.bin", "upload": upload });
    server.as_admin().release("feed", "1.0", &[artifact]).expect(201);
    let path = format!("/v1/blobs/sha256:{}", sha256_hex(&bytes));
    Blob { server, bytes, path }
}

impl Blob {
    fn ask(&self, method: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("Ringfence-Device", "device-1")];
        all.extend_from_slice(headers);
        request(self.server.device, method, &self.path, &all, b"")
    }

    fn etag(&self) -> String {
        self.ask("HEAD", &[]).header("etag").expect("an entity tag").to_owned()
    }
}

#[test]
fn a_whole_body_carries_what_clients_rely_on() {
    let blob = blob();
    let answer = blob.ask("GET", &[]).expect(200);
    assert_eq!(answer.body, blob.bytes);
    assert_eq!(answer.content_length(), Some(SIZE as u64));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    assert!(answer.header("transfer-encoding").is_none());
    assert!(
        answer.header("cache-control").is_some_and(|value| value.contains("private") && value.contains("immutable"))
    );
    let etag = answer.header("etag").expect("an entity tag");
    assert!(etag.starts_with('"'), "the tag is strong: {etag}");
    assert!(answer.header("repr-digest").is_some_and(|value| value.contains("sha-256=:")), "{}", answer.head);
    let head = blob.ask("HEAD", &[]).expect(200);
    assert_eq!(
        (head.without_date().0, head.body),
        (answer.without_date().0, Vec::new()),
        "HEAD is GET without the body"
    );
}

#[test]
fn single_ranges() {
    let blob = blob();
    let part = |first: usize, last: usize| (format!("bytes {first}-{last}/{SIZE}"), &blob.bytes[first..=last]);
    for (range, (content_range, body)) in [
        ("bytes=0-0", part(0, 0)),
        ("bytes=0-", part(0, SIZE - 1)),
        ("bytes=100-199", part(100, 199)),
        ("bytes=9999-", part(9999, 9999)),
        ("bytes=9000-99999", part(9000, SIZE - 1)),
        ("bytes=-1", part(SIZE - 1, SIZE - 1)),
        ("bytes=-99999", part(0, SIZE - 1)),
        ("bytes=5-18446744073709551615", part(5, SIZE - 1)),
        ("BYTES=0-1", part(0, 1)),
        ("bytes=0-1 , ", part(0, 1)),
    ] {
        let answer = blob.ask("GET", &[("Range", range)]).expect(206);
        assert_eq!(answer.header("content-range"), Some(&*content_range), "{range}");
        assert_eq!(answer.content_length(), Some(body.len() as u64), "{range}");
        assert!(answer.body == body, "{range}");
        let head = blob.ask("HEAD", &[("Range", range)]).expect(200);
        assert_eq!(head.content_length(), Some(SIZE as u64), "HEAD ignores {range}");
    }
}

#[test]
fn what_is_no_range_gets_the_whole_body() {
    let blob = blob();
    for range in [
        "bytes=",
        "bytes= 0-1",
        "bytes=a-b",
        "bytes=5-4",
        "bytes=--1",
        "bytes=0-1;2-3",
        "octets=0-1",
        "0-1",
        "bytes=0-0,x",
        "",
    ] {
        let answer = blob.ask("GET", &[("Range", range)]).expect(200);
        assert!(answer.body == blob.bytes, "{range:?}");
    }
    // Abuse: many ranges, overlapping ones, and more than the whole.
    let many =
        format!("bytes={}", (0..200).map(|n| format!("{}-{}", n * 20, n * 20 + 1)).collect::<Vec<_>>().join(","));
    let overlapping = "bytes=0-9999,0-9999,0-9999";
    for range in [&*many, overlapping] {
        assert!(blob.ask("GET", &[("Range", range)]).expect(200).body == blob.bytes, "{range:.60}");
    }
}

#[test]
fn nothing_satisfiable_is_416() {
    let blob = blob();
    for range in ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=18446744073709551615-", "bytes=20000-,-0"] {
        let answer = blob.ask("GET", &[("Range", range)]).expect(416);
        assert_eq!(answer.header("content-range"), Some("bytes */10000"), "{range}");
    }
}

#[test]
fn several_ranges_come_as_parts_in_the_order_asked() {
    let blob = blob();
    let answer = blob.ask("GET", &[("Range", "bytes=500-599,0-9,-5")]).expect(206);
    let kind = answer.header("content-type").expect("a media type").to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("byte ranges").trim_matches('"');
    assert_eq!(answer.content_length(), Some(answer.body.len() as u64));
    let mut rest = &answer.body[..];
    for (first, last) in [(500, 599), (0, 9), (SIZE - 5, SIZE - 1)] {
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("a part has a head");
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        assert!(head.contains(&format!("--{}", boundary.to_ascii_lowercase())), "{head}");
        assert!(head.contains(&format!("content-range: bytes {first}-{last}/{SIZE}")), "{head}");
        assert!(head.trim_start().len() <= 180, "BITS takes at most 180 bytes of part head: {head}");
        let body = &rest[end + 4..];
        assert!(body[..=last - first] == blob.bytes[first..=last]);
        rest = &body[last - first + 1..];
    }
    assert_eq!(rest, format!("\r\n--{boundary}--\r\n").as_bytes());
}

#[test]
fn neighbouring_ranges_are_one() {
    let blob = blob();
    let answer = blob.ask("GET", &[("Range", "bytes=0-99,100-199")]).expect(206);
    assert_eq!(answer.header("content-range"), Some("bytes 0-199/10000"));
    assert!(answer.body == blob.bytes[..200]);
}

#[test]
fn conditionals_in_the_order_of_rfc_9110() {
    let blob = blob();
    let etag = blob.etag();
    let weak = format!("W/{etag}");
    let list = format!("\"x\", {etag}");
    let (old, future) = ("Thu, 01 Jan 1970 00:00:10 GMT", "Fri, 31 Dec 2100 23:59:59 GMT");
    for (headers, status) in [
        (vec![("If-None-Match", &*etag)], 304),
        (vec![("If-None-Match", &*weak)], 304),
        (vec![("If-None-Match", &*list)], 304),
        (vec![("If-None-Match", "*")], 304),
        (vec![("If-None-Match", "\"x\"")], 200),
        (vec![("If-Match", &*etag)], 200),
        (vec![("If-Match", "*")], 200),
        (vec![("If-Match", &*weak)], 412),
        (vec![("If-Match", "\"x\"")], 412),
        (vec![("If-Match", &*etag), ("If-None-Match", &*etag)], 304),
        (vec![("If-Match", "\"x\""), ("If-None-Match", &*etag)], 412),
        (vec![("If-Match", &*etag), ("If-Unmodified-Since", old)], 200),
        (vec![("If-None-Match", "\"x\""), ("If-Modified-Since", future)], 200),
        (vec![("If-Range", &*etag), ("Range", "bytes=0-9")], 206),
        (vec![("If-Range", &*weak), ("Range", "bytes=0-9")], 200),
        (vec![("If-Range", "\"x\""), ("Range", "bytes=0-9")], 200),
        (vec![("If-Range", old), ("Range", "bytes=0-9")], 200),
        (vec![("If-Range", "\"x\""), ("Range", "bytes=90000-")], 200),
        (vec![("If-None-Match", &*etag), ("Range", "bytes=0-9")], 304),
        (vec![("If-Match", "\"x\""), ("Range", "bytes=90000-")], 412),
    ] {
        for method in ["GET", "HEAD"] {
            // HEAD ignores Range, and with it If-Range.
            let expected = if method == "HEAD" && status == 206 { 200 } else { status };
            let answer = blob.ask(method, &headers);
            assert_eq!(answer.status, expected, "{method} {headers:?}\n{}", answer.head);
            if matches!(expected, 304 | 412) || method == "HEAD" {
                assert!(expected == 412 || answer.body.is_empty(), "{method} {headers:?}");
            }
            if expected == 304 {
                assert_eq!(answer.header("etag"), Some(&*etag), "a 304 carries the tag");
            }
        }
    }
}

#[test]
fn an_empty_body_is_served() {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let upload = server.as_admin().open_upload(0);
    let artifact = json!({ "target": "empty", "upload": upload });
    server.as_admin().release("feed", "1.0", &[artifact]).expect(201);
    let path = format!("/v1/blobs/sha256:{}", sha256_hex(b""));
    let answer = server.get(Some("device-1"), &path).expect(200);
    assert_eq!((answer.content_length(), answer.body.len()), (Some(0), 0));
    let headers = [("Ringfence-Device", "device-1"), ("Range", "bytes=0-0")];
    let answer = request(server.device, "GET", &path, &headers, b"").expect(416);
    assert_eq!(answer.header("content-range"), Some("bytes */0"));
}

#[test]
fn requests_share_a_connection() {
    let blob = blob();
    let one = format!("GET {} HTTP/1.1\r\nHost: x\r\nRingfence-Device: device-1\r\n", blob.path);
    let pipelined = format!("{one}Range: bytes=0-9\r\n\r\n{one}Range: bytes=10-19\r\nConnection: close\r\n\r\n");
    let bytes = raw(blob.server.device, pipelined.as_bytes());
    let first = parse(&bytes).unwrap();
    assert_eq!(first.header("content-range"), Some("bytes 0-9/10000"));
    let second = parse(&first.body[10..]).unwrap();
    assert_eq!(second.header("content-range"), Some("bytes 10-19/10000"));
    assert_eq!([&first.body[..10], &second.body].concat(), blob.bytes[..20]);
}

#[test]
fn framing_that_could_be_smuggled_is_refused() {
    let blob = blob();
    for head in [
        "POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "POST /v1/reports HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "GET /v1/reports HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        "GET /v1/reports HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET  /v1/reports HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let smuggled = format!("{head}GET /smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = raw(blob.server.device, smuggled.as_bytes());
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 4"), "{head:?}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "one answer, then the connection closes: {head:?}\n{text}");
    }
    blob.ask("GET", &[]).expect(200);
}

#[test]
fn a_client_that_leaves_in_the_middle_costs_nothing() {
    let blob = blob();
    for _ in 0..50 {
        let mut stream = std::net::TcpStream::connect(blob.server.device).unwrap();
        let head = format!("GET {} HTTP/1.1\r\nHost: x\r\nRingfence-Device: device-1\r\n\r\n", blob.path);
        stream.write_all(head.as_bytes()).unwrap();
        let mut start = [0; 100];
        stream.read_exact(&mut start).unwrap();
    }
    assert!(blob.ask("GET", &[]).expect(200).body == blob.bytes);
    assert!(!blob.server.log().contains("panicked"), "{}", blob.server.log());
}
