//! Offers and votes: counted once each, over restarts and lost indexes.

use jiff::SignedDuration;

use super::testing::{World, actor, commit, parse, product_added, release_added};
use super::{Catalog, CensusKey};
use crate::model::{Device, Event, Report, ReportEvent, RolloutId};
use crate::policy::health::Counts;
use crate::policy::rollout::Publication;
use crate::sys::clock::Clock as _;

/// Canaries first, then everyone else.
pub(crate) const STAGED: &str = r#"
[approve]
intelligence = "auto"
platform = "other"
[[ring]]
name = "canary"
[[ring]]
name = "broad"
[[group]]
name = "canaries"
match = { id = "canary-*" }
ring = "canary"
[[group]]
name = "everyone"
match = "any"
ring = "broad"
[plan.intelligence]
canary = { waves = ["100% bake 0s"], gate = { samples = 3, failures = "10%", silence = "50%", within = "1h" } }
broad = { waves = ["100% bake 1s"], gate = "canary" }
"#;

pub(super) async fn staged(catalog: &std::sync::Arc<Catalog>) -> RolloutId {
    crate::control::apply_policy(catalog, &actor("ada"), STAGED.into(), None).await.unwrap();
    let device = Device {
        id: parse("canary-1"),
        platform: None,
        tags: [parse("kiosk")].into(),
        attributes: [(parse("model"), "X1".to_owned())].into(),
    };
    commit(catalog, vec![product_added("p"), Event::DevicesImported { devices: vec![device] }]).await;
    publish(catalog, "1.0").await
}

pub(super) async fn publish(catalog: &std::sync::Arc<Catalog>, version: &str) -> RolloutId {
    let added = release_added(catalog, "p", version, &[version.as_bytes()]).await;
    let Event::ReleaseAdded { release, .. } = added else { panic!("{added:?}") };
    let committed = catalog
        .commit(&actor("ada"), |snapshot, now| {
            let product = snapshot.product(&parse("p")).unwrap();
            let mut events = vec![added, Event::ReleaseApproved { product: parse("p"), release }];
            events.extend(Publication { snapshot, product, release, before: events.len(), now }.events());
            Ok::<_, std::convert::Infallible>(events)
        })
        .await
        .unwrap();
    let product = committed.snapshot.product(&parse("p")).unwrap();
    let rollout = product.rollouts().last().unwrap();
    assert_eq!(rollout.release, release);
    rollout.id
}

pub(super) fn offer(catalog: &Catalog, device: &str, version: &str, ring: &str) {
    let (snapshot, now) = (catalog.snapshot(), catalog.now());
    let release = snapshot.product(&parse("p")).unwrap().by_version(&parse(version)).unwrap();
    catalog.note_offer(&snapshot, &parse(device), release, &parse(ring), now);
}

pub(super) fn report(world: &World, device: &str, id: &str, version: &str, event: ReportEvent) -> Report {
    let (id, device, product, version) = (parse(id), parse(device), parse("p"), parse(version));
    let received_at = world.clock.now();
    Report { id, device, product, version, event, received_at, at: None, code: None, metrics: Default::default() }
}

pub(super) fn total(catalog: &Catalog, rollout: RolloutId) -> Counts {
    catalog.with_health(&parse("p"), |health| health.total(rollout, catalog.now()))
}

fn lines(world: &World) -> usize {
    let files = std::fs::read_dir(&world.options.reports_dir).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap().lines().count()).sum()
}

#[tokio::test]
async fn offers_and_reports_count_once_and_a_restart_counts_them_again() {
    let world = World::new();
    let catalog = world.catalog();
    let first = staged(&catalog).await;
    for device in ["canary-1", "canary-2", "canary-1", "canary-3"] {
        offer(&catalog, device, "1.0", "canary");
    }
    let reports = |id: &str, device: &str, event| vec![report(&world, device, id, "1.0", event)];
    for (id, device, event) in [
        ("r1", "canary-1", ReportEvent::Healthy),
        ("r1", "canary-1", ReportEvent::Failed),
        ("r2", "canary-2", ReportEvent::Healthy),
        ("r3", "canary-2", ReportEvent::Failed),
        ("r4", "stranger", ReportEvent::Failed),
    ] {
        catalog.record_reports(reports(id, device, event)).await.unwrap();
    }
    let counted = total(&catalog, first);
    assert_eq!((counted.offered, counted.healthy, counted.failed, counted.pending), (3, 1, 1, 1));
    assert!(catalog.was_offered(&parse("canary-1"), &parse("p"), 1));
    assert!(!catalog.was_offered(&parse("stranger"), &parse("p"), 1));
    // A newer one: a device votes on what it was offered last.
    let second = publish(&catalog, "2.0").await;
    offer(&catalog, "canary-3", "2.0", "canary");
    world.clock.advance(SignedDuration::from_hours(2));
    let before = (total(&catalog, first), total(&catalog, second));
    assert_eq!((before.0.pending, before.1.offered, before.1.silent), (0, 1, 1));
    drop(catalog);
    assert_eq!(lines(&world), 4 + 4);
    for is_index_lost in [false, true] {
        if is_index_lost {
            std::fs::remove_dir_all(&world.options.index_dir).unwrap();
        }
        let (catalog, recovery) = world.open();
        assert_eq!((total(&catalog, first), total(&catalog, second)), before, "index lost: {is_index_lost}");
        assert_eq!(recovery.recounted, 8);
        assert!(catalog.was_offered(&parse("canary-3"), &parse("p"), 2));
        // The offers are no reports: their devices said nothing of themselves.
        assert_eq!(catalog.device_status(&parse("canary-3"), &parse("p")).unwrap(), None);
    }
}

#[tokio::test]
async fn only_lines_since_the_oldest_rollout_that_matters_are_read_again() {
    let world = World::new();
    let catalog = world.catalog();
    commit(&catalog, vec![product_added("other")]).await;
    let old: Vec<_> = (0..50)
        .map(|n| Report {
            product: parse("other"),
            ..report(&world, "d", &format!("r{n}"), "1.0", ReportEvent::Healthy)
        })
        .collect();
    catalog.record_reports(old).await.unwrap();
    staged(&catalog).await;
    offer(&catalog, "canary-1", "1.0", "canary");
    catalog.record_reports(vec![report(&world, "canary-1", "r", "1.0", ReportEvent::Healthy)]).await.unwrap();
    drop(catalog);
    assert_eq!(world.open().1.recounted, 2);
    std::fs::remove_dir_all(&world.options.index_dir).unwrap();
    assert_eq!(world.open().1.recounted, 2, "the lines themselves tell where those on a rollout begin");
}

#[tokio::test]
async fn what_no_gate_asks_about_is_not_counted() {
    let world = World::new();
    let catalog = world.catalog();
    let rollout = staged(&catalog).await;
    offer(&catalog, "canary-1", "1.0", "elsewhere");
    assert_eq!(total(&catalog, rollout), Counts::default());
    let (product, reason) = (parse("p"), parse("enough"));
    let change = crate::model::RolloutChange::Ended { reason };
    commit(&catalog, vec![Event::RolloutChanged { product, rollout, change }]).await;
    offer(&catalog, "canary-1", "1.0", "canary");
    assert_eq!(total(&catalog, rollout), Counts::default());
    drop(catalog);
    assert_eq!(lines(&world), 0);
}

#[tokio::test]
async fn a_census_is_counted_again_after_a_change_only() {
    let world = World::new();
    let catalog = world.catalog();
    staged(&catalog).await;
    let count = || {
        let (snapshot, now) = (catalog.snapshot(), catalog.now());
        let policy = snapshot.policy_at(now).unwrap().policy().unwrap();
        (catalog.census(&snapshot, policy, now), CensusKey::of(&snapshot, now))
    };
    let first = count();
    assert_eq!(first.0.in_group(&parse("canaries")), 1);
    commit(&catalog, vec![product_added("q")]).await;
    assert!(std::sync::Arc::ptr_eq(&first.0, &count().0));
    commit(&catalog, vec![Event::DevicesRemoved { devices: vec![parse("canary-1")] }]).await;
    let second = count();
    assert_ne!(first.1, second.1);
    assert_eq!(second.0.in_group(&parse("canaries")), 0);
}

/// How many reports a second are acknowledged durable: 64 devices at once, in batches of 1 to 10.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it by name, with --nocapture"]
async fn measure_reports_a_second() {
    let world = World::new();
    let catalog = world.catalog();
    staged(&catalog).await;
    let begun = std::time::Instant::now();
    let mut tasks = Vec::new();
    for task in 0..64 {
        let device = format!("canary-{task}");
        offer(&catalog, &device, "1.0", "canary");
        let (catalog, template) = (catalog.clone(), report(&world, &device, "r", "1.0", ReportEvent::Healthy));
        tasks.push(tokio::spawn(async move {
            let mut sent = 0;
            let mut batch = 0;
            while sent < 1_000 {
                batch = batch % 10 + 1;
                let one = |n: usize| Report { id: parse(&format!("r{}", sent + n)), ..template.clone() };
                catalog.record_reports((0..batch).map(one).collect()).await.unwrap();
                sent += batch;
            }
            sent
        }));
    }
    let mut sent = 0;
    for task in tasks {
        sent += task.await.unwrap();
    }
    let rate = sent as f64 / begun.elapsed().as_secs_f64();
    println!("{sent} reports, {rate:.0} a second acknowledged durable");
}

/// What a million offered devices cost, and how fast a start counts them again.
#[tokio::test]
#[ignore = "a measurement: run it by name, with --nocapture"]
async fn measure_a_million_devices() {
    let mut world = World::new();
    world.options.reports.segment_max_bytes = 64 << 20;
    let catalog = world.catalog();
    let rollout = staged(&catalog).await;
    let before = resident_bytes();
    let begun = std::time::Instant::now();
    for n in 0..1_000_000 {
        offer(&catalog, &format!("canary-{n}"), "1.0", "canary");
        if n % 10_000 == 0 {
            // No faster than a disk takes them.
            catalog
                .record_reports(vec![report(&world, "canary-0", &format!("r{n}"), "1.0", ReportEvent::Healthy)])
                .await
                .unwrap();
        }
    }
    let ns = begun.elapsed().as_nanos() / 1_000_000;
    let grown = (resident_bytes() - before) >> 20;
    assert_eq!(total(&catalog, rollout).offered, 1_000_000);
    println!("1,000,000 first offers: {ns} ns each, {grown} MiB more resident");
    let begun = std::time::Instant::now();
    for n in 0..1_000_000 {
        offer(&catalog, &format!("canary-{n}"), "1.0", "canary");
    }
    println!("offered again: {} ns each", begun.elapsed().as_nanos() / 1_000_000);
    drop(catalog);
    let (catalog, recovery) = world.open();
    assert_eq!(total(&catalog, rollout).offered, 1_000_000);
    println!("opened in {:?}, {} lines counted again", recovery.took, recovery.recounted);
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
