//! The steps that rollouts take by themselves, over a real catalog.

use std::sync::Arc;

use jiff::SignedDuration;

use super::*;
use crate::catalog::Catalog;
use crate::catalog::testing::{STAGED, actor, parse};
use crate::model::{HaltCause, Report, ReportError, ReportEvent, RolloutChange};
use crate::policy::rollout::{RolloutState, standing};
use crate::publish::testing::Desk;

async fn desk() -> Desk {
    let desk = Desk::new().await;
    apply_policy(&desk.catalog, &actor("ada"), STAGED.into(), None).await.unwrap();
    desk
}

/// Offers the version to these canaries, and has each of them report.
async fn canaries(desk: &Desk, version: &str, numbers: std::ops::Range<u32>, event: ReportEvent) {
    devices(desk, "canary", version, numbers, event).await;
}

/// The same with the devices of any ring.
async fn devices(desk: &Desk, ring: &str, version: &str, numbers: std::ops::Range<u32>, event: ReportEvent) {
    let catalog = &desk.catalog;
    for n in numbers {
        let (snapshot, device) = (catalog.snapshot(), parse(&format!("{ring}-{n}")));
        let release = snapshot.product(&parse("intel")).unwrap().by_version(&parse(version)).unwrap();
        catalog.note_offer(&snapshot, &device, release, &parse(ring), catalog.now());
        let report = Report {
            id: parse(&format!("{ring}-{version}-{n}")),
            device,
            product: parse("intel"),
            version: parse(version),
            event,
            received_at: catalog.now(),
            at: None,
            code: None,
            metrics: Default::default(),
        };
        record_reports(catalog, vec![report]).await.unwrap();
    }
}

fn state(catalog: &Arc<Catalog>) -> (RolloutState, Option<String>) {
    let snapshot = catalog.snapshot();
    let product = snapshot.product(&parse("intel")).unwrap();
    let standing = standing(product, product.rollouts().last().unwrap(), catalog.now());
    (standing.state, standing.ring.map(|ring| ring.to_string()))
}

#[tokio::test]
async fn healthy_canaries_open_the_next_ring_and_silence_does_not() {
    let desk = desk().await;
    desk.publish("ada", "intel", "1.0", "one").await.unwrap();
    assert_eq!(state(&desk.catalog), (RolloutState::Scheduled, Some("canary".into())));
    let records = advance_rollouts(&desk.catalog).await.unwrap();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(state(&desk.catalog), (RolloutState::Evaluating, Some("canary".into())));
    desk.world.clock.advance(SignedDuration::from_hours(1));
    assert!(advance_rollouts(&desk.catalog).await.unwrap().is_empty());
    canaries(&desk, "1.0", 0..3, ReportEvent::Healthy).await;
    advance_rollouts(&desk.catalog).await.unwrap();
    assert_eq!(state(&desk.catalog), (RolloutState::Baking, Some("broad".into())));
}

#[tokio::test]
async fn failing_canaries_halt_the_release_and_wake_who_waits() {
    let desk = desk().await;
    desk.publish("ada", "intel", "1.0", "one").await.unwrap();
    advance_rollouts(&desk.catalog).await.unwrap();
    // What the commits left behind.
    desk.catalog.stirred().await;
    canaries(&desk, "1.0", 0..6, ReportEvent::Failed).await;
    desk.catalog.stirred().await;
    let records = advance_rollouts(&desk.catalog).await.unwrap();
    let halts: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            crate::model::Event::RolloutChanged { change: RolloutChange::Halted { cause, evidence, .. }, .. } => {
                Some((cause.clone(), evidence.failed))
            }
            _ => None,
        })
        .collect();
    assert_eq!(halts, [(HaltCause::Failures, 6)]);
    assert_eq!(state(&desk.catalog).0, RolloutState::Halted);
    assert!(advance_rollouts(&desk.catalog).await.unwrap().is_empty());
}

/// Found by the simulation of offline sites: the end of a withdrawn release and its replacement by a newer one that
/// completes fell into one commit, which contradicted itself, and nothing of the product moved any more.
#[tokio::test]
async fn a_release_that_is_withdrawn_as_a_newer_one_completes_ends_once() {
    let desk = desk().await;
    desk.publish("ada", "intel", "1.0", "one").await.unwrap();
    desk.publish("ada", "intel", "2.0", "two").await.unwrap();
    advance_rollouts(&desk.catalog).await.unwrap();
    desk.world.clock.advance(SignedDuration::from_hours(1));
    canaries(&desk, "2.0", 0..3, ReportEvent::Healthy).await;
    advance_rollouts(&desk.catalog).await.unwrap();
    assert_eq!(state(&desk.catalog), (RolloutState::Baking, Some("broad".into())));
    devices(&desk, "broad", "2.0", 0..30, ReportEvent::Healthy).await;
    withdraw_release(&desk.catalog, &actor("bo"), &parse("intel"), &parse("1.0"), parse("bad")).await.unwrap();
    desk.world.clock.advance(SignedDuration::from_hours(30 * 24));
    advance_rollouts(&desk.catalog).await.unwrap();
    assert_eq!(state(&desk.catalog).0, RolloutState::Completed);
    let snapshot = desk.catalog.snapshot();
    let first = &snapshot.product(&parse("intel")).unwrap().rollouts()[0];
    assert!(matches!(first.ended(), Some((_, crate::model::End::Ended))), "{:?}", first.ended());
    assert!(advance_rollouts(&desk.catalog).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_report_from_the_future_is_refused() {
    let desk = desk().await;
    desk.publish("ada", "intel", "1.0", "one").await.unwrap();
    advance_rollouts(&desk.catalog).await.unwrap();
    let report = |minutes: i64| Report {
        id: parse("r"),
        device: parse("canary-1"),
        product: parse("intel"),
        version: parse("1.0"),
        event: ReportEvent::Healthy,
        received_at: desk.catalog.now(),
        at: Some(desk.catalog.now() + SignedDuration::from_mins(minutes)),
        code: None,
        metrics: Default::default(),
    };
    let refused = record_reports(&desk.catalog, vec![report(11)]).await;
    assert!(matches!(refused, Err(ControlError::Report(ReportError::FromTheFuture))), "{refused:?}");
    assert_eq!(record_reports(&desk.catalog, vec![report(9)]).await.unwrap().recorded, 1);
}

#[tokio::test]
async fn approving_a_draft_plans_its_rollout_before_it_is_published() {
    let desk = desk().await;
    let staged_platform = STAGED.replace("plan.intelligence", "plan.platform");
    apply_policy(&desk.catalog, &actor("ada"), staged_platform, None).await.unwrap();
    desk.publish("ada", "driver", "1.0", "one").await.unwrap();
    assert!(desk.catalog.snapshot().product(&parse("driver")).unwrap().rollouts().is_empty());
    approve_release(&desk.catalog, &actor("bo"), &parse("driver"), &parse("1.0"), None).await.unwrap();
    let snapshot = desk.catalog.snapshot();
    let rollout = snapshot.product(&parse("driver")).unwrap().rollouts()[0].clone();
    // Approved, planned, published, started.
    assert_eq!(rollout.id, snapshot.seq() - 2);
    assert_eq!(rollout.started_at(), snapshot.time());
    // Without a plan for its class a release is for everybody at once.
    desk.publish("ada", "intel", "1.0", "one").await.unwrap();
    assert!(desk.catalog.snapshot().product(&parse("intel")).unwrap().rollouts().is_empty());
}

/// A crash keeps a prefix of a commit's events. None of them may leave a release published without its rollout.
#[tokio::test]
async fn publishing_again_does_what_a_crash_cut_off() {
    for kept in 1..6 {
        let desk = desk().await;
        desk.publish("ada", "intel", "1.0", "one").await.unwrap();
        let snapshot = desk.catalog.snapshot();
        let all = crate::catalog::testing::events_of(&desk.world, snapshot.seq() - 5);
        assert_eq!(all.len(), 6, "added, inspected, approved, planned, published, started");
        let cut = self::desk().await;
        crate::catalog::testing::release_added(&cut.catalog, "intel", "1.0", &[b"one"]).await;
        crate::catalog::testing::commit(&cut.catalog, all[..kept].to_vec()).await;
        cut.publish("ada", "intel", "1.0", "one").await.unwrap();
        let snapshot = cut.catalog.snapshot();
        let product = snapshot.product(&parse("intel")).unwrap();
        assert_eq!(product.rollouts().len(), 1, "{kept} events were kept");
        assert!(product.releases()[0].published_at.is_some(), "{kept} events were kept");
        assert!(product.rollouts()[0].started_at().is_some(), "{kept} events were kept");
    }
}
