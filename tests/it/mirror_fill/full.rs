//! A mirror whose disk is full or fails while it fills: it serves what it has, says so, and goes on by itself.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{ask, filling, metric, mirror, mirror_at, wait_for_plan, wait_until, wait_until_filled};
use crate::bad_input::Tmpfs;
use crate::bundles::full::Taker;
use crate::faults::inject::Injection;
use crate::support::{Setup, TestServer, random_bytes, skip};

const MIB: usize = 1 << 20;

/// A blob of an origin: its path, and its bytes.
struct Blob {
    path: String,
    body: Vec<u8>,
}

fn publish(origin: &TestServer, version: &str, seed: u64, length: usize) -> Blob {
    let body = random_bytes(seed, length);
    origin.as_admin().try_publish("feed", version, &body).unwrap().expect(201);
    Blob { path: format!("/v1/blobs/{}", blake3::hash(&body).to_hex()), body }
}

fn alarm(mirror: &TestServer) -> Option<Value> {
    let standing = mirror.api("GET", "/v1/mirror", None).expect(200).json();
    standing["alarms"].as_array().unwrap().iter().find(|alarm| alarm["alarm"] == "mirror_disk").cloned()
}

/// It serves the old, nothing wrong of the new, and says why it does not fill.
#[track_caller]
fn suffers(origin: &TestServer, mirror: &TestServer, (old, new): (&Blob, &Blob), why: &str) {
    wait_for_plan(origin, mirror);
    // Before a blob is tried, the alarm may be for what else cannot be written.
    let names_it = |alarm: &Value| alarm["reason"].as_str().is_some_and(|reason| reason.contains(why));
    wait_until(&format!("the alarm: {why}"), || alarm(mirror).filter(names_it));
    let said = mirror.cli(&["mirror", "status"]).ok().stdout;
    assert!(said.contains("mirror_disk since") && said.contains(why), "{said}");
    assert!(said.contains("follows its upstream"), "only blobs are the matter: {said}");
    assert_eq!(filling(mirror).unwrap()["missing_blobs"], 1);
    assert!(ask(mirror, &old.path, &[]).expect(200).body == old.body);
    // From where it came, or not at all.
    let head = format!("GET {} HTTP/1.1\r\nHost: x\r\nRingfence-Device: pc-1\r\nConnection: close\r\n\r\n", new.path);
    let got = crate::support::http::try_raw(mirror.device, head.as_bytes()).unwrap_or_default();
    let start = got.windows(4).position(|end| end == b"\r\n\r\n").map_or(got.len(), |at| at + 4);
    let is_refused = got.starts_with(b"HTTP/1.1 503");
    assert!(is_refused || new.body.starts_with(&got[start..]), "{}", String::from_utf8_lossy(&got[..start]));
    assert!(ask(mirror, &old.path, &[("Range", "bytes=100-199")]).expect(206).body == old.body[100..200]);
}

#[track_caller]
fn recovers(origin: &TestServer, mirror: &TestServer, blobs: &[&Blob]) {
    wait_until_filled(origin, mirror);
    wait_until("no alarm", || alarm(mirror).is_none().then_some(()));
    for blob in blobs {
        assert!(ask(mirror, &blob.path, &[]).expect(200).body == blob.body);
    }
    let said = mirror.cli(&["mirror", "status"]).ok().stdout;
    assert!(said.contains("all here") && !said.contains("mirror_disk"), "{said}");
    mirror.cli(&["store", "verify"]).ok();
    mirror.cli(&["journal", "verify"]).ok();
}

fn origin() -> TestServer {
    let origin = Setup::new().start();
    origin.cli(&["product", "add", "feed", "--class", "intelligence"]).ok();
    origin
}

#[test]
fn a_mirror_without_space_serves_says_so_and_goes_on() {
    const NAME: &str = "mirror_fill::full::a_mirror_without_space_serves_says_so_and_goes_on";
    let Some(mount) = Tmpfs::mount("size=64m") else { return skip(NAME, "a tmpfs cannot be mounted") };
    let origin = origin();
    let old = publish(&origin, "1.0", 1, 3 * MIB);
    let mirror = mirror_at(Setup::below(mount.path()), (&origin, &origin), "m1", "").start();
    wait_until_filled(&origin, &mirror);
    let taker = Taker::now(mount.path());
    let new = publish(&origin, "2.0", 2, 5 * MIB);
    suffers(&origin, &mirror, (&old, &new), "no space left");
    let (failed, begun) = (metric(&mirror, "ringfence_mirror_pull_failures_total"), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let more = metric(&mirror, "ringfence_mirror_pull_failures_total") - failed;
    // One every ten seconds; on a busy machine it may be more than three until it is looked.
    let most = 2 + begun.elapsed().as_secs() / 10;
    assert!(more <= most, "{more} attempts in {:?} on a full disk", begun.elapsed());
    // What is decided comes through all the same.
    origin.cli(&["product", "add", "other", "--class", "intelligence"]).ok();
    wait_for_plan(&origin, &mirror);
    drop(taker);
    recovers(&origin, &mirror, &[&old, &new]);
}

#[test]
fn a_mirror_whose_disk_fails_serves_says_so_and_goes_on() {
    const NAME: &str = "mirror_fill::full::a_mirror_whose_disk_fails_serves_says_so_and_goes_on";
    let origin = origin();
    let old = publish(&origin, "1.0", 1, 3 * MIB);
    let mirror = mirror(&origin, &origin, "m1", "").start();
    wait_until_filled(&origin, &mirror);
    let body = random_bytes(2, 5 * MIB);
    let file = mirror.data().join("partial").join(blake3::hash(&body).to_hex().as_str());
    let Some(injection) = Injection::attach_to(NAME, &mirror, "pwrite64:error=EIO", Some(&file)) else { return };
    let new = publish(&origin, "2.0", 2, 5 * MIB);
    suffers(&origin, &mirror, (&old, &new), "write a group");
    drop(injection);
    recovers(&origin, &mirror, &[&old, &new]);
}
