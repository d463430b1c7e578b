//! What a hostile peer can do, and what others then notice of it: caps, floods, slowness, smuggling, nonsense.

mod caps;
mod h2_floods;
mod openapi;
mod proxies;
mod slow;
mod smuggling;
mod stall;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Kept, Setup, TestServer, random_bytes, sha256_hex};

/// A server with a product `feed`, of which everyone gets 1.0: the path of its body, which has this many bytes.
fn feed(config: &str, size: usize) -> (TestServer, String) {
    let server = Setup::new().config(config).start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let body = random_bytes(5, size);
    let artifact = json!({ "target": "feed.bin", "upload": server.as_admin().upload(&body) });
    server.as_admin().release("feed", "1.0", &[artifact]).expect(201);
    (server, format!("/v1/blobs/sha256:{}", sha256_hex(&body)))
}

/// One line of `/metrics`: its number.
fn metric(server: &TestServer, line: &str) -> u64 {
    let text = server.api("GET", "/metrics", None).expect(200).text();
    let found = text.lines().find_map(|found| found.strip_prefix(line));
    found.unwrap_or_else(|| panic!("no {line} in\n{text}")).trim().parse().expect("a number")
}

/// An honest device: asks for an offer again and again until told to stop, and says how long the answers took.
struct Honest {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<Vec<Duration>>,
}

impl Honest {
    fn start(device: SocketAddr) -> Self {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut times = Vec::new();
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                let begun = Instant::now();
                // A connection of its own each time: it must be accepted, too.
                let (answer, _) = Kept::to(device).get("/v1/offers/feed", "Ringfence-Device: honest\r\n");
                assert_eq!(answer.status, 200, "{}", answer.head);
                times.push(begun.elapsed());
                std::thread::sleep(Duration::from_millis(5));
            }
            times
        });
        Self { stop, thread }
    }

    /// The 99th percentile of its answers' times, and how many they were.
    fn p99(self) -> (Duration, usize) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let mut times = self.thread.join().expect("every honest request was answered");
        times.sort();
        (times.get(times.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default(), times.len())
    }
}

/// The resident memory of a process, in bytes.
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
