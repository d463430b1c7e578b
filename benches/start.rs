//! The start of a server with 100,000 journal events (30,000 releases of ten products, 100,000 devices, 4,945 holds, all but
//! one lifted): with a current index, and with the index deleted. `cargo bench --bench start`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use ringfence::journal::{Journal, JournalOptions};
use ringfence::model::{
    Actor, ApprovalRule, Artifact, Blake3Digest, Class, Device, Event, HoldId, HoldScope, ProductName, ReleaseManifest,
    Sha256Digest,
};
use support::process::cpu_seconds;
use support::server::{OPEN_POLICY, Server, init, scratch};
use support::stats::{Runs, goal};
use support::{abba, is_only_a_test, repeats};

const EVENTS: u64 = 100_000;
const RELEASES: u64 = 30_000;
const PRODUCTS: u64 = 10;

fn main() {
    if is_only_a_test() {
        return;
    }
    let dir = scratch();
    let root = dir.path().join("server");
    init(&root, OPEN_POLICY);
    let events = Writer::new(&root.join("data/journal")).write();
    assert_eq!(events, EVENTS);
    Server::start(&root).stop();
    let (mut with_index, mut without) = ([Runs::new(), Runs::new()], [Runs::new(), Runs::new()]);
    for has_index in abba(repeats(5)) {
        if !has_index {
            std::fs::remove_dir_all(root.join("data/index")).unwrap();
        }
        let server = Server::start(&root);
        let runs = if has_index { &mut with_index } else { &mut without };
        runs[0].add(server.started_in.as_secs_f64());
        runs[1].add(cpu_seconds(server.pid()));
        server.stop();
    }
    println!("from the start of the process until it listens, {events} events:");
    println!("  with a current index     {} s, CPU {} s", with_index[0], with_index[1]);
    println!("  with the index deleted   {} s, CPU {} s", without[0], without[1]);
    goal("start with a current index, s", with_index[0].median(), 2.0);
    goal("start with the index deleted, s", without[0].median(), 2.0);
}

struct Writer {
    journal: Journal,
    now: Timestamp,
    actor: Actor,
    seq: u64,
}

impl Writer {
    fn new(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let journal = Journal::open(dir, JournalOptions::default(), None, &mut |_| Ok(())).unwrap().journal;
        #[allow(clippy::disallowed_methods, reason = "a bench plays the outside world")]
        let now = Timestamp::now() - SignedDuration::from_hours(24 * 365);
        Self { journal, now, actor: "bench".parse().unwrap(), seq: 0 }
    }

    fn append(&mut self, events: Vec<Event>) {
        self.now += SignedDuration::from_mins(10);
        self.seq = self.journal.enqueue(self.now, &self.actor, events).unwrap().last().unwrap().seq;
    }

    /// Writes everything; returns the number of events.
    fn write(mut self) -> u64 {
        let text = OPEN_POLICY.to_owned();
        self.append(vec![Event::PolicyApplied { digest: Blake3Digest::of(text.as_bytes()), text }]);
        let products: Vec<ProductName> = (0..PRODUCTS).map(|n| format!("feed-{n}").parse().unwrap()).collect();
        for product in &products {
            self.append(vec![Event::ProductAdded { product: product.clone(), class: Class::Intelligence }]);
        }
        for first in (0..100_000).step_by(1_000) {
            let device = |n: u64| {
                let json = format!(r#"{{"id":"site{}-pc-{n}","platform":"windows-x64","tags":["t1","t2"]}}"#, n % 600);
                serde_json::from_str::<Device>(&json).unwrap()
            };
            self.append(vec![Event::DevicesImported { devices: (first..first + 1_000).map(device).collect() }]);
        }
        for n in 0..RELEASES {
            self.release(&products[(n % PRODUCTS) as usize], n / PRODUCTS + 1, n);
        }
        while self.seq < EVENTS {
            self.hold(&products[(self.seq % PRODUCTS) as usize]);
        }
        self.journal.synced_blocking(self.seq).unwrap();
        self.seq
    }

    fn release(&mut self, product: &ProductName, sequence: u64, body: u64) {
        let artifact = Artifact {
            target: "content.bin".parse().unwrap(),
            platform: "windows-x64".parse().unwrap(),
            size: 1 << 20,
            blake3: Blake3Digest::of(&body.to_le_bytes()),
            sha256: Sha256Digest::of(&body.to_le_bytes()),
            media_type: "application/octet-stream".into(),
        };
        let version = format!("1.{sequence}").parse().unwrap();
        let manifest = ReleaseManifest { product: product.clone(), version, barrier: false, artifacts: vec![artifact] };
        let release = manifest.id();
        self.append(vec![
            Event::ReleaseAdded { release, sequence, manifest, approval: ApprovalRule::Auto },
            Event::ReleaseApproved { product: product.clone(), release },
            Event::ReleasePublished { product: product.clone(), release },
        ]);
    }

    /// A hold, and its end unless the events are complete.
    fn hold(&mut self, product: &ProductName) {
        let hold: HoldId = self.seq + 1;
        let (version, reason) = (Some("1.3".parse().unwrap()), "a rehearsal".parse().unwrap());
        let scope = HoldScope::Group("everyone".parse().unwrap());
        self.append(vec![Event::HoldAdded { product: product.clone(), version, scope, reason, expires_at: None }]);
        if self.seq < EVENTS {
            self.append(vec![Event::HoldLifted { hold, reason: "the rehearsal is over".parse().unwrap() }]);
        }
    }
}
