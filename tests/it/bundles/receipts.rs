//! Receipts on their way back: the base moves, nothing that is lost on the way needs a reset, and who is not the site, or not
//! the site that it was, is noticed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::origin::{Origin, SITE, bodies, offered, word};
use crate::rollouts;
use crate::support::{Run, Setup, TestServer, random_bytes, sha256_hex, wait_until};

/// What a bundle says of itself.
pub(super) fn manifest(bundle: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(bundle.join("BUNDLE.json")).unwrap()).unwrap()
}

/// The site's receipt in its file: the last one that it gave.
pub(super) fn last_receipt(site: &TestServer, to: &Path) -> PathBuf {
    let given = site.json(&["bundle", "receipt", "--last", "--to", word(to)]);
    to.join(format!("{}.json", given["file_name"].as_str().unwrap()))
}

/// A new receipt of what the site serves.
fn new_receipt(site: &TestServer, to: &Path) -> PathBuf {
    let given = site.json(&["bundle", "receipt", "--to", word(to)]);
    to.join(format!("{}.json", given["file_name"].as_str().unwrap()))
}

/// Has the origin take a receipt.
fn take(origin: &Origin, receipt: &Path) -> Run {
    origin.server.cli(&["bundle", "receipt", word(receipt)])
}

/// An origin with one version, a site that imported it, and a place for receipts.
fn pair() -> (Origin, TestServer, tempfile::TempDir) {
    let origin = Origin::start();
    origin.publish("1.0", &bodies(1, 400_000, 3));
    let first = origin.export(SITE, "full", 1 << 20);
    let site = origin.site(Setup::new(), SITE).start();
    site.cli(&["bundle", "import", word(&first)]).ok();
    (origin, site, tempfile::tempdir().unwrap())
}

/// A body that differs from another in a few places.
pub(super) fn edited(body: &[u8], seed: u64) -> Vec<u8> {
    let mut body = body.to_vec();
    let place = body.len() / 3;
    body.splice(place..place + 10, random_bytes(seed, 40));
    body
}

fn objects<'a>(manifest: &'a Value, encoding: &str) -> Vec<&'a Value> {
    manifest["objects"].as_array().unwrap().iter().filter(|object| object["encoding"] == encoding).collect()
}

#[test]
fn the_next_bundle_starts_from_the_receipt_and_patches_what_it_proved() {
    let (origin, site, stick) = pair();
    let receipt = last_receipt(&site, stick.path());
    let size = receipt.metadata().unwrap().len();
    assert!(size < 8 << 10, "a few KB, not {size}");
    let run = take(&origin, &receipt).ok();
    assert!(run.stdout.contains("Receipt 1 of site plant-7 is taken: applied."), "{}", run.stdout);
    assert!(run.stdout.contains("The next bundle starts from bundle 1."), "{}", run.stdout);
    assert_eq!(origin.server.json(&["bundle", "sites", SITE])["acknowledged"]["sequence"], 1);

    let one = bodies(1, 400_000, 3);
    let text = b"the same line again, and again\n".repeat(2_000);
    let two = vec![edited(&one[0], 7), one[1].clone(), text.clone()];
    origin.publish("2.0", &two);
    let second = origin.export(SITE, "auto", 1 << 20);
    let increment = manifest(&second);
    let said: Value = serde_json::from_slice(&std::fs::read(&receipt).unwrap()).unwrap();
    let base = &increment["base"];
    assert_eq!((&base["kind"], &base["receipt"], &base["root"]), (&json!("proven"), &said["id"], &said["root"]));
    assert_eq!(base["root"], manifest(&second.with_file_name("plant-7-1"))["root"], "what bundle 1 promised");
    let patches = objects(&increment, "patch");
    assert!(patches.iter().any(|patch| patch["sha256"] == sha256_hex(&two[0])), "{increment}");
    assert!(patches.iter().all(|patch| patch["packed"]["size"].as_u64() < Some(10_000)), "{increment}");
    assert!(objects(&increment, "zstd").iter().any(|object| object["sha256"] == sha256_hex(&text)), "{increment}");
    let kept = |object: &Value| object["sha256"] != sha256_hex(&two[1]);
    assert!(increment["objects"].as_array().unwrap().iter().all(kept), "what was proven does not come again");

    let done = site.json(&["bundle", "import", word(&second)]);
    assert_eq!((&done["state"], &done["root"]), (&json!("applied"), &increment["root"]));
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("2.0"));
    for body in &two {
        let path = format!("/v1/blobs/sha256:{}", sha256_hex(body));
        assert!(site.get(Some("pc-1"), &path).expect(200).body == *body);
    }
    site.cli(&["store", "verify"]).ok();

    // The same again changes nothing, an older one is refused, and the newer one moves the base on.
    let seq = origin.server.journal_seq();
    let run = take(&origin, &receipt).ok();
    assert!(run.stdout.contains("receipt 1 of site plant-7 was taken before"), "{}", run.stdout);
    assert_eq!(origin.server.journal_seq(), seq);
    let run = take(&origin, &last_receipt(&site, stick.path())).ok();
    assert!(run.stdout.contains("The next bundle starts from bundle 2."), "{}", run.stdout);
    let seq = origin.server.journal_seq();
    take(&origin, &receipt).complains(7, &["receipt 1 of site plant-7 is old", "receipt 2 was taken"]);
    assert_eq!(origin.server.journal_seq(), seq);
    let third = manifest(&origin.export(SITE, "auto", 1 << 20));
    assert_eq!(third["base"]["bundle"], increment["id"]);
    assert_eq!(third["totals"]["objects"], 1, "only what the origin decides");
}

#[test]
fn lost_media_need_no_reset() {
    let (origin, site, stick) = pair();
    take(&origin, &last_receipt(&site, stick.path())).ok();
    let two = bodies(2, 150_000, 2);
    origin.publish("2.0", &two);
    let lost = manifest(&origin.export(SITE, "auto", 1 << 20));
    let three = bodies(3, 150_000, 2);
    origin.publish("3.0", &three);
    let third = origin.export(SITE, "auto", 1 << 20);
    let said = manifest(&third);
    assert_eq!((&said["sequence"], &said["base"]), (&json!(3), &lost["base"]), "nothing has acknowledged bundle 2");
    let has = |body: &Vec<u8>| {
        let digest = sha256_hex(body);
        said["objects"].as_array().unwrap().iter().any(|object| object["sha256"] == digest)
    };
    assert!(two.iter().chain(&three).all(has), "what was lost comes again");
    site.cli(&["bundle", "import", word(&third)]).ok();
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("3.0"));
    // Now the receipt is lost: the next bundle brings more than it need, and is taken all the same.
    origin.publish("4.0", &bodies(4, 150_000, 2));
    let fourth = origin.export(SITE, "auto", 1 << 20);
    assert_eq!(manifest(&fourth)["base"], lost["base"]);
    let done = site.json(&["bundle", "import", word(&fourth)]);
    assert_eq!((&done["state"], &done["root"]), (&json!("applied"), &manifest(&fourth)["root"]));
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("4.0"));
    let run = take(&origin, &last_receipt(&site, stick.path())).ok();
    assert!(run.stdout.contains("receipt 2 was never seen"), "{}", run.stdout);
    assert!(run.stdout.contains("The next bundle starts from bundle 4."), "{}", run.stdout);
    assert_eq!(origin.server.json(&["bundle", "sites", SITE])["unacknowledged"], 0);
}

#[test]
fn a_receipt_that_never_came_is_told_and_does_no_harm() {
    let (origin, site, stick) = pair();
    take(&origin, &last_receipt(&site, stick.path())).ok();
    for _ in 0..3 {
        new_receipt(&site, stick.path());
    }
    let fourth = stick.path().join("RECEIPT-plant-7-0004.json");
    let run = take(&origin, &fourth).ok();
    assert!(run.stdout.contains("receipts 2 and 3 were never seen"), "{}", run.stdout);
    let known = origin.server.json(&["bundle", "sites", SITE]);
    assert_eq!((&known["astray"], &known["acknowledged"]["sequence"]), (&Value::Null, &json!(1)));
    // One of those that come late, alone and among others.
    take(&origin, &stick.path().join("RECEIPT-plant-7-0002.json")).complains(7, &["is old"]);
    let run = take(&origin, stick.path()).ok();
    assert!(run.stdout.contains("receipt 4 of site plant-7 was taken before"), "{}", run.stdout);
    assert!(run.stderr.contains("receipt 3 of site plant-7 is old"), "{}", run.stderr);
}

#[test]
fn what_is_not_the_sites_is_refused() {
    let (origin, site, stick) = pair();
    take(&origin, &last_receipt(&site, stick.path())).ok();
    // Whoever has the medium can set up a server of that name: it has another key.
    let forger = origin.site(Setup::new(), SITE).start();
    forger.cli(&["bundle", "import", word(&origin.export(SITE, "full", 1 << 20))]).ok();
    let forged = tempfile::tempdir().unwrap();
    let receipt = new_receipt(&forger, forged.path());
    let seq = origin.server.journal_seq();
    take(&origin, &receipt).complains(7, &["is signed by key", "does not vouch for it"]);
    // Its signature under the site's receipt, and a receipt with another number in it.
    let genuine = new_receipt(&site, stick.path());
    let moved = forged.path().join("moved.json");
    std::fs::copy(&genuine, &moved).unwrap();
    std::fs::copy(receipt.with_extension("sig"), moved.with_extension("sig")).unwrap();
    take(&origin, &moved).complains(1, &["not to be believed"]);
    let text = std::fs::read_to_string(&genuine).unwrap();
    std::fs::write(&moved, text.replace("\"outcome\":\"applied\"", "\"outcome\":\"partial\"")).unwrap();
    std::fs::copy(genuine.with_extension("sig"), moved.with_extension("sig")).unwrap();
    take(&origin, &moved).complains(3, &["does not have the id"]);
    std::fs::remove_file(moved.with_extension("sig")).unwrap();
    take(&origin, &moved).exits(3);
    assert_eq!(origin.server.journal_seq(), seq);
    take(&origin, &genuine).ok();
}

#[test]
fn a_site_that_was_put_back_gets_a_full_bundle() {
    let (origin, mut site, stick) = pair();
    take(&origin, &last_receipt(&site, stick.path())).ok();
    site.stop();
    let backup = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| {
        let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        assert!(status.success());
    };
    copy(&site.data(), &backup.path().join("data"));
    site.start_again();
    origin.publish("2.0", &bodies(2, 50_000, 2));
    site.cli(&["bundle", "import", word(&origin.export(SITE, "auto", 1 << 20))]).ok();
    new_receipt(&site, stick.path());
    take(&origin, stick.path()).ok();
    assert_eq!(origin.server.json(&["bundle", "sites", SITE])["acknowledged"]["sequence"], 2);

    site.stop();
    std::fs::remove_dir_all(site.data()).unwrap();
    copy(&backup.path().join("data"), &site.data());
    site.start_again();
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("1.0"), "it is the state of before");
    // Receipts tell the second, and the next number was given before.
    std::thread::sleep(Duration::from_millis(1_100));
    let other = tempfile::tempdir().unwrap();
    let run = take(&origin, &new_receipt(&site, other.path())).ok();
    assert!(run.stdout.contains("The next bundle is a full one: restored: "), "{}", run.stdout);
    let known = origin.server.json(&["bundle", "sites", SITE]);
    assert!(known["astray"].as_str().is_some_and(|why| why.contains("backup")), "{known}");
    assert_eq!(known["acknowledged"], Value::Null);
    assert!(origin.server.cli(&["bundle", "sites"]).ok().stdout.contains("astray"));

    origin.publish("3.0", &bodies(3, 50_000, 2));
    let full = origin.export(SITE, "auto", 1 << 20);
    assert_eq!(manifest(&full)["base"]["kind"], "full");
    site.cli(&["bundle", "import", word(&full)]).ok();
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("3.0"));
    let run = take(&origin, &last_receipt(&site, other.path())).ok();
    assert!(run.stdout.contains("The next bundle starts from bundle 3."), "{}", run.stdout);
    assert_eq!(origin.server.json(&["bundle", "sites", SITE])["astray"], Value::Null);
    assert_eq!(manifest(&origin.export(SITE, "auto", 1 << 20))["base"]["kind"], "proven");
}

/// The policy of the rollouts' tests, and the site.
fn staged() -> Setup {
    let site = "[[site]]\nname = \"plant-7\"\ngroups = [\"canaries\", \"everyone\"]\n";
    Setup::new().policy(&format!("{}{site}", rollouts::POLICY))
}

/// The canaries are all at the site. What they say there opens the origin's next ring, and halts its rollout.
#[test]
fn what_the_sites_devices_said_reaches_the_gates() {
    let origin = Origin::of(staged());
    let mut site = origin.site(staged(), SITE).start();
    let stick = tempfile::tempdir().unwrap();
    let carry = |site: &TestServer, version: &str| {
        let bundle = origin.export(SITE, "auto", 1 << 20);
        site.cli(&["bundle", "import", word(&bundle)]).ok();
        assert_eq!(offered(site, "canary-0").as_deref(), Some(version));
    };
    let say = |site: &TestServer, version: &str, event: &str| {
        for device in (0..8).map(|number| format!("canary-{number}")) {
            assert_eq!(offered(site, &device).as_deref(), Some(version));
            rollouts::report(site, &device, version, event).expect(200);
        }
    };
    origin.publish("1.0", &[b"one".to_vec()]);
    carry(&site, "1.0");
    assert_eq!(offered(&site, "pc-1"), None, "the canaries come first");
    assert_eq!(offered(&origin.server, "pc-1"), None);
    say(&site, "1.0", "healthy");
    // What devices said is told after a restart, too.
    site.stop();
    site.start_again();
    take(&origin, &new_receipt(&site, stick.path())).ok();
    let known = origin.server.json(&["bundle", "sites", SITE]);
    let tally = &known["tallies"][0];
    assert_eq!(
        (&tally["ring"], &tally["offered"], &tally["healthy"]),
        (&json!("canary"), &json!(8), &json!(8)),
        "{known}"
    );
    wait_until("the site's canaries open the next ring", || offered(&origin.server, "pc-1"));
    carry(&site, "1.0");
    assert_eq!(offered(&site, "pc-1").as_deref(), Some("1.0"), "and at the site, with the next bundle");

    origin.publish("2.0", &[b"two".to_vec()]);
    carry(&site, "2.0");
    say(&site, "2.0", "failed");
    take(&origin, &new_receipt(&site, stick.path())).ok();
    let halted = || {
        let rollouts = origin.server.cli(&["rollout", "list"]).ok().stdout;
        rollouts.contains("halted").then_some(())
    };
    wait_until("the site's canaries halt the rollout", halted);
    assert_eq!(offered(&origin.server, "canary-9").as_deref(), Some("1.0"));
    assert_eq!(offered(&origin.server, "pc-1").as_deref(), Some("1.0"));
    carry(&site, "1.0");
}
