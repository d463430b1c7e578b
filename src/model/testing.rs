//! A journal in memory, for tests and benchmarks: events with the seq, time, prev and hash that they would have.

pub(crate) use super::snapshot::dump::dump;
pub(crate) use super::snapshot::random::{Change, changes};

use jiff::{SignedDuration, Timestamp};

use super::{
    Actor, ApprovalRule, Artifact, Blake3Digest, Class, Device, Event, EventRecord, Platform, ProductName,
    ReleaseManifest, Sha256Digest, Snapshot, Version,
};

/// Events in order, and the snapshot that they make. Panics at an event that does not fit: the test is wrong then.
#[derive(Debug, Clone)]
pub struct TestJournal {
    records: Vec<EventRecord>,
    snapshot: Snapshot,
    now: Timestamp,
}

impl TestJournal {
    /// An empty journal whose clock shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { records: Vec::new(), snapshot: Snapshot::default(), now: start }
    }

    /// Moves the clock on.
    pub fn advance(&mut self, seconds: i64) -> &mut Self {
        self.now += SignedDuration::from_secs(seconds);
        self
    }

    /// What the clock shows.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Appends an event now, by `tester`; returns its seq.
    pub fn push(&mut self, event: Event) -> u64 {
        let (seq, prev) = (self.snapshot.seq() + 1, self.snapshot.head());
        let actor: Actor = "tester".parse().expect("a valid actor");
        let mut record = EventRecord { seq, time: self.now, actor, event, prev, hash: prev };
        let line = serde_json::to_string(&record).expect("an event is JSON");
        let covered = line.rfind(",\"hash\":").expect("the hash comes last");
        record.hash = Blake3Digest::of(&line.as_bytes()[..covered]);
        self.snapshot.apply(&record).expect("the event fits");
        self.records.push(record);
        seq
    }

    /// A product.
    pub fn product(&mut self, name: &str, class: Class) -> &mut Self {
        self.push(Event::ProductAdded { product: parse(name), class });
        self
    }

    /// A release, published at once, with one artifact of a few bytes for each platform.
    pub fn release(&mut self, product: &str, version: &str, platforms: &[&str], barrier: bool) -> &mut Self {
        let release = self.draft(product, version, platforms, barrier);
        self.push(Event::ReleasePublished { product: parse(product), release });
        self
    }

    /// A release that stays a draft.
    pub fn draft(&mut self, product: &str, version: &str, platforms: &[&str], barrier: bool) -> super::ReleaseId {
        let product: ProductName = parse(product);
        let artifact = |platform: &&str| {
            let body = format!("{product} {version} {platform}");
            Artifact {
                target: parse(&format!("{platform}/content.bin")),
                platform: parse::<Platform>(platform),
                size: body.len() as u64,
                blake3: Blake3Digest::of(body.as_bytes()),
                sha256: Sha256Digest::of(body.as_bytes()),
                media_type: "application/octet-stream".into(),
            }
        };
        let artifacts = platforms.iter().map(artifact).collect();
        let version: Version = parse(version);
        let manifest = ReleaseManifest { product: product.clone(), version, barrier, artifacts };
        let sequence = self.snapshot.product(&product).map_or(1, |known| known.next_sequence());
        let release = manifest.id();
        self.push(Event::ReleaseAdded { release, sequence, manifest, approval: ApprovalRule::Auto });
        release
    }

    /// A policy in force from now on.
    pub fn policy(&mut self, text: &str) -> &mut Self {
        self.push(Event::PolicyApplied { digest: Blake3Digest::of(text.as_bytes()), text: text.into() });
        self
    }

    /// Devices, each as JSON.
    pub fn devices(&mut self, devices: &[&str]) -> &mut Self {
        let device = |json: &&str| serde_json::from_str::<Device>(json).expect("a device");
        self.push(Event::DevicesImported { devices: devices.iter().map(device).collect() });
        self
    }

    /// The events so far.
    pub fn records(&self) -> &[EventRecord] {
        &self.records
    }

    /// The snapshot after all of them.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The snapshot as it was at `at`: after every event up to then.
    pub fn snapshot_at(&self, at: Timestamp) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for record in self.records.iter().take_while(|record| record.time <= at) {
            snapshot.apply(record).expect("the event fits");
        }
        snapshot
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a valid name")
}
