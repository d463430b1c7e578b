use std::time::{Duration, Instant};

use rcgen::{ExtendedKeyUsagePurpose, SerialNumber, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{CipherSuite, HandshakeKind, NamedGroup};

use super::super::super::{Limits, PaceLimit};
use super::clients::{Server, TLS12, TLS13, client, relaxed};
use super::pki::Pki;
use super::*;

#[tokio::test]
async fn a_verified_certificate_is_with_every_request_and_none_is_none() {
    let pki = Pki::new();
    pki.device("pos-1", |_| {});
    let server = Server::start(&pki.with_clients(false, Vec::new()), relaxed());
    for versions in [TLS12, TLS13] {
        let named = client(&pki, Some((&pki, "pos-1")), versions);
        let expected = r#"Some((["urn:ringfence:device:pos-1"], Some("pos-1")))"#;
        // The second time from a ticket, whose certificate counts as the first one's.
        assert_eq!(server.ask(&named, "/who").await.unwrap(), expected);
        assert_eq!(server.ask(&named, "/who").await.unwrap(), expected);
        assert_eq!(server.ask(&client(&pki, None, versions), "/who").await.unwrap(), "None");
    }
    assert!(server.counts("full", 4) && server.counts("resumed", 2));
    assert!(counts(&server.metrics, r#"ringfence_serve_handshakes_running{listener="device"} 0"#));
}

#[tokio::test]
async fn certificates_that_must_not_pass_do_not() {
    let pki = Pki::new();
    let stranger = Pki::new();
    stranger.device("stranger", |_| {});
    pki.device("expired", |params| params.not_after = date_time_ymd(2024, 1, 1));
    pki.device("early", |params| params.not_before = date_time_ymd(2090, 1, 1));
    pki.device("server-only", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    pki.device("revoked", |params| params.serial_number = Some(SerialNumber::from(77)));
    pki.device("good", |params| params.serial_number = Some(SerialNumber::from(78)));
    let crl = pki.crl("ca.crl", &[77], 2100);
    for is_required in [true, false] {
        let server = Server::start(&pki.with_clients(is_required, vec![crl.clone()]), relaxed());
        let mut refused = 0;
        for versions in [TLS12, TLS13] {
            let cases =
                [("expired", &pki), ("early", &pki), ("server-only", &pki), ("revoked", &pki), ("stranger", &stranger)];
            for (name, owner) in cases {
                let answer = server.ask(&client(&pki, Some((owner, name)), versions), "/who").await;
                assert!(answer.is_err(), "{name}: {answer:?}");
                refused += 1;
            }
            assert!(server.ask(&client(&pki, Some((&pki, "good")), versions), "/who").await.is_ok());
            assert_eq!(server.ask(&client(&pki, None, versions), "/who").await.is_err(), is_required);
        }
        assert!(server.counts("bad_certificate", refused));
        assert!(server.counts("no_certificate", if is_required { 2 } else { 0 }));
    }
}

#[tokio::test]
async fn with_a_list_of_one_ca_the_clients_of_another_are_refused() {
    let (pki, other) = (Pki::new(), Pki::new());
    other.device("pc-1", |_| {});
    pki.write("ca.pem", [pki.read("ca.pem"), other.read("ca.pem")].concat());
    let server = Server::start(&pki.with_clients(true, vec![other.crl("other.crl", &[], 2100)]), relaxed());
    // Both CAs of this test have one name, so the list is found by name and fails by its signature for the other.
    assert!(server.ask(&client(&pki, Some((&other, "pc-1")), TLS13), "/who").await.is_ok());
    pki.device("pc-2", |_| {});
    assert!(server.ask(&client(&pki, Some((&pki, "pc-2")), TLS13), "/who").await.is_err());
}

#[tokio::test]
async fn of_ciphers_the_cheapest_that_is_strong_is_chosen_whatever_the_client_likes_best() {
    let pki = Pki::new();
    let server = Server::start(&pki.options(), relaxed());
    for (versions, suite) in
        [(TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256), (TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)]
    {
        // It names AES-256 first.
        let stream = server.connect(&client(&pki, None, versions)).await.unwrap();
        let chosen = stream.get_ref().1.negotiated_cipher_suite().map(|chosen| chosen.suite());
        assert_eq!(chosen, Some(suite));
    }
}

#[tokio::test]
async fn the_hybrid_group_is_chosen_and_old_versions_are_not_spoken() {
    let pki = Pki::new();
    let server = Server::start(&pki.options(), relaxed());
    let stream = server.connect(&client(&pki, None, TLS13)).await.unwrap();
    let session = stream.get_ref().1;
    let group = session.negotiated_key_exchange_group().map(|group| group.name());
    assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
    assert_ne!(session.handshake_kind(), Some(HandshakeKind::Resumed));
    let only13 = TlsOptions { minimum_version: MinimumVersion::Tls13, ..pki.options() };
    let server = Server::start(&only13, relaxed());
    assert!(server.ask(&client(&pki, None, TLS13), "/1").await.is_ok());
    assert!(server.ask(&client(&pki, None, TLS12), "/1").await.is_err());
    assert!(server.counts("incompatible", 1));
}

#[tokio::test]
async fn plain_http_is_told_that_this_is_tls() {
    let pki = Pki::new();
    let server = Server::start(&pki.options(), relaxed());
    for request in ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
    }
    assert!(server.counts("plain_http", 2));
}

/// Three that wait for nobody: one says nothing, one says half of it, and one says nonsense.
async fn bad_peers(server: &Server) -> [TcpStream; 3] {
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(&[22, 3, 1, 1, 0, 1, 0]).await.unwrap();
    let mut nonsense = TcpStream::connect(server.address).await.unwrap();
    nonsense.write_all(&[0; 64]).await.unwrap();
    [silent, half, nonsense]
}

#[tokio::test]
async fn silent_slow_and_senseless_peers_take_no_turn() {
    let pki = Pki::new();
    let server = Server::start(&pki.options(), Limits { handshakes_max: 1, ..relaxed() });
    let _peers = bad_peers(&server).await;
    let begun = Instant::now();
    // Nobody waits for them: the one turn is free.
    for _ in 0..3 {
        assert_eq!(server.ask(&client(&pki, None, TLS13), "/3").await.unwrap(), "xxx");
    }
    assert!(begun.elapsed() < Duration::from_secs(55), "they had a turn until their time was over");
    assert!(server.counts("timeout", 0));
}

#[tokio::test]
async fn silent_slow_and_senseless_peers_are_closed_in_time() {
    let pki = Pki::new();
    let limits = Limits { handshake_timeout: Duration::from_millis(300), ..relaxed() };
    let server = Server::start(&pki.options(), limits);
    let begun = Instant::now();
    let [mut silent, mut half, mut nonsense] = bad_peers(&server).await;
    let mut rest = Vec::new();
    // An alert may come, then the end.
    let _ = nonsense.read_to_end(&mut rest).await;
    for socket in [&mut silent, &mut half] {
        let read = tokio::time::timeout(Duration::from_secs(60), socket.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "still open");
    }
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    assert!(server.counts("timeout", 2) && server.counts("other", 1));
}

#[tokio::test]
async fn large_answers_arrive_whole_and_slow_readers_are_cut_off() {
    let pki = Pki::new();
    let config = client(&pki, None, TLS13);
    let server = Server::start(&pki.options(), relaxed());
    assert_eq!(server.ask(&config, "/30000000").await.unwrap().len(), 30_000_000);
    let limits = Limits {
        pace: PaceLimit { min_bytes_per_second: 64 * 1024, window: Duration::from_millis(500) },
        unsent_max_bytes: 16 * 1024,
        ..relaxed()
    };
    let server = Server::start(&pki.options(), limits);
    let mut stream = server.connect(&config).await.unwrap();
    stream.write_all(b"GET /300000000 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // Nothing is read until the server has had enough of that; how soon depends on how fast it fills the buffers.
    let cut = r#"ringfence_serve_connections_dropped_total{listener="device",reason="slow_reader"} 1"#;
    let is_cut = || server.connections.render().unwrap().contains(cut);
    let until = Instant::now() + Duration::from_secs(60);
    while !is_cut() {
        assert!(Instant::now() < until, "nobody cuts it off");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut taken = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        taken += count;
    }
    assert!(taken < 100_000_000, "{taken}");
}
