//! What is filled, in which order, when, and how fast.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::catalog::Catalog;
use crate::catalog::testing::{POLICY, World, commit, parse, product_added};
use crate::mirror::pull::tests::source::{TestSource, Turn, body};
use crate::mirror::{PullOptions, Pulls, Urgency};
use crate::model::testing::TestJournal;
use crate::model::{
    ApprovalRule, Artifact, Blake3Digest, Class, Event, HoldScope, ObjectRef, Platform, ReleaseManifest, ShareFile,
};
use crate::store::BlobStore as _;
use crate::sys::clock::SystemClock;

fn start() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

fn blob(product: &str, version: &str, platform: &str) -> Blake3Digest {
    Blake3Digest::of(format!("{product} {version} {platform}").as_bytes())
}

#[test]
fn critical_products_come_first_then_the_newest() {
    let mut journal = TestJournal::new(start());
    journal.policy(POLICY).product("av", Class::Intelligence).product("ids", Class::Intelligence);
    journal.product("agent", Class::Platform);
    for (product, version) in [("ids", "1"), ("agent", "1"), ("av", "1"), ("agent", "2"), ("ids", "2"), ("av", "2")] {
        journal.advance(60).release(product, version, &["windows-x64"], false);
    }
    journal.advance(60);
    let order = |critical: &[&str]| -> Vec<Blake3Digest> {
        let critical: Vec<_> = critical.iter().map(|name| parse(name)).collect();
        desired(journal.snapshot(), &critical, journal.now()).into_iter().map(|object| object.blake3).collect()
    };
    let of = |products: [&str; 3]| products.map(|product| blob(product, "2", "windows-x64")).to_vec();
    assert_eq!(order(&[]), of(["av", "ids", "agent"]));
    assert_eq!(order(&["agent"]), of(["agent", "av", "ids"]));
    assert_eq!(order(&["ids", "agent"]), of(["ids", "agent", "av"]));
}

#[test]
fn what_some_group_may_get_is_wanted_and_what_nobody_may_is_not() {
    let mut journal = TestJournal::new(start());
    journal.policy(POLICY).product("av", Class::Intelligence);
    journal.release("av", "1", &["windows-x64"], true);
    for version in ["2", "3", "4"] {
        journal.advance(60).release("av", version, &["windows-x64", "linux-x64"], false);
    }
    journal.draft("av", "5", &["windows-x64"], false);
    journal.push(Event::HoldAdded {
        product: parse("av"),
        version: Some(parse("4")),
        scope: HoldScope::Group(parse("all")),
        reason: parse("bad"),
        expires_at: None,
    });
    journal.push(Event::ShareSwitched {
        share: parse("files"),
        at: journal.now(),
        layout: parse("plain"),
        shows: Vec::new(),
        put: vec![ShareFile {
            path: parse("derived.bin"),
            size: 7,
            blake3: Blake3Digest::of(b"derived"),
            sha256: crate::model::Sha256Digest::of(b"derived"),
            media_type: "application/octet-stream".into(),
            product: parse("av"),
            sequence: 3,
            set: "all".into(),
            last: false,
        }],
        removed: Vec::new(),
        forgotten: Vec::new(),
    });
    journal.advance(60);
    let wanted = desired(journal.snapshot(), &[], journal.now());
    let wanted: Vec<_> = wanted.into_iter().map(|object| object.blake3).collect();
    let both = |version| ["windows-x64", "linux-x64"].map(|platform| blob("av", version, platform));
    let mut expected = [both("4"), both("3")].concat();
    // A share's own bytes count as new as the release that they were made of; a barrier leads up to the rest.
    expected.extend([Blake3Digest::of(b"derived"), blob("av", "1", "windows-x64")]);
    assert_eq!(wanted, expected);
    let named = |blob| object_of(journal.snapshot(), &blob).map(|object| object.size);
    assert_eq!((named(Blake3Digest::of(b"derived")), named(Blake3Digest::of(b"nowhere"))), (Some(7), None));
    assert_eq!(named(blob("av", "2", "linux-x64")), Some(14));
}

/// A catalog that names blobs, and a source that has them.
struct Site {
    world: World,
    catalog: Arc<Catalog>,
    source: Arc<TestSource>,
    filler: Arc<Filler>,
    stop: CancellationToken,
}

async fn site(products: &[(&str, usize)], pull: PullOptions, fill: FillOptions) -> (Site, Vec<ObjectRef>) {
    let world = World::new();
    let catalog = world.catalog();
    let mut source = TestSource::default();
    let policy = Event::PolicyApplied { digest: Blake3Digest::of(POLICY.as_bytes()), text: POLICY.into() };
    commit(&catalog, vec![policy]).await;
    let mut objects = Vec::new();
    for (product, size) in products {
        let object = source.add(body(*size as u64, *size));
        let artifact = Artifact {
            target: parse("file"),
            platform: Platform::any(),
            size: object.size,
            blake3: object.blake3,
            sha256: object.sha256,
            media_type: "application/octet-stream".into(),
        };
        let manifest =
            ReleaseManifest { product: parse(product), version: parse("1"), barrier: false, artifacts: vec![artifact] };
        let (product, release) = (manifest.product.clone(), manifest.id());
        let added = Event::ReleaseAdded { release, sequence: 1, manifest, approval: ApprovalRule::Auto };
        commit(&catalog, vec![product_added(product.as_str()), added, Event::ReleasePublished { product, release }])
            .await;
        objects.push(object);
    }
    let (source, stop) = (Arc::new(source), CancellationToken::new());
    let places = (catalog.store().clone(), world.dir.path().join("partial"));
    let pulls = Pulls::new(source.clone(), places, pull, Arc::new(SystemClock), stop.clone());
    let filler = Arc::new(Filler::new(catalog.clone(), pulls, fill));
    let (running, until) = (filler.clone(), stop.clone());
    tokio::spawn(async move { running.run(until).await });
    (Site { world, catalog, source, filler, stop }, objects)
}

impl Site {
    /// Waits, at most an hour of its own time, until filling is in this state.
    async fn reaches(&self, state: FillState) -> FillStanding {
        let begun = Instant::now();
        while self.filler.standing().state != state {
            assert!(begun.elapsed() < Duration::from_secs(3_600), "{:?}", self.filler.standing());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.filler.standing()
    }
}

#[tokio::test(start_paused = true)]
async fn everything_comes_in_and_what_goes_missing_comes_again() {
    let fill = FillOptions { parallel_blobs: 2, ..FillOptions::default() };
    let (site, objects) = site(&[("a", 3 << 20), ("b", 500), ("c", 0)], PullOptions::default(), fill).await;
    let standing = site.reaches(FillState::Complete).await;
    assert_eq!((standing.desired_blobs, standing.missing_blobs, standing.missing_bytes), (3, 0, 0));
    assert_eq!((standing.desired_bytes, standing.received_bytes), ((3 << 20) + 500, (3 << 20) + 500));
    // As after a scrub.
    let path = site.catalog.store().path(&objects[1].blake3);
    std::fs::remove_file(&path).unwrap();
    tokio::time::sleep(Duration::from_secs(65)).await;
    site.reaches(FillState::Complete).await;
    assert_eq!(site.catalog.store().size(&objects[1].blake3).unwrap(), Some(500));
    site.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_away_is_waited_for() {
    let (site, _) = site(&[("a", 5_000), ("b", 500)], PullOptions::default(), FillOptions::default()).await;
    *site.source.always.lock().unwrap() = Some(Turn::Away);
    let standing = site.reaches(FillState::Failing).await;
    assert_eq!(standing.missing_blobs, 2);
    tokio::time::sleep(Duration::from_secs(600)).await;
    // A few attempts every 10 s, not as many as fit.
    let attempts = site.source.ranges.lock().unwrap().len();
    assert!(attempts < 500, "{attempts} attempts in 10 minutes");
    assert!(site.filler.standing().last_error.unwrap().contains("connection refused"));
    *site.source.always.lock().unwrap() = None;
    let standing = site.reaches(FillState::Complete).await;
    assert_eq!(standing.last_error, None);
}

#[tokio::test(start_paused = true)]
async fn filling_keeps_to_its_windows_and_devices_do_not() {
    let windows = "Mon-Fri 19:00-07:00 Europe/Berlin".parse().unwrap();
    let fill = FillOptions { windows: Some(windows), ..FillOptions::default() };
    // Tuesday, 2023-11-14 22:13:20 UTC at the start; a day later at noon it is closed.
    let (site, objects) = site(&[("a", 5_000), ("b", 2_000)], PullOptions::default(), fill).await;
    site.reaches(FillState::Complete).await;
    site.world.clock.set("2023-11-15T12:00:00Z".parse().unwrap());
    for object in &objects {
        std::fs::remove_file(site.catalog.store().path(&object.blake3)).unwrap();
    }
    let standing = site.reaches(FillState::Waiting).await;
    assert_eq!(standing.opens_at, Some("2023-11-15T18:00:00Z".parse().unwrap()));
    let sent = site.source.sent.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(site.source.sent.load(Ordering::Relaxed), sent);
    let asked = site.filler.pulls().pull(objects[0], Urgency::OnDemand).unwrap();
    asked.complete().await.unwrap();
    assert!(site.source.sent.load(Ordering::Relaxed) == sent + 5_000);
    site.world.clock.set("2023-11-15T18:00:01Z".parse().unwrap());
    site.reaches(FillState::Complete).await;
}

#[tokio::test(start_paused = true)]
async fn the_bandwidth_is_kept_within_a_tenth() {
    const MIB: usize = 1 << 20;
    let pull = PullOptions { bytes_per_second: Some(MIB as u64), ..PullOptions::default() };
    let fill = FillOptions { parallel_blobs: 4, ..FillOptions::default() };
    let begun = Instant::now();
    let (site, _) = site(&[("a", 20 * MIB), ("b", 10 * MIB), ("c", 5 * MIB)], pull, fill).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let standing = site.filler.standing();
    assert_eq!(standing.state, FillState::Filling);
    let rate = standing.bytes_per_second as f64 / MIB as f64;
    assert!((0.8..=1.1).contains(&rate), "the rate shown is {rate} MiB/s after 20 s");
    assert!(standing.complete_at.is_some() && standing.missing_bytes < 20 << 20, "{standing:?}");
    site.reaches(FillState::Complete).await;
    let took = begun.elapsed().as_secs_f64();
    assert!((31.5..=38.5).contains(&took), "35 MiB at 1 MiB/s took {took} s");
}
