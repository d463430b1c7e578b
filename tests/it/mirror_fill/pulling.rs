//! What devices of a mirror get that has nothing yet: the same bytes, from one transfer.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{LIMITS, ask, closed, filling, mirror, pulled, wait_for_plan, wait_until, wait_until_filled};
use crate::support::{POLICY, Setup, TestServer, random_bytes, request};

const MIB: usize = 1 << 20;

/// An origin with a product `feed`, shown in a share of the same name.
fn origin() -> TestServer {
    let share = "\n[[share]]\nname = \"feed\"\ngroup = \"everyone\"\nlayout = \"plain\"\nproducts = [\"feed\"]\n\
                 open_to = \"anyone\"\n";
    let server = Setup::new()
        .alone()
        .policy(&format!("{POLICY}{share}"))
        .config(&format!("{LIMITS}[shares]\nstraggler_grace = \"0s\"\n"))
        .start();
    server.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    server
}

/// Publishes a body; its path as a blob.
fn publish(origin: &TestServer, version: &str, body: &[u8]) -> String {
    origin.as_admin().try_publish("feed", version, body).unwrap().expect(201);
    format!("/v1/blobs/{}", blake3::hash(body).to_hex())
}

#[test]
fn five_hundred_devices_cause_one_transfer() {
    let origin = origin();
    let body = random_bytes(1, 3 * MIB);
    let path = publish(&origin, "1.0", &body);
    // Slow enough that all of them come while the first bytes do.
    let keys = format!("{}bandwidth_bytes_per_second = \"1 MiB\"\n", closed());
    let mirror = mirror(&origin, &origin, "m1", &keys).start();
    wait_for_plan(&origin, &mirror);
    assert_eq!(pulled(&mirror), 0, "nothing is filled while no window is open");
    let served = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for device in 0..500_usize {
            let (mirror, path, body, served) = (&mirror, &path, &body, &served);
            scope.spawn(move || {
                let id = format!("pc-{device}");
                let start = if device % 5 == 0 { 2 * MIB + device } else { 0 };
                let range = format!("bytes={start}-");
                let headers = [("Ringfence-Device", id.as_str()), ("Range", range.as_str())];
                let answer = request(mirror.device, "GET", path, &headers, b"").expect(206);
                assert!(answer.body == body[start..], "device {device} got other bytes");
                served.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(served.load(Ordering::Relaxed), 500);
    let (pulled, size) = (pulled(&mirror), body.len() as u64);
    println!("500 devices read {} bytes each at most; {pulled} bytes came from the upstream", size);
    assert!(pulled < size + size / 10, "{pulled} bytes were pulled for a blob of {size}");
}

#[test]
fn the_answers_for_what_is_not_here_are_the_origins() {
    let origin = origin();
    let body = random_bytes(2, 5 * MIB / 2);
    let path = publish(&origin, "1.0", &body);
    wait_until("the share", || (ask(&origin, "/shares/feed/file.bin", &[]).status == 200).then_some(()));
    let mirror = mirror(&origin, &origin, "m1", &closed()).start();
    wait_for_plan(&origin, &mirror);
    let devices = [("Ringfence-Device", "pc-1")];
    // A head and a condition need no bytes.
    for (method, headers) in
        [("HEAD", vec![]), ("GET", vec![("If-None-Match", "*")]), ("GET", vec![("Range", "bytes=9999999-")])]
    {
        let all: Vec<_> = devices.iter().chain(&headers).copied().collect();
        let of = |server: &TestServer| request(server.device, method, &path, &all, b"").without_date();
        assert_eq!(of(&mirror), of(&origin), "{method} {headers:?}");
    }
    assert_eq!(pulled(&mirror), 0);
    // Ranges, the whole, and the share's name; each first where nothing is there.
    for range in ["bytes=-5", "bytes=1048570-1048580", "bytes=0-0", ""] {
        for path in [path.as_str(), "/shares/feed/file.bin"] {
            let headers: Vec<_> = (!range.is_empty()).then_some(("Range", range)).into_iter().collect();
            let (here, there) = (ask(&mirror, path, &headers), ask(&origin, path, &headers));
            assert!(here.without_date() == there.without_date(), "{path} {range}");
        }
    }
    // Several ranges are framed by a boundary of each server's own.
    let fresh = random_bytes(3, 2 * MIB);
    let path = publish(&origin, "2.0", &fresh);
    wait_for_plan(&origin, &mirror);
    let answer = ask(&mirror, &path, &[("Range", "bytes=0-3,2000000-2000005")]).expect(206);
    assert!(answer.header("content-type").unwrap().starts_with("multipart/byteranges"));
    let has = |part: &[u8]| answer.body.windows(part.len()).any(|window| window == part);
    assert!(has(&fresh[..4]) && has(&fresh[2_000_000..2_000_006]));
    // What nobody may know of is no reason to ask anybody.
    let before = pulled(&mirror);
    ask(&mirror, &format!("/v1/blobs/{}", "ab".repeat(32)), &[]).expect(404);
    assert_eq!(pulled(&mirror), before);
}

#[test]
fn without_its_upstream_a_mirror_serves_what_it_has_and_asks_to_come_again_for_the_rest() {
    let mut origin = origin();
    let old = publish(&origin, "1.0", &random_bytes(4, 400_000));
    let mirror = mirror(&origin, &origin, "m1", &closed()).start();
    wait_for_plan(&origin, &mirror);
    ask(&mirror, &old, &[]).expect(200);
    let body = random_bytes(5, 2 * MIB);
    let new = publish(&origin, "2.0", &body);
    wait_for_plan(&origin, &mirror);
    let admin = origin.admin;
    origin.stop();
    ask(&mirror, &old, &[]).expect(200);
    let refused = ask(&mirror, &new, &[]).expect(503);
    assert!(refused.header("retry-after").is_some(), "{}", refused.head);
    // Whether something is withheld or unknown shows no more than ever.
    let unknown = ask(&mirror, &format!("/v1/blobs/{}", "cd".repeat(32)), &[]).expect(404);
    assert_eq!(unknown.header("retry-after"), None);
    // It is found again at the address that the mirror knows.
    let config = origin.root().join("ringfence.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let table = |address: &str| format!("[admin]\nlisten = \"{address}\"");
    let again = text.replace(&table(&format!("{}:0", admin.ip())), &table(&admin.to_string()));
    assert_ne!(again, text);
    std::fs::write(&config, again).unwrap();
    origin.start_again();
    let answer = wait_until("the new release", || Some(ask(&mirror, &new, &[])).filter(|answer| answer.status == 200));
    assert!(answer.body == body);
}

#[test]
fn a_mirror_behind_a_mirror_is_filled_through_it() {
    let origin = origin();
    let (large, small) = (random_bytes(6, 5 * MIB + 7), random_bytes(7, 300));
    publish(&origin, "1.0", &small);
    publish(&origin, "2.0", &large);
    let first = mirror(&origin, &origin, "m1", &closed()).start();
    wait_for_plan(&origin, &first);
    assert_eq!(filling(&first).unwrap()["state"], "waiting");
    let second = mirror(&origin, &first, "m2", "critical = [\"feed\"]\n").start();
    wait_until_filled(&origin, &second);
    let path = format!("/v1/blobs/{}", blake3::hash(&large).to_hex());
    assert!(ask(&second, &path, &[]).expect(200).body == large);
    let hex = blake3::hash(&small).to_hex();
    assert!(second.data().join("blobs").join(&hex[..2]).join(&hex[2..4]).join(hex.as_str()).is_file());
    let size = (large.len() + small.len()) as u64;
    assert!(pulled(&first) < size + size / 4, "the first mirror pulled {} bytes for {size}", pulled(&first));
    let standing = filling(&second).unwrap();
    assert_eq!((&standing["missing_blobs"], &standing["missing_bytes"]), (&json!(0), &json!(0)));
}

#[test]
fn wrong_bytes_of_the_upstream_are_never_served_and_raise_an_alarm() {
    let origin = origin();
    let bodies = [random_bytes(8, 50_000), random_bytes(9, 3 * MIB)];
    let paths: Vec<_> =
        bodies.iter().zip(["1.0", "2.0"]).map(|(body, version)| publish(&origin, version, body)).collect();
    for (path, seed) in paths.iter().zip(10..) {
        let hex = path.rsplit('/').next().unwrap();
        let file = origin.data().join("blobs").join(&hex[..2]).join(&hex[2..4]).join(hex);
        let length = std::fs::metadata(&file).unwrap().len() as usize;
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, random_bytes(seed, length)).unwrap();
    }
    // It would know the bytes from its memory.
    let mut origin = origin;
    origin.stop();
    origin.start_again();
    let mirror = mirror(&origin, &origin, "m1", &closed()).start();
    wait_for_plan(&origin, &mirror);
    for path in &paths {
        // As N-1 and as the newest.
        for device in ["pc-1", "canary-1"] {
            let answer = request(mirror.device, "GET", path, &[("Ringfence-Device", device)], b"");
            assert!([503, 404].contains(&answer.status), "{}", answer.head);
        }
    }
    let reason = wait_until("the alarm", || {
        let standing = mirror.api("GET", "/v1/mirror", None).expect(200).json();
        let alarms = standing["alarms"].as_array()?.clone();
        let alarm = alarms.into_iter().find(|alarm| alarm["alarm"] == "mirror_wrong_bytes")?;
        Some(alarm["reason"].as_str()?.to_owned())
    });
    assert!(reason.contains("nothing of them is served"), "{reason}");
}

#[test]
fn a_killed_mirror_goes_on_with_what_it_has() {
    let origin = origin();
    let body = random_bytes(11, 12 * MIB);
    let path = publish(&origin, "1.0", &body);
    let keys = "bandwidth_bytes_per_second = \"2 MiB\"\nparallel_ranges = 2\n";
    let mut mirror = mirror(&origin, &origin, "m1", keys).start();
    wait_for_plan(&origin, &mirror);
    let before = wait_until("half of it", || Some(pulled(&mirror)).filter(|bytes| *bytes > 6 * MIB as u64));
    mirror.kill();
    mirror.start_again();
    wait_until_filled(&origin, &mirror);
    assert!(ask(&mirror, &path, &[]).expect(200).body == body);
    let after = pulled(&mirror);
    println!("{before} bytes before the kill, {after} after it, of {}", body.len());
    // A group that was not whole at the kill comes again: one of each range.
    assert!(after <= body.len() as u64 - before + 4 * MIB as u64, "{before} + {after} bytes of {}", body.len());
}
