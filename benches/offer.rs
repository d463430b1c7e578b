//! Server CPU of an offer with 100,000 devices, 500 groups and 1,000 releases, against `/healthz`, a static answer of the
//! same listener. `cargo bench --bench offer`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use jiff::{SignedDuration, Timestamp};
use ringfence::journal::{Journal, JournalOptions};
use ringfence::model::{
    ApprovalRule, Artifact, Blake3Digest, Class, Device, Event, ProductName, ReleaseManifest, Sha256Digest,
};
use support::process::cpu_seconds;
use support::server::{Server, init, scratch};
use support::stats::{Runs, goal};
use support::{abba, is_only_a_test, load, repeats};

const DEVICES: usize = 100_000;
const GROUPS: usize = 500;
const RELEASES: u64 = 1_000;
/// Requests of one run, over this many connections.
const REQUESTS: usize = 100_000;
const CONNECTIONS: usize = 8;

fn main() {
    if is_only_a_test() {
        return;
    }
    let dir = scratch();
    let root = dir.path().join("server");
    init(&root, &policy());
    write_journal(&root.join("data/journal"));
    let server = Server::start(&root);
    let offers: Vec<_> = (0..DEVICES).map(|n| load::get("/v1/offers/intel", &device_id(n), "")).collect();
    let health = vec![load::get("/healthz", "site1-pc-1", "")];
    // Reports a run's CPU in microseconds a request.
    let measure = |requests: &[Vec<u8>]| {
        let before = cpu_seconds(server.pid());
        load::run(server.device, CONNECTIONS, requests, REQUESTS, 200);
        (cpu_seconds(server.pid()) - before) * 1e6 / REQUESTS as f64
    };
    let first = measure(&offers);
    let (mut offer, mut healthz) = (Runs::new(), Runs::new());
    for is_offer in abba(repeats(7)) {
        if is_offer { offer.add(measure(&offers)) } else { healthz.add(measure(&health)) }
    }
    let token = server.json(&["token", "create", "--device", &device_id(7)]);
    let token = token["token"].as_str().unwrap();
    let head = format!("GET /v1/offers/intel HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n");
    let with_token = measure(&[head.into_bytes()]);

    println!("server CPU, microseconds a request, over {CONNECTIONS} connections kept alive:");
    println!("  GET /healthz                               {healthz}");
    println!("  an offer, {DEVICES} devices in turn          {offer}");
    println!("  an offer, each device for the first time   {first:.3}");
    println!("  an offer to one device with a token        {with_token:.3}");
    goal("an offer against /healthz, CPU", offer.median() / healthz.median(), 2.0);
}

fn device_id(n: usize) -> String {
    format!("site{}-pc-{n}", n % 600)
}

/// Half of the groups by glob, a quarter each by tag and by address; every twentieth a general glob, the slowest kind.
fn policy() -> String {
    let mut text = String::from("[[ring]]\nname = \"early\"\n[[ring]]\nname = \"late\"\ndefer = \"4h\"\n");
    for n in 0..GROUPS - 1 {
        let condition = match n % 20 {
            0 => format!("{{ id = \"*-{n}-*-x\" }}"),
            1..=9 => format!("{{ id = \"site{n}-*\" }}"),
            10..=14 => format!("{{ tag = \"tag{n}\" }}"),
            _ => format!("{{ address = \"10.{}.{}.0/24\" }}", n / 250, n % 250),
        };
        text += &format!("[[group]]\nname = \"g{n}\"\nmatch = {condition}\nring = \"early\"\n");
    }
    text + "[[group]]\nname = \"everyone\"\nmatch = \"any\"\nring = \"late\"\n"
}

/// Writes the history that such a server has, an event every half hour until now.
fn write_journal(dir: &std::path::Path) {
    std::fs::create_dir_all(dir).unwrap();
    let journal = Journal::open(dir, JournalOptions::default(), None, &mut |_| Ok(())).unwrap().journal;
    #[allow(clippy::disallowed_methods, reason = "a bench plays the outside world")]
    let mut now = Timestamp::now() - SignedDuration::from_mins(30 * (RELEASES as i64 + 1));
    let product: ProductName = "intel".parse().unwrap();
    let text = policy();
    let actor = "bench".parse().unwrap();
    let append = |time, events| journal.enqueue(time, &actor, events).unwrap().last().unwrap().seq;
    let digest = Blake3Digest::of(text.as_bytes());
    append(now, vec![Event::PolicyApplied { digest, text }]);
    append(now, vec![Event::ProductAdded { product: product.clone(), class: Class::Intelligence }]);
    for first in (0..DEVICES).step_by(1_000) {
        let device = |n| {
            let json = format!(r#"{{"id":"{}","platform":"windows-x64","tags":["t1","t2"]}}"#, device_id(n));
            serde_json::from_str::<Device>(&json).unwrap()
        };
        append(now, vec![Event::DevicesImported { devices: (first..first + 1_000).map(device).collect() }]);
    }
    let mut last = 0;
    for sequence in 1..=RELEASES {
        now += SignedDuration::from_mins(30);
        let body = sequence.to_le_bytes();
        let artifact = Artifact {
            target: "content.bin".parse().unwrap(),
            platform: "windows-x64".parse().unwrap(),
            size: 1 << 20,
            blake3: Blake3Digest::of(&body),
            sha256: Sha256Digest::of(&body),
            media_type: "application/octet-stream".into(),
        };
        let version = format!("1.{sequence}").parse().unwrap();
        let manifest = ReleaseManifest { product: product.clone(), version, barrier: false, artifacts: vec![artifact] };
        let release = manifest.id();
        let added = Event::ReleaseAdded { release, sequence, manifest, approval: ApprovalRule::Auto };
        last = append(now, vec![added, Event::ReleasePublished { product: product.clone(), release }]);
    }
    journal.synced_blocking(last).unwrap();
}
