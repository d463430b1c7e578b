//! The caps on requests of one address and of one device, as their peers see them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::json;

use super::{feed, metric};
use crate::support::{Answer, Kept, TestServer, request, wait_until};

const DEVICE: &str = "Ringfence-Device: device-1\r\n";

fn assert_too_many(answer: &Answer) {
    assert_eq!(answer.status, 429, "{}", answer.head);
    let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=600).contains(&wait), "{wait}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

/// The answer to whoever asks too often. Where the machine made a pause, a request or two were allowed meanwhile: they
/// are used up first.
fn asked_too_often(kept: &mut Kept, path: &str, headers: &str) -> Answer {
    let mut answers = (0..20).map(|_| kept.get(path, headers).0);
    let refused =
        answers.find(|answer| answer.status == 429).unwrap_or_else(|| panic!("{path}: nobody is told to wait"));
    assert_too_many(&refused);
    refused
}

fn refused(server: &TestServer, cap: &str) -> u64 {
    metric(server, &format!("ringfence_serve_refused_total{{listener=\"device\",reason=\"{cap}\"}}"))
}

#[test]
fn a_device_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let (server, blob) = feed("[limits]\nrequests_per_second_per_device = 1\nrequests_burst_per_device = 20\n", 100);
    let mut kept = Kept::to(server.device);
    let begun = Instant::now();
    let statuses: Vec<u16> = (0..40).map(|_| kept.get("/v1/offers/feed", DEVICE).0.status).collect();
    // One more for each second that it took.
    let most = 21 + usize::try_from(begun.elapsed().as_secs()).unwrap();
    let taken = statuses.iter().filter(|status| **status == 200).count();
    assert!((20..=most).contains(&taken), "{most} at most: {statuses:?}");
    asked_too_often(&mut kept, "/v1/offers/feed", DEVICE);
    // Whatever it asks for: the answer is the same whether that is there or not.
    let unknown = format!("/v1/blobs/{}", "0".repeat(64));
    let paths = [&*blob, &unknown, "/v1/offers/none", "/shares/none/x"];
    let over = paths.map(|path| asked_too_often(&mut kept, path, DEVICE));
    assert!(over.iter().all(|answer| answer.body == over[0].body), "{over:?}");
    assert_eq!(kept.get("/v1/offers/feed", "Ringfence-Device: device-2\r\n").0.status, 200);
    let told = statuses.len() - taken + 1 + paths.len();
    assert_eq!(refused(&server, "requests_per_second_per_device"), told as u64);
}

#[test]
fn an_address_that_asks_too_often_is_told_to_wait_before_anything_is_looked_up() {
    // Nobody is trusted, so that loopback is an address like any other.
    let config = "[device]\nlisten = \"127.0.0.1:0\"\nheader_trusted_from = []\n\
                  [limits]\nrequests_per_second_per_address = 2\n";
    let (server, blob) = feed(config, 100);
    let mut kept = Kept::to(server.device);
    asked_too_often(&mut kept, "/healthz", "");
    asked_too_often(&mut kept, &blob, "Authorization: Bearer nonsense\r\n");
    assert_eq!(refused(&server, "requests_per_second_per_address"), 2);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(kept.get("/healthz", "").0.status, 200);
}

#[test]
fn a_trusted_proxy_has_no_cap_of_its_own() {
    let (server, _) = feed("[limits]\nrequests_per_second_per_address = 1\n", 100);
    let mut kept = Kept::to(server.device);
    for n in 0..50 {
        assert_eq!(kept.get("/v1/offers/feed", &format!("Ringfence-Device: device-{n}\r\n")).0.status, 200);
    }
}

#[test]
fn downloads_of_a_device_that_run_are_counted_until_they_end() {
    let (server, blob) = feed("[limits]\nrequests_per_device_max = 3\n", 20 << 20);
    let begin = || {
        let mut stream = TcpStream::connect(server.device).unwrap();
        stream.write_all(format!("GET {blob} HTTP/1.1\r\nHost: x\r\n{DEVICE}\r\n").as_bytes()).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        stream
    };
    let running: Vec<_> = (0..3).map(|_| begin()).collect();
    assert_too_many(&Kept::to(server.device).get("/v1/offers/feed", DEVICE).0);
    assert_eq!(refused(&server, "requests_per_device_max"), 1);
    drop(running);
    wait_until("the places of ended downloads come back", || {
        (Kept::to(server.device).get("/v1/offers/feed", DEVICE).0.status == 200).then_some(())
    });
}

#[test]
fn reports_are_counted_one_by_one() {
    let (server, _) = feed("[limits]\nreports_per_minute_per_device = 30\n", 100);
    let send = |first: usize, count: usize| {
        let report =
            |n: usize| json!({ "id": format!("r-{n}"), "product": "feed", "version": "1.0", "event": "healthy" });
        let list: Vec<_> = (first..first + count).map(report).collect();
        let headers = [("Ringfence-Device", "device-1"), ("Content-Type", "application/json")];
        request(server.device, "POST", "/v1/reports", &headers, json!(list).to_string().as_bytes())
    };
    // What was gathered while the device was away is taken in one piece, and owed.
    assert_eq!(send(0, 60).expect(200).json()["recorded"], 60);
    assert_too_many(&send(60, 1));
    assert_eq!(refused(&server, "reports_per_minute_per_device"), 1);
}
