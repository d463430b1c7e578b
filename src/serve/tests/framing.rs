//! What goes over the wire: closing, pipelining, oversized headers, broken framing, HTTP/2.

use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

#[tokio::test]
async fn connection_close_lingers_so_that_the_answer_arrives_whole() {
    let server = start(Limits::default());
    for _ in 0..20 {
        let mut socket = server.connect().await;
        // freshclam's way of asking. Bytes after the request are never read by the server; without lingering the
        // kernel would answer them with a reset that overtakes the body.
        socket.write_all(b"GET /3000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        socket.write_all(&[b'j'; 30_000]).await.unwrap();
        let answer = read_to_end(&mut socket).await;
        assert!(answer.ends_with('x') && answer.len() > 3_000_000, "{}", answer.len());
    }
}

#[tokio::test]
async fn a_refused_body_does_not_reset_the_answer() {
    let server = start(relaxed());
    let answer = server.exchange(&[b"GET / BAD HTTP\r\n\r\n".as_slice(), &[b'z'; 100_000]].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn a_half_closed_peer_still_gets_its_answer() {
    let server = start(relaxed());
    let mut socket = server.connect().await;
    socket.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    socket.shutdown().await.unwrap();
    assert!(read_to_end(&mut socket).await.ends_with("/wait 0"));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = start(relaxed());
    let request = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n");
    let requests = [request("/a", ""), request("/b", ""), request("/c", "connection: close\r\n")].concat();
    let answer = server.exchange(requests.as_bytes()).await;
    let places: Vec<_> = ["/a 0", "/b 0", "/c 0"].iter().map(|text| answer.find(text).unwrap()).collect();
    assert!(places.is_sorted(), "{answer}");
}

#[tokio::test]
async fn oversized_headers_are_431() {
    let server = start(relaxed());
    let long = format!("GET /1 HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(20_000));
    assert!(server.exchange(long.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many: String = (0..100).map(|n| format!("x-{n}: 1\r\n")).collect();
    let many = format!("GET /1 HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    assert!(server.exchange(many.as_bytes()).await.starts_with("HTTP/1.1 431"));
}

/// RFC 9112 section 6.1 lets a server take Transfer-Encoding and ignore Content-Length if it closes afterwards: what a
/// front end took for the body is never taken for a second request.
#[tokio::test]
async fn ambiguous_framing_never_yields_a_second_request() {
    let server = start(relaxed());
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    let cases = [
        format!(
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!(
            "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n{smuggled}"),
        format!("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: +0\r\n\r\n{smuggled}"),
        format!("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length : 0\r\n\r\n{smuggled}"),
        format!("POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("POST /a HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("GET /a HTTP/1.1\r\nhost: x\r\nx: 1\r\n folded: 2\r\n\r\n{smuggled}"),
        format!("GET /a HTTP/1.1\r\nhost: x\r\nx: 1\0\r\n\r\n{smuggled}"),
    ];
    for case in cases {
        let answer = server.exchange(case.as_bytes()).await;
        assert!(!answer.contains("/smuggled"), "{case}\n--\n{answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{case}\n--\n{answer}");
    }
}

#[tokio::test]
async fn http2_with_prior_knowledge() {
    let server = start(relaxed());
    let io = TokioIo::new(server.connect().await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    for size in [0, 1, 100_000, 5_000_000] {
        let request = Request::get(format!("http://x/{size}")).body(Full::default()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.headers()["content-length"], size.to_string());
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), size);
    }
}

#[tokio::test]
async fn caps_answer_503_and_free_their_places() {
    let server = start(Limits { connections_per_address_max: 2, ..relaxed() });
    // They are taken in order, so both have their places before the third one comes.
    let first = server.connect().await;
    let _second = server.connect().await;
    let answer = server.exchange(b"GET /1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after"), "{answer}");
    let line = r#"ringfence_serve_connections_refused_total{listener="device",reason="connections_per_address_max"} 1"#;
    assert_counts(&server.metrics, line);
    drop(first);
    eventually(|| has_line(&server.metrics, r#"ringfence_serve_connections_open{listener="device"} 1"#)).await;
    let answer = server.exchange(b"GET /1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
