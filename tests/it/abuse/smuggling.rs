//! Requests that two HTTP implementations in a row may read differently: each is refused, or read in the one way that
//! RFC 9112 allows; what stands behind it is never taken for a request where it could be its body.

use crate::support::http::{parse, raw};

use super::feed;

/// What has to come of it when it is sent to the server itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// One answer of 4xx, and the connection closes: what follows is never read.
    Refused,
    /// One answer of any kind, and the connection closes.
    AnsweredAndClosed,
    /// It is whole by itself, and what follows is the next request.
    Whole,
}

/// A request, and what follows it on the same connection is [`SMUGGLED`].
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) fate: Fate,
}

/// Nothing is at this path, so that whoever gets its answer gets a 404.
pub(super) const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

fn post(name: &'static str, fields: &str, body: &str, fate: Fate) -> Case {
    let bytes = format!("POST /v1/reports HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}").into_bytes();
    Case { name, bytes, fate }
}

fn head(name: &'static str, text: &str, fate: Fate) -> Case {
    Case { name, bytes: text.as_bytes().to_vec(), fate }
}

/// Where the end of a body is: lengths and codings.
fn lengths() -> Vec<Case> {
    use Fate::{AnsweredAndClosed, Refused, Whole};
    let chunked = "Transfer-Encoding: chunked\r\n";
    vec![
        post("CL.CL, different", "Content-Length: 0\r\nContent-Length: 36\r\n", "", Refused),
        post("CL.CL, the same", "Content-Length: 2\r\nContent-Length: 2\r\n", "[]", Whole),
        post("CL.CL in a list, different", "Content-Length: 0, 36\r\n", "", Refused),
        post("CL.TE", &format!("Content-Length: 6\r\n{chunked}"), "0\r\n\r\n", AnsweredAndClosed),
        post("TE.CL", &format!("{chunked}Content-Length: 6\r\n"), "0\r\n\r\n", AnsweredAndClosed),
        post("CL, plus", "Content-Length: +0\r\n", "", Refused),
        post("CL, minus", "Content-Length: -1\r\n", "", Refused),
        post("CL, hexadecimal", "Content-Length: 0x24\r\n", "", Refused),
        post("CL, empty", "Content-Length: \r\n", "", Refused),
        post("CL, overflow", "Content-Length: 18446744073709551652\r\n", "", Refused),
        post("CL, far too many digits", &format!("Content-Length: {}\r\n", "9".repeat(300)), "", Refused),
        post("CL, a space inside", "Content-Length: 3 6\r\n", "", Refused),
        post("CL, a space before the colon", "Content-Length : 36\r\n", "", Refused),
        post("CL, an underscore", "Content_Length: 36\r\n", "", Whole),
        post("TE, a space before the colon", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n", Refused),
        post("TE, a tab before the colon", "Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n", Refused),
        post("TE, another coding", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n", Refused),
        post("TE, identity", "Transfer-Encoding: identity\r\n", "", Refused),
        post("TE, chunked first", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n", Refused),
        post("TE, gzip first", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", Refused),
        post("TE, chunked twice", "Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n", Refused),
        post("TE.TE, chunked and another", &format!("{chunked}Transfer-Encoding: x\r\n"), "0\r\n\r\n", Refused),
        post("TE.TE, another and chunked", &format!("Transfer-Encoding: x\r\n{chunked}"), "0\r\n\r\n", Refused),
        post("TE, quoted", "Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n", Refused),
        post("TE, a vertical tab", "Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n", Refused),
        post("TE, with a parameter", "Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n", Refused),
        post("TE, folded", "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n", Refused),
        post("TE, in capitals", "TRANSFER-ENCODING: CHUNKED\r\n", "2\r\n[]\r\n0\r\n\r\n", Whole),
        head(
            "TE over HTTP/1.0",
            "POST /v1/reports HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            Refused,
        ),
    ]
}

/// The sizes and ends of chunks.
fn chunks() -> Vec<Case> {
    use Fate::{Refused, Whole};
    let chunked = |name, body: &str, fate| post(name, "Transfer-Encoding: chunked\r\n", body, fate);
    vec![
        chunked("chunk size, overflow", "10000000000000000\r\n[]\r\n0\r\n\r\n", Refused),
        chunked("chunk size, negative", "-2\r\n[]\r\n0\r\n\r\n", Refused),
        chunked("chunk size, plus", "+2\r\n[]\r\n0\r\n\r\n", Refused),
        chunked("chunk size, prefixed", "0x2\r\n[]\r\n0\r\n\r\n", Refused),
        chunked("chunk size, none", "\r\n[]\r\n0\r\n\r\n", Refused),
        chunked("chunk size, with a bare line feed", "2\n[]\r\n0\r\n\r\n", Refused),
        chunked("chunk, longer than it says", "2\r\n[ ]\r\n0\r\n\r\n", Refused),
        chunked("chunk, ended by a bare line feed", "2\r\n[]\n0\r\n\r\n", Refused),
        chunked("chunk extension", "2;a=b\r\n[]\r\n0\r\n\r\n", Whole),
        chunked("chunk extension with a bare line feed", "2;a\nb\r\n[]\r\n0\r\n\r\n", Refused),
        chunked("chunk extension without an end", &format!("2;{}\r\n[]\r\n0\r\n\r\n", "a".repeat(40_000)), Refused),
        chunked("trailer", "2\r\n[]\r\n0\r\nContent-Length: 36\r\n\r\n", Whole),
        chunked("trailers without an end", &format!("2\r\n[]\r\n0\r\n{}", "x: y\r\n".repeat(10_000)), Refused),
    ]
}

/// Lines, names and targets.
fn heads() -> Vec<Case> {
    use Fate::{Refused, Whole};
    let get = |name, fields: &str, fate| {
        head(name, &format!("GET /v1/offers/none HTTP/1.1\r\nHost: x\r\n{fields}\r\n"), fate)
    };
    vec![
        get("obs-fold", "X: 1\r\n folded: 2\r\n", Refused),
        get("obs-fold at once", " X: 1\r\n", Refused),
        get("NUL in a value", "X: 1\0\r\n", Refused),
        get("NUL in a name", "X\0: 1\r\n", Refused),
        get("bare CR in a value", "X: 1\rContent-Length: 36\r\n", Refused),
        get("space in a name", "X Y: 1\r\n", Refused),
        get("no name", ": 1\r\n", Refused),
        get("no colon", "X\r\n", Refused),
        get("Host twice", "Host: y\r\n", Refused),
        get("the same Host twice", "Host: x\r\n", Refused),
        head("GET with a body", "GET /v1/offers/none HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]", Whole),
        head("no Host", "GET /v1/offers/none HTTP/1.1\r\n\r\n", Refused),
        head("Host, not a host", "GET /v1/offers/none HTTP/1.1\r\nHost: x y\r\n\r\n", Refused),
        head("Host with a user", "GET /v1/offers/none HTTP/1.1\r\nHost: a@x\r\n\r\n", Refused),
        head("target of another Host", "GET http://y/v1/offers/none HTTP/1.1\r\nHost: x\r\n\r\n", Refused),
        head("target of the same Host", "GET http://x/v1/offers/none HTTP/1.1\r\nHost: x\r\n\r\n", Whole),
        head("two spaces", "GET  /v1/offers/none HTTP/1.1\r\nHost: x\r\n\r\n", Refused),
        head("no version", "GET /v1/offers/none\r\nHost: x\r\n\r\n", Refused),
        head("another version", "GET /v1/offers/none HTTP/1.9\r\nHost: x\r\n\r\n", Refused),
        head("a fragment", "GET /v1/offers/none#a HTTP/1.1\r\nHost: x\r\n\r\n", Whole),
        head("a line before", "\r\nGET /v1/offers/none HTTP/1.1\r\nHost: x\r\n\r\n", Whole),
        head("a space before", " GET /v1/offers/none HTTP/1.1\r\nHost: x\r\n\r\n", Refused),
    ]
}

/// Everything.
pub(super) fn corpus() -> Vec<Case> {
    lengths().into_iter().chain(chunks()).chain(heads()).collect()
}

#[test]
fn no_request_is_hidden_behind_another() {
    let (server, _) = feed("", 100);
    let mut wrong = Vec::new();
    for case in corpus() {
        let last = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let bytes = [&case.bytes, SMUGGLED.as_bytes(), last.as_bytes()].concat();
        let answers = raw(server.device, &bytes);
        let text = String::from_utf8_lossy(&answers);
        let count = text.matches("HTTP/1.1 ").count();
        let status = parse(&answers).map_or(0, |answer| answer.status);
        let is_right = match case.fate {
            Fate::Refused => count == 1 && (400..500).contains(&status) && status != 404,
            Fate::AnsweredAndClosed => count == 1,
            Fate::Whole => count == 3 && text.ends_with("ok\n"),
        };
        if !is_right {
            wrong.push(format!("{}: {:?}, but\n{text}", case.name, case.fate));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}
