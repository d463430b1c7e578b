//! A disk that fills up: the publish says so, the server goes on, and it recovers by itself when space returns.

use crate::bad_input::Tmpfs;
use crate::support::{Setup, random_bytes, request, sha256_hex, skip};

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
