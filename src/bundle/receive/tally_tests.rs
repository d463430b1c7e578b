//! What is counted of a site's devices: the same whatever was started again, and wherever a rollout went meanwhile.

use super::*;
use crate::bundle::receipt::testing::Pair;
use crate::catalog::testing::{actor, commit, parse};
use crate::model::{ReportEvent, RolloutChange, RolloutId};

/// Who was offered it, is healthy, failed, and has yet to say so.
type Sums = (u64, u64, u64, u64);

fn sums_of(catalog: &Catalog) -> Vec<(RolloutId, Sums)> {
    let tallies = catalog.ring_tallies(catalog.now());
    let sums = tallies.iter().map(|tally| (tally.rollout, (tally.offered, tally.healthy, tally.failed, tally.pending)));
    sums.collect()
}

fn rollout_of(pair: &Pair, version: &str) -> RolloutId {
    let snapshot = pair.origin.catalog.snapshot();
    let product = snapshot.product(&parse("intel")).unwrap();
    let release = product.by_version(&parse(version)).unwrap();
    product.rollouts_of(release.sequence).last().unwrap().id
}

async fn bring(pair: &Pair, without: Option<&str>) {
    let export = pair.export().await;
    pair.import_without(&export, without).await;
}

async fn take(pair: &Pair) -> Told {
    let given = pair.give().await;
    let carried = Carried::whole(given.text, given.signature).unwrap();
    take_receipt(&pair.origin.catalog, &actor("ada"), carried, None).await.unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    None,
    Again,
    WithoutIndex,
}

fn start(pair: Pair, how: Start) -> Pair {
    match how {
        Start::None => pair,
        Start::Again | Start::WithoutIndex => pair.restart_site(how == Start::WithoutIndex),
    }
}

#[tokio::test]
async fn a_rollout_that_comes_back_to_a_site_has_the_votes_that_were_cast() {
    for (gone, back) in [
        (Start::None, Start::None),
        (Start::Again, Start::None),
        (Start::WithoutIndex, Start::Again),
        (Start::None, Start::WithoutIndex),
    ] {
        let when = format!("while it is gone {gone:?}, then {back:?}");
        let mut pair = Pair::new().await;
        pair.publish("1.0").await;
        let first = rollout_of(&pair, "1.0");
        bring(&pair, None).await;
        pair.offer("1.0", 0..5);
        pair.canaries_report("1.0", 0..2, ReportEvent::Healthy).await;
        assert_eq!(sums_of(&pair.site), [(first, (5, 2, 0, 3))], "{when}");
        pair.publish("2.0").await;
        let second = rollout_of(&pair, "2.0");
        bring(&pair, Some("1.0")).await;
        assert_eq!(sums_of(&pair.site), [], "{when}");
        // One went on, another speaks of what is not known here.
        pair.offer("2.0", 3..4);
        pair.site.record_reports(vec![pair.report("1.0", 2, ReportEvent::Failed)]).await.unwrap();
        pair = start(pair, gone);
        assert_eq!(sums_of(&pair.site), [(second, (1, 0, 0, 1))], "{when}");
        bring(&pair, None).await;
        let expected = [(first, (5, 2, 1, 1)), (second, (1, 0, 0, 1))];
        assert_eq!(sums_of(&pair.site), expected, "{when}");
        // Nobody counts twice.
        pair.offer("1.0", 0..5);
        pair.site.record_reports(vec![pair.report("1.0", 2, ReportEvent::Failed)]).await.unwrap();
        assert_eq!(sums_of(&pair.site), expected, "{when}");
        pair = start(pair, back);
        assert_eq!(sums_of(&pair.site), expected, "{when}");
        take(&pair).await;
        assert_eq!(sums_of(&pair.origin.catalog), expected, "{when}");
    }
}

#[tokio::test]
async fn a_device_that_went_on_to_a_rollout_that_is_gone_has_no_vote_in_older_ones() {
    for how in [Start::None, Start::Again] {
        let mut pair = Pair::new().await;
        pair.publish("1.0").await;
        pair.publish("2.0").await;
        let first = rollout_of(&pair, "1.0");
        bring(&pair, None).await;
        pair.offer("1.0", 0..2);
        pair.offer("2.0", 1..3);
        bring(&pair, Some("2.0")).await;
        pair = start(pair, how);
        pair.offer("1.0", 0..4);
        pair.site.record_reports(vec![pair.report("1.0", 1, ReportEvent::Failed)]).await.unwrap();
        assert_eq!(sums_of(&pair.site), [(first, (3, 0, 0, 2))], "{how:?}");
        pair = start(pair, how);
        assert_eq!(sums_of(&pair.site), [(first, (3, 0, 0, 2))], "{how:?}");
    }
}

fn restarted(pair: Pair) -> Arc<Catalog> {
    let crate::publish::testing::Desk { world, catalog, publisher } = pair.origin;
    drop((catalog, publisher));
    let catalog = world.catalog();
    // The directory stays until the end of the test's process.
    std::mem::forget(world);
    catalog
}

#[tokio::test]
async fn what_later_receipts_do_not_mention_stays_counted_while_its_rollout_matters() {
    for ends in [false, true] {
        let pair = Pair::new().await;
        pair.publish("1.0").await;
        let first = rollout_of(&pair, "1.0");
        bring(&pair, None).await;
        pair.canaries_report("1.0", 0..2, ReportEvent::Healthy).await;
        take(&pair).await;
        pair.publish("2.0").await;
        let second = rollout_of(&pair, "2.0");
        bring(&pair, Some("1.0")).await;
        pair.canaries_report("2.0", 1..3, ReportEvent::Failed).await;
        if ends {
            let (product, reason) = (parse("intel"), parse("enough"));
            let change = RolloutChange::Ended { reason };
            commit(&pair.origin.catalog, vec![Event::RolloutChanged { product, rollout: first, change }]).await;
        }
        let mut expected = vec![(first, (2, 2, 0, 0)), (second, (2, 0, 2, 0))];
        expected.drain(..usize::from(ends));
        for _ in 0..2 {
            take(&pair).await;
            assert_eq!(sums_of(&pair.origin.catalog), expected, "ends: {ends}");
        }
        let record = pair.origin.catalog.snapshot().site(&parse("plant-7")).cloned().unwrap();
        let (receipt, _) = record.receipt.as_ref().unwrap();
        assert_eq!(receipt.tallies.len(), expected.len(), "ends: {ends}");
        // The sums themselves, too: also those that no gate asks for.
        let total = |catalog: &Catalog| {
            let of = |rollout| catalog.with_health(&parse("intel"), |health| health.total(rollout, catalog.now()));
            (of(first).offered, of(second).offered)
        };
        assert_eq!(total(&pair.origin.catalog), (if ends { 0 } else { 2 }, 2), "ends: {ends}");
        let before = total(&pair.origin.catalog);
        let origin = restarted(pair);
        assert_eq!(sums_of(&origin), expected, "ends: {ends}");
        assert_eq!(total(&origin), before, "ends: {ends}");
    }
}
