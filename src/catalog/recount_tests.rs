//! Votes are the same before and after a start.

use jiff::SignedDuration;

use super::offers_tests::{offer, publish, report, staged, total};
use super::testing::{World, commit, parse, release_added};
use super::{Catalog, counted_rollouts};
use crate::model::{Event, ReportEvent, RingTally, RolloutChange, RolloutId};

async fn change(catalog: &std::sync::Arc<Catalog>, rollout: RolloutId, change: RolloutChange) {
    commit(catalog, vec![Event::RolloutChanged { product: parse("p"), rollout, change }]).await;
}

fn tallies(catalog: &Catalog) -> Vec<RingTally> {
    catalog.ring_tallies(catalog.now())
}

#[tokio::test]
async fn a_device_that_went_on_to_a_rollout_that_has_ended_does_not_come_back_by_a_restart() {
    let world = World::new();
    let catalog = world.catalog();
    let first = staged(&catalog).await;
    offer(&catalog, "canary-1", "1.0", "canary");
    offer(&catalog, "canary-2", "1.0", "canary");
    let second = publish(&catalog, "2.0").await;
    offer(&catalog, "canary-2", "2.0", "canary");
    offer(&catalog, "canary-3", "2.0", "canary");
    change(&catalog, second, RolloutChange::Ended { reason: parse("enough") }).await;
    let before = (total(&catalog, first), tallies(&catalog));
    assert_eq!((before.0.offered, before.0.pending, before.1.len()), (2, 1, 1));
    drop(catalog);
    let catalog = world.catalog();
    assert_eq!((total(&catalog, first), tallies(&catalog)), before);
    // Nor do those who never had a vote there.
    offer(&catalog, "canary-2", "1.0", "canary");
    offer(&catalog, "canary-3", "1.0", "canary");
    assert_eq!(total(&catalog, first), before.0);
}

#[tokio::test]
async fn a_gate_compares_with_a_rollout_that_no_start_since_had_a_reason_to_count() {
    let world = World::new();
    let catalog = world.catalog();
    let first = staged(&catalog).await;
    offer(&catalog, "canary-1", "1.0", "canary");
    catalog.record_reports(vec![report(&world, "canary-1", "r", "1.0", ReportEvent::Failed)]).await.unwrap();
    change(&catalog, first, RolloutChange::Completed).await;
    world.clock.advance(SignedDuration::from_hours(24 * 365));
    let product = |catalog: &Catalog| catalog.snapshot().product(&parse("p")).cloned().unwrap();
    assert!(counted_rollouts(&product(&catalog), catalog.now()).is_empty());
    let before = total(&catalog, first);
    assert_eq!(before.failed, 1);
    drop(catalog);
    let (catalog, recovery) = world.open();
    assert_eq!(recovery.recounted, 0);
    // The second one after it, so that the first is only compared with.
    let second = publish(&catalog, "2.0").await;
    assert_eq!(total(&catalog, first), before);
    offer(&catalog, "canary-1", "2.0", "canary");
    let before = (total(&catalog, first), total(&catalog, second), tallies(&catalog));
    drop(catalog);
    let catalog = world.catalog();
    assert_eq!((total(&catalog, first), total(&catalog, second), tallies(&catalog)), before);
}

#[tokio::test]
async fn what_another_place_says_takes_the_place_of_all_that_it_said() {
    let world = World::new();
    let catalog = world.catalog();
    let first = staged(&catalog).await;
    let tally = |ring: &str, offered: u64| RingTally {
        product: parse("p"),
        rollout: first,
        ring: parse(ring),
        offered,
        fetched: 0,
        installed: 0,
        healthy: 0,
        failed: 0,
        rolled_back: 0,
        pending: offered,
        silent: 0,
    };
    catalog.set_elsewhere("mirror 1", &[tally("canary", 3), tally("broad", 4)]);
    catalog.set_elsewhere("mirror 2", &[tally("broad", 10)]);
    assert_eq!(total(&catalog, first).offered, 17);
    catalog.set_elsewhere("mirror 1", &[tally("canary", 5)]);
    assert_eq!(total(&catalog, first).offered, 15);
    catalog.set_elsewhere("mirror 1", &[]);
    assert_eq!(tallies(&catalog), [tally("broad", 10)]);
}

#[tokio::test]
async fn an_index_that_is_written_anew_still_knows_where_lines_begin() {
    let world = World::new();
    let catalog = world.catalog();
    let first = staged(&catalog).await;
    catalog.rebuild_index().unwrap();
    let lines: Vec<_> = (0..20).map(|n| report(&world, &format!("d-{n}"), "r", "1.0", ReportEvent::Healthy)).collect();
    offer(&catalog, "canary-1", "1.0", "canary");
    catalog.record_reports(lines).await.unwrap();
    let second = publish(&catalog, "2.0").await;
    change(&catalog, first, RolloutChange::Ended { reason: parse("enough") }).await;
    offer(&catalog, "canary-1", "2.0", "canary");
    catalog.record_reports(vec![report(&world, "canary-1", "r", "2.0", ReportEvent::Healthy)]).await.unwrap();
    catalog.rebuild_index().unwrap();
    let before = total(&catalog, second);
    assert_eq!((before.offered, before.healthy), (1, 1));
    drop(catalog);
    let (catalog, recovery) = world.open();
    assert_eq!((total(&catalog, second), recovery.recounted), (before, 2));
    // A rollout of which there is no line at all.
    let added = release_added(&catalog, "p", "2.5", &[b"2.5"]).await;
    commit(&catalog, vec![added]).await;
    let third = publish(&catalog, "3.0").await;
    assert_eq!(total(&catalog, third).offered, 0);
}
