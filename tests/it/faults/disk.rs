//! A disk that fills up: the publish says so, the server goes on, and it recovers by itself when space returns.

use std::time::{Duration, Instant};

use crate::bad_input::Tmpfs;
use crate::support::{Setup, TestServer, random_bytes, request, sha256_hex, skip};

#[test]
fn a_full_disk_refuses_a_publish_and_nothing_else() {
    let Some(mount) = Tmpfs::mount("size=24m") else {
        skip("faults::disk::a_full_disk_refuses_a_publish_and_nothing_else", "a tmpfs cannot be mounted");
        return;
    };
    let mut server = Setup::below(mount.path()).start();
    let admin = server.as_admin();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    let small = random_bytes(1, 100_000);
    admin.try_publish("feed", "1.0", &small).unwrap().expect(201);
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("large");
    std::fs::write(&file, random_bytes(2, 64 << 20)).unwrap();
    let word = format!("large.bin={}", file.display());
    let seq = server.journal_seq();
    server.cli(&["publish", "feed", "2.0", "--artifact", &word]).complains(1, &["space"]);
    assert_eq!(server.journal_seq(), seq);
    assert_eq!(server.offered_version("device-1", "feed").as_deref(), Some("1.0"));

    // Fill it to the last byte by other hands, then give the space back.
    let filler = mount.path().join("filler");
    let _ = std::fs::write(&filler, vec![0_u8; 64 << 20]);
    let refused = admin.try_publish("feed", "3.0", &random_bytes(3, 200_000));
    assert!(refused.is_some_and(|answer| answer.status >= 400), "a publish on a full disk is refused");
    let path = format!("/v1/blobs/sha256:{}", sha256_hex(&small));
    assert!(server.get(Some("device-1"), &path).expect(200).body == small, "it still serves");
    let report = |id: &str| {
        let report = serde_json::json!({ "id": id, "product": "feed", "version": "1.0", "event": "installed" });
        let headers = [("Ringfence-Device", "device-1"), ("Content-Type", "application/json")];
        request(server.device, "POST", "/v1/reports", &headers, report.to_string().as_bytes())
    };
    let told_while_full = report("r-1").status;
    server.api("POST", "/v1/store/sweep", None).expect(200);
    std::fs::remove_file(&filler).unwrap();
    // What was not acknowledged may come again; what was is known.
    let again = report("r-1").expect(200).json();
    assert_eq!(again["repeated"], u64::from(told_while_full == 200), "{again}");
    report("r-2").expect(200);
    admin.try_publish("feed", "3.0", &random_bytes(3, 200_000)).expect("the server lives").expect(201);
    server.cli(&["store", "verify"]).ok();
    server.cli(&["journal", "verify"]).ok();
    server.kill();
    server.start_again();
    assert_eq!(server.offered_version("device-1", "feed").as_deref(), Some("3.0"));
}

/// The journal reserves its space, so small changes go on while the disk is full; the index then cannot be written. It is
/// only an index: nothing is lost, nothing hangs, and everything works again when space returns.
#[test]
fn an_index_without_space_harms_nothing() {
    let Some(mount) = Tmpfs::mount("size=24m") else {
        skip("faults::disk::an_index_without_space_harms_nothing", "a tmpfs cannot be mounted");
        return;
    };
    let mut server = Setup::below(mount.path()).start();
    let admin = server.as_admin();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    admin.try_publish("feed", "1.0", b"body").unwrap().expect(201);
    let report = |server: &TestServer, id: u64| {
        let id = format!("r-{id}");
        let report = serde_json::json!({ "id": id, "product": "feed", "version": "1.0", "event": "installed" });
        let headers = [("Ringfence-Device", "device-1"), ("Content-Type", "application/json")];
        request(server.device, "POST", "/v1/reports", &headers, report.to_string().as_bytes())
    };
    report(&server, 0).expect(200);
    let filler = mount.path().join("filler");
    let _ = std::fs::write(&filler, vec![0_u8; 64 << 20]);
    let began = Instant::now();
    let mut added = 0;
    for number in 0..400 {
        // About 3 KB each: the journal has room for some 300.
        let devices: Vec<_> = (0..30).map(|device| format!("device-{number}-{device}{}", "-x".repeat(20))).collect();
        let devices: Vec<_> = devices.iter().map(|id| serde_json::json!({ "id": id })).collect();
        match admin.post("/v1/devices/import", &serde_json::json!({ "devices": devices })).status {
            200 => added += 30,
            status => assert_eq!(status, 507, "{number}"),
        }
        report(&server, 1 + number);
    }
    // Past sled's own flush.
    std::thread::sleep(Duration::from_secs(1));
    // Seconds, and more on a busy machine: had requests waited for space, it would be minutes.
    assert!(began.elapsed() < Duration::from_secs(120), "it took {:?}", began.elapsed());
    assert!(added > 2_000, "only {added} were added");
    std::fs::remove_file(&filler).unwrap();
    admin.try_publish("feed", "2.0", &random_bytes(3, 200_000)).expect("the server lives").expect(201);
    assert_eq!(server.offered_version("device-1", "feed").as_deref(), Some("2.0"));
    report(&server, 10_000).expect(200);
    let again = report(&server, 10_000).expect(200).json();
    assert_eq!(again["repeated"], 1, "{again}");
    assert!(server.stop().success());
    server.start_again();
    assert_eq!(server.offered_version("device-1", "feed").as_deref(), Some("2.0"));
    assert_eq!(server.api("GET", "/v1/status", None).expect(200).json()["devices"], added);
    let again = report(&server, 10_000).expect(200).json();
    assert_eq!(again["repeated"], 1, "{again}");
    server.cli(&["store", "verify"]).ok();
    server.cli(&["journal", "verify"]).ok();
}
