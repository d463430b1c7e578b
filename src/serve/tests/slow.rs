//! Peers that take their time.

use std::time::Instant;

use super::*;

#[tokio::test]
async fn silence_after_connecting_is_closed() {
    let server = start(short());
    let begun = Instant::now();
    assert_eq!(server.exchange(b"").await, "");
    assert!((300..2000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert!(server.counts(r#"ringfence_serve_connections_dropped_total{listener="device",reason="header_timeout"} 1"#));
}

#[tokio::test]
async fn a_dripped_header_is_closed_though_bytes_keep_coming() {
    let server = start(short());
    let mut socket = server.connect().await;
    let begun = Instant::now();
    let mut closed = false;
    for byte in b"GET /1 HTTP/1.1\r\nhost: x\r\nx-padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".iter().cycle() {
        let mut probe = [0; 16];
        let read = tokio::time::timeout(Duration::from_millis(40), socket.read(&mut probe)).await;
        if matches!(read, Ok(Ok(0) | Err(_))) || socket.write_all(&[*byte]).await.is_err() {
            closed = true;
            break;
        }
        if begun.elapsed() > Duration::from_secs(5) {
            break;
        }
    }
    assert!(closed && begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_second_header_has_the_same_deadline_and_idleness_a_longer_one() {
    let server = start(short());
    let mut socket = server.connect().await;
    socket.write_all(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // Idle for longer than a header may take: still there.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let begun = Instant::now();
    socket.write_all(b"GET /2 HT").await.unwrap();
    let answer = read_to_end(&mut socket).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert!((300..700).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_an_orderly_way() {
    let server = start(short());
    let begun = Instant::now();
    let answer = server.exchange(b"GET /3 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.ends_with("xxx"), "{answer}");
    assert!((700..2500).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert!(!server.metrics.render().unwrap().contains("_dropped_total{listener=\"device\",reason=\"slow_reader\"} 1"));
}

#[tokio::test]
async fn a_reader_that_stalls_is_cut_off() {
    let server = start(short());
    let mut socket = server.connect().await;
    socket.write_all(b"GET /50000000 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let line = r#"ringfence_serve_connections_dropped_total{listener="device",reason="slow_reader"} 1"#;
    assert!(server.counts(line));
}

#[tokio::test]
async fn a_slow_reader_above_the_minimum_gets_everything() {
    let server = start(short());
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut socket = socket.connect(server.address).await.unwrap();
    socket.write_all(b"GET /600000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut total = 0;
    let mut buffer = vec![0; 20 * 1024];
    loop {
        match socket.read(&mut buffer).await.unwrap() {
            0 => break,
            count => total += count,
        }
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    assert!(total > 600_000, "{total}");
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let server = start(short());
    let answer = server.exchange(b"POST /up HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("below the minimum pace"), "{answer}");
}

#[tokio::test]
async fn an_h2_stream_whose_window_stays_shut_is_cut_off() {
    let server = start(short());
    let mut socket = server.connect().await;
    // SETTINGS with an initial window of 0, then HEADERS for GET / over http on stream 1 (static table and a literal
    // path "/9"): the answer's body can never leave.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend_from_slice(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[0, 0, 10, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x04, 0x02, b'/', b'9', 0x01, 0x02, b'x', b'y']);
    socket.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(6), socket.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "closed in time");
    assert!(answer.len() > 9, "the headers of the answer came");
}
