//! A release on its way through the rings: opened by healthy canaries, halted by failing ones, over a crash.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, Setup, TestServer, request, sha256_hex, wait_until};

pub(crate) const POLICY: &str = r#"
[[ring]]
name = "canary"
[[ring]]
name = "broad"

[[group]]
name  = "canaries"
match = { id = "canary-*" }
ring  = "canary"

[[group]]
name  = "everyone"
match = "any"
ring  = "broad"

[approve]
intelligence = "auto"
platform     = "other"

[plan.intelligence]
canary = { waves = ["100% bake 0s"], gate = { samples = 3, failures = "10%", silence = "50%", within = "1h" } }
broad  = { waves = ["100% bake 1s"], gate = "canary" }
"#;

pub(crate) fn report(server: &TestServer, device: &str, version: &str, event: &str) -> Answer {
    let id = format!("{version}-{event}");
    let body = json!({ "id": id, "product": "feed", "version": version, "event": event }).to_string();
    let headers = [("Ringfence-Device", device), ("Content-Type", "application/json")];
    request(server.device, "POST", "/v1/reports", &headers, body.as_bytes())
}

/// Waits until the device is offered this version; how long that took.
fn wait_for_offer(server: &TestServer, device: &str, version: Option<&str>) -> Duration {
    let begun = Instant::now();
    loop {
        let offered = match server.get(Some(device), "/v1/offers/feed?current=0.1").status {
            200 => server.offered_version(device, "feed"),
            _ => None,
        };
        if offered.as_deref() == version {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{device} is offered {offered:?}, not {version:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn alerts(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn healthy_canaries_open_the_next_ring_and_failing_ones_halt() {
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("alerts");
    let config = format!("[alert]\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {0}; echo >> {0}\"]\n", told.display());
    let mut server = Setup::new().policy(POLICY).config(&config).start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    server.as_admin().try_publish("feed", "1.0", b"one").unwrap().expect(201);
    for n in 0..6 {
        wait_for_offer(&server, &format!("canary-{n}"), Some("1.0"));
    }
    assert_eq!(server.offered_version("pc-1", "feed"), None, "the canaries come first");
    report(&server, "pc-1", "1.0", "healthy").expect(422);
    for n in 0..3 {
        report(&server, &format!("canary-{n}"), "1.0", "healthy").expect(200);
    }
    wait_for_offer(&server, "pc-1", Some("1.0"));
    for n in 1..4 {
        let device = format!("pc-{n}");
        wait_for_offer(&server, &device, Some("1.0"));
        report(&server, &device, "1.0", "healthy").expect(200);
    }
    assert!(alerts(&told).is_empty());

    server.as_admin().try_publish("feed", "2.0", b"two").unwrap().expect(201);
    for n in 0..8 {
        wait_for_offer(&server, &format!("canary-{n}"), Some("2.0"));
    }
    let blob = format!("/v1/blobs/sha256:{}", sha256_hex(b"two"));
    server.get(Some("canary-7"), &blob).expect(200);
    for n in 0..2 {
        report(&server, &format!("canary-{n}"), "2.0", "failed").expect(200);
    }
    // Two failures are not enough; that they are known after the crash shows in how few more are.
    server.kill();
    server.start_again();
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(server.offered_version("canary-7", "feed").as_deref(), Some("2.0"));
    assert_eq!(server.offered_version("pc-1", "feed").as_deref(), Some("1.0"), "the broad ring has the older one");
    let mut failed = 2;
    while failed < 6 && server.offered_version("canary-7", "feed").as_deref() == Some("2.0") {
        report(&server, &format!("canary-{failed}"), "2.0", "failed").expect(200);
        failed += 1;
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(failed >= 4, "halted after {failed} failures in all");
    // Six are enough, however long a busy machine needs to see it.
    wait_for_offer(&server, "canary-7", Some("1.0"));
    server.get(Some("canary-7"), &blob).expect(404);
    let alert = wait_until("an alert", || alerts(&told).into_iter().next());
    assert_eq!(
        (&alert["alert"], &alert["product"], &alert["version"]),
        (&json!("halted"), &json!("feed"), &json!("2.0"))
    );
    assert!(alert["evidence"]["failed"].as_u64() >= Some(4), "{alert}");
    let metrics = request(server.admin, "GET", "/metrics", &[], b"").expect(200).text();
    for line in [
        "ringfence_rollout_halts_total{product=\"feed\"} 1",
        "ringfence_rollout_live{product=\"feed\",state=\"halted\"} 1",
        "ringfence_catalog_tallied_devices 11",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} is missing from\n{metrics}");
    }
}
