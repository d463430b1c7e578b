//! Bits that flip, blobs that nothing refers to, and an index that is lost or wrong.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::bodies::Random;
use crate::support::server::ringfence;
use crate::support::{Run, TestServer, is_full_tier, random_bytes, request, seed, sha256_hex};

fn server_with(releases: u64) -> TestServer {
    let server = TestServer::start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    for number in 1..=releases {
        // Every third is small enough to be kept in the index, too.
        let length = if number % 3 == 0 { 2_000 } else { 20_000 };
        let body = random_bytes(number, length);
        server.as_admin().try_publish("feed", &format!("1.{number}"), &body).unwrap().expect(201);
    }
    server
}

fn blob_path(server: &TestServer, bytes: &[u8]) -> PathBuf {
    let name = blake3::hash(bytes).to_hex().to_string();
    server.data().join("blobs").join(&name[..2]).join(&name[2..4]).join(&name)
}

fn overwrite(path: &Path, bytes: &[u8]) {
    // The file is read-only; its place in the directory is not.
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn flip_one_bit(path: &Path, random: &mut Random) {
    let mut bytes = fs::read(path).unwrap();
    let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
    bytes[at] ^= 1 << random.below(8);
    overwrite(path, &bytes);
}

#[test]
fn a_flipped_bit_is_found_and_never_served() {
    let mut random = Random(seed("faults::damage::a_flipped_bit_is_found_and_never_served"));
    let rounds = if is_full_tier() { 1_000 } else { 10 };
    let mut server = server_with(rounds);
    assert!(server.stop().success());
    for number in 1..=rounds {
        let length = if number % 3 == 0 { 2_000 } else { 20_000 };
        flip_one_bit(&blob_path(&server, &random_bytes(number, length)), &mut random);
    }
    // What is small is answered from the index, and that from the damaged file would be wrong after a rebuild.
    fs::remove_dir_all(server.data().join("index")).unwrap();
    server.start_again();
    server.cli(&["store", "verify"]).exits(8);
    server.cli(&["store", "scrub"]).exits(8);
    for number in 1..=rounds {
        let length = if number % 3 == 0 { 2_000 } else { 20_000 };
        let good = random_bytes(number, length);
        assert!(!blob_path(&server, &good).exists(), "{number}: it was set aside");
        let answer = server.get(Some("device-1"), &format!("/v1/blobs/sha256:{}", sha256_hex(&good)));
        assert!(answer.status >= 400, "{number}: {}", answer.head);
    }
    let quarantined = fs::read_dir(server.data().join("quarantine")).unwrap().count();
    assert_eq!(quarantined as u64, rounds);
    // Publishing the same bytes again heals it.
    let body = random_bytes(1, 20_000);
    let answer = server.as_admin().try_publish("feed", "1.1", &body).unwrap();
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    assert!(fs::read(blob_path(&server, &body)).unwrap() == body);
}

#[test]
fn a_truncated_blob_ends_in_a_closed_connection_or_an_error() {
    let mut server = server_with(1);
    let body = random_bytes(1, 20_000);
    let path = blob_path(&server, &body);
    server.kill();
    overwrite(&path, &body[..10_000]);
    server.start_again();
    let answer = server.get(Some("device-1"), &format!("/v1/blobs/sha256:{}", sha256_hex(&body)));
    let short_but_well_formed = answer.status < 400 && answer.content_length() == Some(answer.body.len() as u64);
    assert!(!short_but_well_formed, "{}", answer.head);
}

#[test]
fn a_sweep_removes_what_nothing_refers_to_and_only_that() {
    let server = server_with(3);
    let stray = random_bytes(99, 30_000);
    let path = blob_path(&server, &stray);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &stray).unwrap();
    let swept = server.json(&["store", "sweep"]);
    assert_eq!(swept["removed"], 1, "{swept}");
    assert!(!path.exists());
    server.cli(&["store", "verify"]).ok();
    assert_eq!(server.json(&["store", "sweep"])["removed"], 0);
}

/// Something of every kind that the index keeps.
fn server_with_everything() -> TestServer {
    let server = server_with(7);
    let devices = server.root().join("devices.json");
    fs::write(&devices, r#"[{ "id": "pos-1", "tags": ["slow"] }, { "id": "canary-1" }, { "id": "gone" }]"#).unwrap();
    server.cli(&["device", "import", &devices.display().to_string()]).ok();
    server.cli(&["hold", "add", "feed", "1.7", "--reason", "crashes", "--yes", "--group", "everyone"]).ok();
    server.cli(&["pin", "canaries", "feed", "1.2", "--reason", "an audit"]).ok();
    server.cli(&["release", "withdraw", "feed", "1.6", "--reason", "bad", "--yes"]).ok();
    report(&server, "recorded");
    server
}

/// Sends the one report of `pos-1`; it is new once only.
fn report(server: &TestServer, outcome: &str) {
    let report = serde_json::json!({ "id": "r-1", "product": "feed", "version": "1.1", "event": "installed" });
    let headers = [("Ringfence-Device", "pos-1"), ("Content-Type", "application/json")];
    let answer = request(server.device, "POST", "/v1/reports", &headers, report.to_string().as_bytes());
    assert!((200..300).contains(&answer.status), "{}", answer.text());
    assert_eq!(answer.json()[outcome], 1, "{}", answer.text());
}

/// What the server says of everything it keeps, but for the minute in which the admin's token was last
/// used: asking uses it, and the answers that are compared may lie on two sides of a full minute.
fn what_is_told(server: &TestServer) -> Vec<String> {
    let explain = |device| ["explain", device, "feed", "--at", "2100-01-01T00:00:00Z", "--json"];
    let commands: [&[&str]; 11] = [
        &["release", "list", "feed", "--json"],
        &["product", "list", "--json"],
        &["hold", "list", "--all", "--json"],
        &["pin", "--json"],
        &["policy", "history", "--json"],
        &["token", "list", "--json"],
        &["device", "list", "--json"],
        &["journal", "show", "--json"],
        &explain("pos-1"),
        &explain("canary-1"),
        &explain("device-1"),
    ];
    let without_last_use = |told: String| -> String {
        told.split_inclusive('\n').filter(|line| !line.contains("\"last_used_at\"")).collect()
    };
    let mut told: Vec<String> = commands.iter().map(|words| without_last_use(server.cli(words).ok().stdout)).collect();
    told.push(server.get(Some("device-1"), "/v1/offers/feed").expect(200).text());
    report(server, "repeated");
    told
}

#[test]
fn a_lost_index_is_rebuilt_the_same() {
    let mut server = server_with_everything();
    let before = what_is_told(&server);
    server.cli(&["store", "rebuild"]).ok();
    assert_eq!(what_is_told(&server), before);
    assert!(server.stop().success());
    Run::of(ringfence().args(["store", "rebuild", "--data"]).arg(server.data())).ok();
    server.start_again();
    assert_eq!(what_is_told(&server), before);
    for is_killed in [false, true] {
        if is_killed {
            server.kill();
        } else {
            server.stop();
        }
        fs::remove_dir_all(server.data().join("index")).unwrap();
        server.start_again();
        assert_eq!(what_is_told(&server), before);
    }
    server.cli(&["store", "verify"]).ok();
}

#[test]
fn a_sweep_leaves_publishes_in_flight_alone() {
    let server = server_with(1);
    let rounds = if is_full_tier() { 2_000 } else { 60 };
    let is_publishing = std::sync::atomic::AtomicBool::new(true);
    let swept = std::thread::scope(|scope| {
        let sweeps = scope.spawn(|| {
            let mut sweeps = 0;
            while is_publishing.load(std::sync::atomic::Ordering::Relaxed) {
                let answer = server.api("POST", "/v1/store/sweep", None).expect(200).json();
                sweeps += 1;
                assert!(answer["removed"].is_u64(), "{answer}");
            }
            sweeps
        });
        let publishers: Vec<_> = (0..2_u64)
            .map(|publisher| {
                let (server, admin) = (&server, server.as_admin());
                scope.spawn(move || {
                    let product = format!("swept-{publisher}");
                    server.cli(&["product", "add", &product, "--class", "intelligence"]).ok();
                    for number in 0..rounds {
                        // Both publish the same bytes now and then, and bytes that a sweep has just removed.
                        let body = random_bytes(number, 6_000);
                        admin.try_publish(&product, &format!("1.{number}"), &body).unwrap().expect(201);
                    }
                })
            })
            .collect();
        let published = publishers.into_iter().map(std::thread::ScopedJoinHandle::join).filter(Result::is_err).count();
        is_publishing.store(false, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(published, 0, "a publisher failed");
        sweeps.join().unwrap()
    });
    assert!(swept > 1, "{swept} sweeps");
    let check = server.json(&["store", "verify"]);
    assert_eq!(check["checked"], rounds + 1, "{check}");
}

#[test]
fn a_corrupt_index_is_set_aside_and_rebuilt() {
    let mut random = Random(seed("faults::damage::a_corrupt_index_is_set_aside_and_rebuilt"));
    let mut server = server_with_everything();
    let before = what_is_told(&server);
    let mut set_aside = 0;
    let rounds = if is_full_tier() { 200 } else { 6 };
    for round in 0..rounds {
        // Half of them after a kill, when sled has work to do at its start.
        if round % 2 == 0 {
            server.kill();
        } else {
            server.stop();
        }
        for entry in fs::read_dir(server.data().join("index")).unwrap() {
            let path = entry.unwrap().path();
            let Ok(mut bytes) = fs::read(&path) else { continue };
            // The first time nothing of it stays, so that there is damage to be found whatever the seed.
            let kind = if round == 0 { 1 } else { random.below(4) };
            if bytes.is_empty() || kind == 3 {
                continue;
            }
            match kind {
                0 => bytes.truncate(bytes.len() / 2),
                1 => bytes.fill(0xa5),
                _ => {
                    for _ in 0..50 {
                        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                        bytes[at] ^= 0xff;
                    }
                }
            }
            fs::write(&path, bytes).unwrap();
        }
        server.try_start_again().unwrap_or_else(|failure| panic!("round {round}: {failure}"));
        assert_eq!(what_is_told(&server), before, "round {round}");
        set_aside += server.log().matches("set aside").count();
        // 1.6 is withdrawn and 1.7 held.
        for number in 1..=5 {
            let body = random_bytes(number, if number % 3 == 0 { 2_000 } else { 20_000 });
            let answer = server.get(Some("device-1"), &format!("/v1/blobs/sha256:{}", sha256_hex(&body)));
            assert!(answer.status == 200 && answer.body == body, "round {round}: {}", answer.head);
        }
    }
    assert!(set_aside > 0, "no damage was found");
}
