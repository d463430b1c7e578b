//! What the vendors' scripts get wrong, and shares must not: versions of a set that race, errors saved as content, and
//! answers that tell what there is.

use std::time::{Duration, Instant};

use md5::Digest as _;

use crate::support::shares::{PROMPT, ShareOf};
use crate::support::{Answer, ShareServer, random_bytes, wait_until};

const RULES: &str = "ids/emerging.rules.tar.gz";
const FOLDER: &str = "linux/production/arch_x86_64";

fn rules(version: u64) -> Vec<u8> {
    random_bytes(version, 20_000)
}

fn md5_hex(bytes: &[u8]) -> String {
    md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn publish_rules(shares: &ShareServer, version: u64) {
    shares.publish("ids", &version.to_string(), &[("emerging.rules.tar.gz", &rules(version))]);
}

/// Which version of the rules these are.
fn version_of(body: &[u8], versions: u64) -> u64 {
    (1..=versions).find(|version| rules(*version) == body).expect("a version that was published, and the whole of it")
}

/// How often something is read while `versions` are published one after the other.
fn read_while_publishing(shares: &ShareServer, versions: u64, mut read: impl FnMut()) -> usize {
    let mut reads = 0;
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            for version in 2..=versions {
                publish_rules(shares, version);
                shares.wait_for(RULES, &rules(version));
            }
        });
        while !publisher.is_finished() || reads < 200 {
            read();
            reads += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
        publisher.join().unwrap();
    });
    reads
}

const SWITCHES: u64 = 20;

#[test]
fn a_checksum_fits_the_payload_read_after_it() {
    let shares = ShareServer::start(&[ShareOf::open("ids", "suricata")], "");
    publish_rules(&shares, 1);
    shares.wait_for(RULES, &rules(1));
    let reads = read_while_publishing(&shares, SWITCHES + 1, || {
        let reader = shares.new_reader();
        let begun = Instant::now();
        let md5 = shares.read_as(&reader, &format!("{RULES}.md5")).expect(200).text();
        let payload = shares.read_as(&reader, RULES).expect(200).body;
        // Two switches lie a second apart: who takes longer, on a busy machine, may be overtaken by both.
        let is_slow = begun.elapsed() > Duration::from_millis(900);
        assert!(md5_hex(&payload) == md5 || is_slow, "the .md5 is of another version than the payload");
    });
    eprintln!("{reads} pairs read over {SWITCHES} switches");
}

/// One that never pauses may be overtaken by two switches; it gets whole files even then, and never an older payload.
#[test]
fn a_reader_that_never_pauses_gets_nothing_older() {
    let shares = ShareServer::start(&[ShareOf::open("ids", "suricata")], "");
    publish_rules(&shares, 1);
    shares.wait_for(RULES, &rules(1));
    let versions = SWITCHES / 2;
    let sums: Vec<String> = (1..=versions).map(|version| md5_hex(&rules(version))).collect();
    let (mut newest, mut torn) = (0, 0);
    read_while_publishing(&shares, versions, || {
        let md5 = shares.ask("GET", &format!("{RULES}.md5"), &[]).expect(200).text();
        let told = sums.iter().position(|sum| *sum == md5).expect("a checksum that was published") as u64 + 1;
        let payload = shares.ask("GET", RULES, &[]).expect(200).body;
        let got = version_of(&payload, versions);
        assert!(got >= told, "the payload ({got}) is older than its checksum ({told})");
        assert!(told >= newest, "a reader went back from {newest} to {told}");
        newest = got;
        torn += u32::from(got != told);
    });
    eprintln!("{torn} pairs were of two versions");
}

#[test]
fn an_archive_and_its_manifest_are_of_one_version() {
    let shares = ShareServer::start(&[ShareOf::open("av", "defender-offline")], "");
    let publish = |version: u64| {
        let archive = random_bytes(version, 30_000);
        let version = format!("1.427.{version}.0");
        shares.publish_for("linux-x64", "av", &version, &[("updates.zip", &archive)]);
        archive
    };
    let (zip, manifest) = (format!("av/{FOLDER}/updates.zip"), format!("av/{FOLDER}/manifest.json"));
    let told = |answer: &Answer| answer.json()["DefinitionVersion"].as_str().expect("a version").to_owned();
    let mut shown = publish(1);
    shares.wait_for(&zip, &shown);
    for version in 2..6_u64 {
        // One reads the manifest first, the other the archive; the share switches in between.
        let (a, b) = (shares.new_reader(), shares.new_reader());
        let before = format!("1.427.{}.0", version - 1);
        assert_eq!(told(&shares.read_as(&a, &manifest).expect(200)), before);
        assert!(shares.read_as(&b, &zip).expect(200).body == shown);
        let next = publish(version);
        shares.wait_for(&zip, &next);
        assert!(shares.read_as(&a, &zip).expect(200).body == shown, "the archive of another version");
        assert_eq!(told(&shares.read_as(&b, &manifest).expect(200)), before, "the manifest of another version");
        // Who comes now gets the new pair.
        let c = shares.new_reader();
        assert_eq!(told(&shares.read_as(&c, &manifest).expect(200)), format!("1.427.{version}.0"));
        assert!(shares.read_as(&c, &zip).expect(200).body == next);
        shown = next;
    }
    let back = shares.look("av/linux/production_back/arch_x86_64/updates.zip").expect(200);
    assert!(back.body == random_bytes(4, 30_000), "the release before stays beside the live one");
}

#[test]
fn a_reader_of_a_withheld_version_is_not_left_with_it() {
    let shares = ShareServer::start(&[ShareOf::open("ids", "suricata")], "");
    publish_rules(&shares, 1);
    shares.wait_for(RULES, &rules(1));
    publish_rules(&shares, 2);
    shares.wait_for(RULES, &rules(2));
    let reader = shares.new_reader();
    let md5 = shares.read_as(&reader, &format!("{RULES}.md5")).expect(200).text();
    assert_eq!(md5, md5_hex(&rules(2)));
    let begun = Instant::now();
    shares.hold("ids", "2");
    // Gone at once, then the version before: never the withheld one again.
    wait_until("the version before", || {
        let answer = shares.read_as(&reader, RULES);
        assert!(answer.body != rules(2), "withheld, and sent all the same");
        // A switch is journaled 0.4 s before its time at least.
        assert!(answer.status == 404 || begun.elapsed() > Duration::from_millis(400), "{}", answer.head);
        (answer.status == 200).then_some(())
    });
    assert_eq!(shares.read_as(&reader, &format!("{RULES}.md5")).expect(200).text(), md5_hex(&rules(1)));
}

#[test]
fn what_is_not_there_cannot_be_told_apart() {
    let closed = ShareOf { open_to: "10.0.0.0/8", ..ShareOf::open("closed", "plain") };
    let shares = ShareServer::start(&[ShareOf::open("tree", "plain"), ShareOf::open("held", "plain"), closed], PROMPT);
    for product in ["tree", "held", "closed"] {
        shares.publish(product, "1.0", &[("feed.bin", b"bytes")]);
    }
    shares.wait_for("tree/feed.bin", b"bytes");
    let tag = shares.wait_for("held/feed.bin", b"bytes").header("etag").unwrap().to_owned();
    shares.hold("held", "1.0");
    let absent = [
        "held/feed.bin",
        "closed/feed.bin",
        "closed/",
        "unknown/feed.bin",
        "tree/unknown.bin",
        "tree/feed.bin/",
        "tree/feed.bin/x",
        "tree/",
        "tree",
        "tree/../held/feed.bin",
        "tree/%2e%2e/tree/feed.bin",
        "tree/feed.bin%00",
        "tree//feed.bin",
        "tree/%zz",
        "TREE/feed.bin",
        "tree/FEED.BIN",
        ".ringfence/manifest.json",
        "",
    ];
    let extras: [&[(&str, &str)]; 9] = [
        &[],
        &[("Range", "bytes=0-1")],
        &[("Range", "bytes=999-")],
        &[("Range", "bytes=0-511"), ("If-Modified-Since", "Fri, 31 Dec 2100 23:59:59 GMT")],
        &[("If-None-Match", &tag)],
        &[("If-None-Match", "*")],
        &[("If-Match", &tag)],
        &[("If-Range", &tag), ("Range", "bytes=0-1")],
        &[("Accept", "text/plain")],
    ];
    for method in ["GET", "HEAD"] {
        for extra in extras {
            let reference = shares.ask(method, "no-such-share/x", extra).expect(404);
            assert_eq!(reference.header("last-modified"), None);
            for path in absent {
                let answer = shares.ask(method, path, extra);
                assert_eq!(answer.without_date(), reference.without_date(), "{method} {path} {extra:?}");
            }
        }
    }
    shares.ask("GET", "tree/feed.bin", &[]).expect(200);
}
