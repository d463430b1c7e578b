//! Decisions with 100,000 devices, 1,000 groups and 1,000 releases of one product, of which the last 50 are in rollouts
//! that are still under way.
//!
//! `cargo bench --bench decide`. What is measured: a decision with the group known and unknown, the group alone, a
//! permission to download, and the plan of a policy change over the whole inventory.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};
use ringfence::model::policy::Policy;
use ringfence::model::{
    ApprovalRule, Artifact, BasisPoints, Blake3Digest, Class, Device, DeviceId, Event, EventRecord, Plan, ProductName,
    Promote, ReleaseId, ReleaseManifest, RingPlan, RolloutChange, RolloutKind, Sha256Digest, Snapshot, Span, Wave,
};
use ringfence::policy::{Requester, decide, decide_in_group, decide_quiet, group_of, may_download, plan_change};

const GROUPS: usize = 1_000;
const DEVICES: usize = 100_000;
const RELEASES: u64 = 1_000;
/// The last ones, each in a rollout of its own.
const ROLLOUTS: u64 = 50;

fn push(snapshot: &mut Snapshot, time: Timestamp, event: Event) {
    let (seq, prev) = (snapshot.seq() + 1, snapshot.head());
    let hash = Blake3Digest::of(&seq.to_le_bytes());
    snapshot.apply(&EventRecord { seq, time, actor: "bench".parse().unwrap(), event, prev, hash }).unwrap();
}

/// Half of the groups by glob, a quarter each by tag and by address; every tenth a general glob, the slowest kind.
fn policy(defer: &str) -> String {
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
    text + &format!("[[group]]\nname = \"everyone\"\nmatch = \"any\"\nring = \"late\"\ndefer = \"{defer}\"\n")
}

fn world() -> (Snapshot, ProductName, Timestamp) {
    let mut snapshot = Snapshot::default();
    let mut now = Timestamp::from_second(1_700_000_000).unwrap();
    let product: ProductName = "intel".parse().unwrap();
    push(&mut snapshot, now, Event::ProductAdded { product: product.clone(), class: Class::Intelligence });
    let text = policy("4h");
    push(&mut snapshot, now, Event::PolicyApplied { digest: Blake3Digest::of(text.as_bytes()), text });
    for chunk in 0..DEVICES / 1_000 {
        let device = |n: usize| {
            let n = chunk * 1_000 + n;
            let json = format!(r#"{{"id":"site{}-pc-{n}","platform":"windows-x64","tags":["t1","t2"]}}"#, n % 600);
            serde_json::from_str::<Device>(&json).unwrap()
        };
        push(&mut snapshot, now, Event::DevicesImported { devices: (0..1_000).map(device).collect() });
    }
    for sequence in 1..=RELEASES {
        now += SignedDuration::from_mins(30);
        let body = sequence.to_le_bytes();
        let artifact = Artifact {
            target: "content.bin".parse().unwrap(),
            platform: "windows-x64".parse().unwrap(),
            size: 8,
            blake3: Blake3Digest::of(&body),
            sha256: Sha256Digest::of(&body),
            media_type: "application/octet-stream".into(),
        };
        let version = format!("1.{sequence}").parse().unwrap();
        let manifest = ReleaseManifest { product: product.clone(), version, barrier: false, artifacts: vec![artifact] };
        let release = manifest.id();
        push(&mut snapshot, now, Event::ReleaseAdded { release, sequence, manifest, approval: ApprovalRule::Auto });
        push(&mut snapshot, now, Event::ReleasePublished { product: product.clone(), release });
        if sequence > RELEASES - ROLLOUTS {
            roll_out(&mut snapshot, now, &product, release);
        }
    }
    (snapshot, product, now)
}

/// The first ring is half open, and the second not at all.
fn roll_out(snapshot: &mut Snapshot, now: Timestamp, product: &ProductName, release: ReleaseId) {
    let wave = |share| Wave { share: BasisPoints::new(share), over: Span::NONE, bake: Span::from_secs(3_600) };
    let ring = |name: &str| RingPlan {
        ring: name.parse().unwrap(),
        waves: vec![wave(5_000), wave(10_000)],
        gate: None,
        promote: Promote::Automatic,
    };
    let plan = Plan { rings: vec![ring("early"), ring("late")], ..Plan::default() };
    let (rollout, salt, reason) = (RolloutKind::Release, release.to_string(), None);
    push(snapshot, now, Event::RolloutPlanned { product: product.clone(), release, rollout, plan, salt, reason });
    let rollout = snapshot.seq();
    for change in [
        RolloutChange::Started,
        RolloutChange::WaveOpened {
            ring: "early".parse().unwrap(),
            wave: 0,
            devices: 1_000,
            rated: Default::default(),
        },
    ] {
        push(snapshot, now, Event::RolloutChanged { product: product.clone(), rollout, change });
    }
}

fn benches(criterion: &mut Criterion) {
    let (snapshot, product, now) = world();
    let ids: Vec<DeviceId> = (0..1_024).map(|n| format!("site{}-pc-{n}", n % 600).parse().unwrap()).collect();
    let current = Some("1.990".parse().unwrap());
    let who = |id| Requester {
        device: Some(id),
        address: "10.9.9.9".parse().ok(),
        platform: None,
        current: Clone::clone(&current),
    };
    let early = who(&ids[1]);
    // Taken by the last of the groups, and all 50 rollouts to pass on the way.
    let unknown: DeviceId = "nowhere-pc-5-of-the-longer-names".parse().unwrap();
    let last = who(&unknown);
    for (name, who) in [("first group", &early), ("last group", &last)] {
        let group = group_of(&snapshot, who, now).unwrap();
        criterion.bench_function(&format!("decide_in_group/{name}"), |bench| {
            bench.iter(|| decide_in_group(&snapshot, group, black_box(who), &product, now));
        });
        criterion.bench_function(&format!("group_of/{name}"), |bench| {
            bench.iter(|| group_of(&snapshot, black_box(who), now));
        });
        criterion.bench_function(&format!("decide_quiet/{name}"), |bench| {
            bench.iter(|| decide_quiet(&snapshot, black_box(who), &product, now));
        });
    }
    criterion.bench_function("decide with trace/last group", |bench| {
        bench.iter(|| decide(&snapshot, black_box(&last), &product, now));
    });
    let mut next = 0;
    criterion.bench_function("decide_quiet/1,024 devices in turn", |bench| {
        bench.iter(|| {
            next = (next + 1) % ids.len();
            decide_quiet(&snapshot, &who(&ids[next]), &product, now)
        });
    });
    let releases = snapshot.product(&product).unwrap();
    let grace = SignedDuration::from_hours(24);
    for (name, sequence) in [("decided now", RELEASES), ("decided an hour ago", RELEASES - 2), ("never", 1)] {
        let release = releases.by_sequence(sequence).unwrap();
        criterion.bench_function(&format!("may_download/{name}"), |bench| {
            bench.iter(|| may_download(&snapshot, black_box(&early), &product, release, now, grace));
        });
    }
    let proposed = Policy::parse(&policy("0h")).unwrap();
    let mut group = criterion.benchmark_group("plan_change");
    group
        .sample_size(10)
        .bench_function("100,000 devices", |bench| bench.iter(|| plan_change(&snapshot, &proposed, now)));
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
