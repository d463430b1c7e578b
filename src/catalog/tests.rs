//! Commits: order, durability, refusals, time; and that what is reopened is what was there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::testing::{World, actor, commit, product_added};
use super::{Catalog, CommitError, ReadOnly};
use crate::model::testing::{changes, dump};
use crate::model::{Class, Event, Snapshot};

fn devices_removed() -> Event {
    Event::DevicesRemoved { devices: vec![super::testing::parse("d")] }
}

/// The snapshot that the journal's records make, one after the other.
fn folded(world: &World) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for record in crate::journal::read(&world.options.journal_dir, 0, usize::MAX).unwrap() {
        snapshot.apply(&record).unwrap();
    }
    snapshot
}

#[tokio::test]
async fn a_commit_returns_what_is_durable_and_visible() {
    let world = World::new();
    let catalog = world.catalog();
    let committed = commit(&catalog, vec![product_added("p"), product_added("q")]).await;
    assert_eq!(committed.records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(committed.snapshot.seq(), 2);
    assert_eq!(catalog.snapshot().seq(), 2);
    assert_eq!(catalog.head(), (2, committed.records[1].hash));
    assert_eq!(catalog.snapshot().head(), committed.records[1].hash);
    assert_eq!(dump(&folded(&world)), dump(&catalog.snapshot()));
}

#[tokio::test]
async fn a_change_is_invisible_before_its_fsync() {
    let world = World::new();
    let catalog = world.catalog();
    let watched = catalog.clone();
    let watcher = std::thread::spawn(move || {
        let mut seen = 0;
        while seen < 200 {
            seen = watched.snapshot().seq();
            let (durable, _) = watched.head();
            assert!(seen <= durable, "event {seen} is seen and {durable} is durable");
        }
    });
    for _ in 0..200 {
        commit(&catalog, vec![devices_removed()]).await;
    }
    watcher.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_commits_get_one_order_without_gaps() {
    let world = World::new();
    let catalog = world.catalog();
    let tasks = (0..100).map(|number| {
        let catalog = catalog.clone();
        tokio::spawn(async move {
            let build = |snapshot: &Snapshot, _: Timestamp| {
                // What is seen inside is what the seq will say.
                Ok::<_, std::convert::Infallible>(vec![Event::ProductAdded {
                    product: super::testing::parse(&format!("p-{number}-{}", snapshot.seq())),
                    class: Class::Platform,
                }])
            };
            let committed = catalog.commit(&actor("tester"), build).await.unwrap();
            let record = committed.records[0].clone();
            assert!(committed.snapshot.seq() >= record.seq, "a commit returns before it is visible");
            let Event::ProductAdded { product, .. } = &record.event else { panic!("{record:?}") };
            assert_eq!(product.as_str(), format!("p-{number}-{}", record.seq - 1));
            record.seq
        })
    });
    let mut seqs = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        seqs.push(task.await.unwrap());
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=100).collect::<Vec<u64>>());
    let before = dump(&catalog.snapshot());
    assert_eq!(dump(&folded(&world)), before);
    drop(catalog);
    assert_eq!(dump(&world.catalog().snapshot()), before);
}

#[tokio::test]
async fn a_refusal_and_a_contradiction_write_nothing() {
    let world = World::new();
    let catalog = world.catalog();
    commit(&catalog, vec![product_added("p")]).await;
    let before = std::fs::read(world.options.journal_dir.join("00000001.jsonl")).unwrap();
    let refused = catalog.commit(&actor("a"), |_, _| Err::<Vec<Event>, _>("no")).await;
    assert!(matches!(refused, Err(CommitError::Refused("no"))), "{refused:?}");
    // The first event fits, the second does not: neither is written.
    let events = vec![product_added("q"), product_added("p")];
    let contradiction = catalog.commit(&actor("a"), |_, _| Ok::<_, &str>(events)).await;
    assert!(matches!(&contradiction, Err(CommitError::Contradiction(error)) if error.seq == 3), "{contradiction:?}");
    let nothing = catalog.commit(&actor("a"), |_, _| Ok::<_, &str>(Vec::new())).await.unwrap();
    assert!(nothing.records.is_empty() && nothing.snapshot.seq() == 1);
    assert_eq!(std::fs::read(world.options.journal_dir.join("00000001.jsonl")).unwrap(), before);
    // And what comes next takes the place right behind.
    assert_eq!(commit(&catalog, vec![product_added("q")]).await.records[0].seq, 2);
}

#[tokio::test]
async fn a_panic_in_a_use_case_harms_no_other() {
    let world = World::new();
    let catalog = world.catalog();
    let panicking = catalog.clone();
    let task = tokio::spawn(async move {
        let build = |_: &Snapshot, _: Timestamp| -> Result<Vec<Event>, &str> { panic!("a bug") };
        panicking.commit(&actor("a"), build).await.map(drop).unwrap();
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(commit(&catalog, vec![product_added("p")]).await.records[0].seq, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_commit_becomes_visible_all_the_same() {
    let world = World::new();
    let catalog = world.catalog();
    for number in 1..=20 {
        let mut abandoned = Box::pin(commit(&catalog, vec![devices_removed()]));
        // Polled once, so that it is queued; then its caller goes away.
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(abandoned.as_mut().poll(context))).await;
        drop(abandoned);
        assert!(polled.is_pending() || catalog.snapshot().seq() >= number);
        let deadline = Instant::now() + Duration::from_secs(60);
        while catalog.snapshot().seq() < number {
            assert!(Instant::now() < deadline, "event {number} never became visible");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn time_never_goes_back_when_the_clock_does() {
    let world = World::new();
    let catalog = world.catalog();
    world.clock.advance(SignedDuration::from_micros(1_500));
    let first = commit(&catalog, vec![devices_removed()]).await.records[0].clone();
    assert_eq!(first.time.as_microsecond() % 1_000, 0, "event times have whole milliseconds");
    world.clock.advance(SignedDuration::from_hours(-5));
    let build = |_: &Snapshot, now: Timestamp| {
        assert_eq!(now, first.time, "a use case sees the time its event will have");
        Ok::<_, &str>(vec![devices_removed()])
    };
    let second = catalog.commit(&actor("a"), build).await.unwrap().records[0].clone();
    assert_eq!(second.time, first.time);
    assert_eq!(catalog.now(), first.time, "decisions, too, are made at the newest event's time");
    assert!(catalog.clock_now() < catalog.now());
    drop(catalog);
    let catalog = world.catalog();
    assert_eq!(catalog.now(), first.time);
    assert_eq!(commit(&catalog, vec![devices_removed()]).await.records[0].time, first.time);
}

async fn play(catalog: &Arc<Catalog>, world: &World, changes: &[crate::model::testing::Change]) {
    for (index, change) in changes.iter().enumerate() {
        world.clock.advance(SignedDuration::from_secs(index as i64 % 3 * 70 - 20));
        let build = |snapshot: &Snapshot, now: Timestamp| Ok::<_, &str>(change.events(snapshot, now));
        match catalog.commit(&actor("tester"), build).await {
            // What an origin decides comes to an offline site by bundles only.
            Err(CommitError::ReadOnly(ReadOnly::Site { .. })) => assert!(catalog.snapshot().applied_bundle().is_some()),
            committed => drop(committed.unwrap()),
        }
    }
}

#[tokio::test]
async fn a_follower_takes_lines_that_continue_its_journal_and_nothing_else() {
    let (origin_world, mirror_world) = (World::new(), World::new());
    let origin = origin_world.catalog();
    for _ in 0..3 {
        commit(&origin, vec![devices_removed()]).await;
    }
    let segment = std::fs::read_dir(&origin_world.options.journal_dir).unwrap().next().unwrap().unwrap().path();
    let journal = std::fs::read(segment).unwrap();
    let lines: Vec<Bytes> =
        journal.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(Bytes::copy_from_slice).collect();
    assert_eq!(lines.len(), 3);
    let mirror = mirror_world.catalog();
    mirror.follow_only("https://origin.example");
    mirror.follow(lines[..2].to_vec()).await.unwrap();
    let forged = Bytes::from(String::from_utf8(lines[2].to_vec()).unwrap().replace("tester", "forger"));
    for wrong in [&lines[0], &lines[1], &forged, &Bytes::from_static(b"{}"), &Bytes::from_static(b"a\nb")] {
        let error = mirror.follow(vec![wrong.clone()]).await.unwrap_err();
        assert_eq!(mirror.snapshot().seq(), 2, "{error}");
    }
    mirror.follow(lines[2..].to_vec()).await.unwrap();
    assert_eq!(dump(&mirror.snapshot()), dump(&origin.snapshot()));
    assert_eq!(mirror.head(), origin.head());
    let build = |_: &Snapshot, _: Timestamp| Ok::<_, &str>(vec![devices_removed()]);
    let refused = mirror.commit(&actor("tester"), build).await.unwrap_err();
    assert!(refused.to_string().contains("https://origin.example"), "{refused}");
    drop(mirror);
    // The same bytes stand on both disks.
    let copy = std::fs::read_dir(&mirror_world.options.journal_dir).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read(copy).unwrap(), journal);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn index_rebuild_and_fold_agree(before in changes(40), after in changes(20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut world = World::in_memory();
        let live = runtime.block_on(async {
            let catalog = world.catalog();
            play(&catalog, &world, &before).await;
            drop(catalog);
            // On a reopened one, too: the index goes on from what it loaded.
            let catalog = world.catalog();
            play(&catalog, &world, &after).await;
            dump(&catalog.snapshot())
        });
        prop_assert_eq!(&dump(&folded(&world)), &live);
        let (catalog, recovery) = world.open();
        prop_assert_eq!((recovery.replayed, &recovery.rewritten), (0, &None));
        prop_assert_eq!(&dump(&catalog.snapshot()), &live);
        drop(catalog);
        world.options.is_index_ignored = true;
        let (catalog, recovery) = world.open();
        prop_assert_eq!(recovery.replayed, live["seq"].as_u64().unwrap());
        prop_assert_eq!(&dump(&catalog.snapshot()), &live);
        drop(catalog);
        world.options.is_index_ignored = false;
        let (catalog, recovery) = world.open();
        prop_assert_eq!(recovery.replayed, 0);
        prop_assert_eq!(&dump(&catalog.snapshot()), &live);
    }
}
