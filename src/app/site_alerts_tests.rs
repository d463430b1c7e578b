//! Which alerts offline sites raise, and that each is raised once.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use jiff::{SignedDuration, Timestamp};

use super::alert_command::AlertQueue;
use super::alerts::Alerts;
use super::site_figures::{SiteFigures, figures};
use crate::bundle::receipt::testing::Pair;
use crate::bundle::receive::{Carried, take_receipt};
use crate::catalog::testing::actor;

struct Raised {
    alerts: Alerts,
    queue: Arc<AlertQueue>,
}

impl Raised {
    fn new() -> Self {
        let queue = Arc::new(AlertQueue::default());
        let alerts = Alerts::new(Some(queue.clone()), 0, Arc::new(AtomicUsize::new(0)));
        Self { alerts, queue }
    }

    fn at(&self, snapshot: &crate::model::Snapshot, now: Timestamp) -> Vec<(&'static str, String)> {
        self.alerts.look_at_sites(snapshot, now);
        let told = self.queue.drain();
        told.into_iter().map(|alert| (alert.alert, alert.about().to_owned())).collect()
    }
}

#[tokio::test]
async fn silence_and_age_are_told_once_each() {
    let pair = Pair::new().await;
    pair.publish("1.0").await;
    let export = pair.export().await;
    pair.import(&export).await;
    let raised = Raised::new();
    let (origin, site) = (pair.origin.catalog.snapshot(), pair.site.snapshot());
    let after = |hours: i64| export.created_at + SignedDuration::from_hours(hours);
    // A bundle of the tests is valid for 30 days.
    assert_eq!(raised.at(&origin, after(15 * 24)), []);
    assert_eq!(raised.at(&origin, after(15 * 24 + 1)), [("site_silent", "plant-7".to_owned())]);
    assert_eq!(raised.at(&origin, after(16 * 24)), []);
    let raised = Raised::new();
    assert_eq!(raised.at(&site, after(22 * 24)), []);
    assert_eq!(raised.at(&site, after(23 * 24)), [("site_expiring", "plant-7".to_owned())]);
    assert_eq!(raised.at(&site, after(29 * 24)), []);
    assert_eq!(raised.at(&site, after(30 * 24)), [("site_expiring", "plant-7".to_owned())]);
    assert_eq!(raised.at(&site, after(31 * 24)), []);
}

#[tokio::test]
async fn a_receipt_ends_the_silence_and_a_fork_is_told() {
    let pair = Pair::new().await;
    pair.publish("1.0").await;
    let export = pair.export().await;
    pair.import(&export).await;
    let now = export.created_at + SignedDuration::from_hours(20 * 24);
    pair.origin.world.clock.set(now);
    let of_site = |figures: Vec<SiteFigures>| figures.into_iter().next().unwrap();
    let before = of_site(figures(&pair.origin.catalog.snapshot(), now));
    let expected =
        SiteFigures { site: "plant-7".into(), receipt_age_seconds: None, bundles_unacknowledged: 1, astray: 0 };
    assert_eq!(before, expected);
    let given = pair.give().await;
    let copy = pair.copy_of_given(&given);
    for receipt in [given, copy] {
        let carried = Carried::whole(receipt.text, receipt.signature).unwrap();
        take_receipt(&pair.origin.catalog, &actor("ada"), carried, None).await.unwrap();
    }
    let snapshot = pair.origin.catalog.snapshot();
    let raised = Raised::new();
    assert_eq!(raised.at(&snapshot, now), [("site_astray", "plant-7".to_owned())]);
    assert_eq!(raised.at(&snapshot, now), []);
    let later = now + SignedDuration::from_secs(90);
    let after = of_site(figures(&snapshot, later));
    assert_eq!((after.receipt_age_seconds, after.bundles_unacknowledged, after.astray), (Some(90), 1, 1));
}
