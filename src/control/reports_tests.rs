//! Which reports are taken: of what the device was offered, and of nothing else.

use jiff::SignedDuration;

use super::*;
use crate::catalog::ReportOutcome;
use crate::catalog::testing::{POLICY, actor, parse};
use crate::model::{HoldScope, Report, ReportError, ReportEvent};
use crate::publish::testing::Desk;

fn report(desk: &Desk, id: &str, product: &str, version: &str) -> Report {
    Report {
        id: parse(id),
        device: parse("d"),
        product: parse(product),
        version: parse(version),
        event: ReportEvent::Failed,
        received_at: desk.catalog.now(),
        at: None,
        code: None,
        metrics: Default::default(),
    }
}

fn refused(result: Result<ReportOutcome, ControlError>) -> ReportError {
    match result {
        Err(ControlError::Report(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn all_are_taken_or_none() {
    let desk = Desk::new().await;
    desk.publish("ada", "intel", "1.0", "body").await.unwrap();
    desk.publish("ada", "driver", "1.0", "draft").await.unwrap();
    let good = || report(&desk, "r1", "intel", "1.0");
    let long = Report { code: Some("x".repeat(65)), ..good() };
    let control = Report { code: Some("a\nb".into()), ..good() };
    for bad in [long, control] {
        let error = refused(record_reports(&desk.catalog, vec![good(), bad]).await);
        assert_eq!(error, ReportError::BadCode);
    }
    // A draft is as unknown as what does not exist.
    for (product, version) in [("intel", "2.0"), ("nothing", "1.0"), ("driver", "1.0")] {
        let reports = vec![good(), report(&desk, "r2", product, version)];
        assert_eq!(refused(record_reports(&desk.catalog, reports).await), ReportError::UnknownRelease);
    }
    let outcome = record_reports(&desk.catalog, vec![good()]).await.unwrap();
    assert_eq!(outcome, ReportOutcome { recorded: 1, repeated: 0 }, "none of those before was kept");
}

#[tokio::test]
async fn what_was_taken_back_may_still_be_reported_by_who_saw_it() {
    let desk = Desk::new().await;
    let (catalog, ada) = (&desk.catalog, actor("ada"));
    for version in ["1.0", "2.0", "3.0"] {
        desk.publish("ada", "intel", version, "body").await.unwrap();
        desk.world.clock.advance(SignedDuration::from_mins(1));
    }
    withdraw_release(catalog, &ada, &parse("intel"), &parse("3.0"), parse("bad")).await.unwrap();
    let hold = NewHold {
        product: parse("intel"),
        version: None,
        scope: HoldScope::Everyone,
        reason: parse("worse"),
        expires_at: None,
    };
    add_hold(catalog, &ada, hold).await.unwrap();
    // Published behind the hold, so nobody ever saw it.
    desk.world.clock.advance(SignedDuration::from_mins(1));
    desk.publish("ada", "intel", "4.0", "body").await.unwrap();
    desk.world.clock.advance(SignedDuration::from_mins(1));
    for (id, version) in [("r1", "1.0"), ("r2", "2.0"), ("r3", "3.0")] {
        let outcome = record_reports(catalog, vec![report(&desk, id, "intel", version)]).await;
        assert_eq!(outcome.unwrap().recorded, 1, "{version}");
    }
    let error = refused(record_reports(catalog, vec![report(&desk, "r4", "intel", "4.0")]).await);
    assert_eq!(error, ReportError::UnknownRelease);
}

#[tokio::test]
async fn what_the_policy_never_showed_is_unknown() {
    let desk = Desk::new().await;
    let hidden = format!("{POLICY}products = [\"driver\"]\n");
    apply_policy(&desk.catalog, &actor("ada"), hidden, None).await.unwrap();
    desk.world.clock.advance(SignedDuration::from_mins(1));
    desk.publish("ada", "intel", "1.0", "body").await.unwrap();
    let error = refused(record_reports(&desk.catalog, vec![report(&desk, "r1", "intel", "1.0")]).await);
    assert_eq!(error, ReportError::UnknownRelease);
}
