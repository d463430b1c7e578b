//! Peers that take their time. Where it is not about the kernel's buffers they are at the other end of a pipe in memory and
//! the clock is paused: what is measured are the limits, and not how busy the machine is.

use tokio::io::DuplexStream;

use super::super::connection::{Shared, drive, http_settings};
use super::*;

/// How much a pipe holds.
const PIPE_BYTES: usize = 16 * 1024;

const DROPPED_FOR_HEADER: &str =
    r#"ringfence_serve_connections_dropped_total{listener="device",reason="header_timeout"} 1"#;
const DROPPED_FOR_SLOWNESS: &str =
    r#"ringfence_serve_connections_dropped_total{listener="device",reason="slow_reader"} 1"#;

/// Limits that are soon reached.
fn tight() -> Limits {
    Limits {
        header_timeout: Duration::from_millis(400),
        idle_timeout: Duration::from_millis(800),
        pace: PaceLimit { min_bytes_per_second: 64 * 1024, window: Duration::from_millis(500) },
        unsent_max_bytes: 16 * 1024,
        ..Limits::default()
    }
}

/// A connection that has just been accepted.
struct Connection {
    peer: DuplexStream,
    metrics: Metrics,
    accepted: Instant,
}

fn connect() -> Connection {
    let (name, limits, mut registry) = (ListenerName::Device, tight(), Registry::default());
    let shared = Shared {
        name,
        handler: Toy::default(),
        http: http_settings(&limits),
        metrics: ConnectionMetrics::register(&mut registry).of(name),
        handshakes: None,
        limits,
        drain: CancellationToken::new(),
        abort: CancellationToken::new(),
        cut_by_drain: AtomicUsize::new(0),
    };
    let (peer, socket) = tokio::io::duplex(PIPE_BYTES);
    tokio::spawn(async move { drive(socket, Peer::Unix { uid: 0 }, &shared).await });
    Connection { peer, metrics: Metrics::new(registry), accepted: Instant::now() }
}

/// Asserts that so many milliseconds have passed, give or take what a timer rounds.
fn assert_passed(since: Instant, expected_ms: u128) {
    let passed_ms = since.elapsed().as_millis();
    assert!(passed_ms.abs_diff(expected_ms) <= 5, "{passed_ms} ms instead of {expected_ms}");
}

#[tokio::test(start_paused = true)]
async fn silence_after_connecting_is_closed() {
    let mut connection = connect();
    assert_eq!(read_to_end(&mut connection.peer).await, "");
    assert_passed(connection.accepted, 400);
    assert_counts(&connection.metrics, DROPPED_FOR_HEADER);
}

#[tokio::test(start_paused = true)]
async fn a_dripped_header_is_closed_though_bytes_keep_coming() {
    let Connection { mut peer, metrics, accepted } = connect();
    let mut is_closed = false;
    for byte in b"GET /1 HTTP/1.1\r\nhost: x\r\nx-padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" {
        let mut probe = [0; 16];
        let read = tokio::time::timeout(Duration::from_millis(41), peer.read(&mut probe)).await;
        if matches!(read, Ok(Ok(0) | Err(_))) || peer.write_all(&[*byte]).await.is_err() {
            is_closed = true;
            break;
        }
    }
    assert!(is_closed);
    assert_passed(accepted, 400);
    assert_counts(&metrics, DROPPED_FOR_HEADER);
}

#[tokio::test(start_paused = true)]
async fn a_second_header_has_the_same_deadline_and_idleness_a_longer_one() {
    let Connection { mut peer, metrics, .. } = connect();
    peer.write_all(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // Idle for longer than a header may take: still there.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let begun = Instant::now();
    peer.write_all(b"GET /2 HT").await.unwrap();
    let answer = read_to_end(&mut peer).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert!((400..=410).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert_counts(&metrics, DROPPED_FOR_HEADER);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_in_an_orderly_way() {
    let Connection { mut peer, metrics, accepted } = connect();
    peer.write_all(b"GET /3 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut peer).await;
    assert!(answer.ends_with("xxx"), "{answer}");
    // Bytes were seen to leave at the first look, so it has been idle since then at the most.
    assert!((800..=1_205).contains(&accepted.elapsed().as_millis()), "{:?}", accepted.elapsed());
    assert!(!has_line(&metrics, DROPPED_FOR_SLOWNESS) && !has_line(&metrics, DROPPED_FOR_HEADER));
}

#[tokio::test]
async fn a_reader_that_stalls_is_cut_off() {
    let server = start(Limits { header_timeout: Duration::from_secs(10), ..tight() });
    let mut socket = server.connect().await;
    socket.write_all(b"GET /50000000 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    eventually(|| has_line(&server.metrics, DROPPED_FOR_SLOWNESS)).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_above_the_minimum_gets_everything_and_one_below_it_does_not() {
    // A whole pipe each time: 80 KiB a second, and 32.
    for (pause_ms, is_served) in [(200, true), (500, false)] {
        let Connection { mut peer, metrics, .. } = connect();
        peer.write_all(b"GET /600000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut total = 0;
        let mut buffer = vec![0; PIPE_BYTES];
        while let count @ 1.. = peer.read(&mut buffer).await.unwrap() {
            total += count;
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        assert_eq!((total > 600_000, has_line(&metrics, DROPPED_FOR_SLOWNESS)), (is_served, !is_served), "{total}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up() {
    let mut peer = connect().peer;
    peer.write_all(b"POST /up HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc").await.unwrap();
    let answer = read_to_end(&mut peer).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("below the minimum pace"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn an_h2_stream_whose_window_stays_shut_is_cut_off() {
    let mut peer = connect().peer;
    // SETTINGS with an initial window of 0, then HEADERS for GET / over http on stream 1 (static table and a literal
    // path "/9"): the answer's body can never leave.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend_from_slice(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[0, 0, 10, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x04, 0x02, b'/', b'9', 0x01, 0x02, b'x', b'y']);
    peer.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(6), peer.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "closed in time");
    assert!(answer.len() > 9, "the headers of the answer came");
}
