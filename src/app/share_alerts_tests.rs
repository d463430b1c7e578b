//! Which alerts shares raise, and that each is raised once.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use jiff::{SignedDuration, Timestamp};

use super::alert_command::AlertQueue;
use super::alerts::Alerts;
use crate::catalog::testing::{World, commit, parse, product_added, release_added};
use crate::model::{Blake3Digest, Event, ShareName};
use crate::share::{Shares, TargetReport, TargetState};

const POLICY: &str = r#"
[[ring]]
name = "r"
[[group]]
name = "g"
match = "any"
ring = "r"
[[share]]
name = "files"
group = "g"
layout = "plain"
products = ["p"]
[[share]]
name = "lost"
group = "g"
layout = "plain"
products = ["missing"]
"#;

fn report(state: TargetState, switch: u64, staged_at: Timestamp) -> TargetReport {
    TargetReport {
        target: "files-1:/srv".into(),
        switch,
        staged_at,
        state,
        why: (state != TargetState::Published).then(|| "x64/a.exe is open".into()),
        written_bytes: 0,
        tree_files: 1,
        tree_bytes: 3,
        repaired_files: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_share_is_told_once_until_it_is_over() {
    let world = World::new();
    let catalog = world.catalog();
    let shares = Arc::new(Shares::new(catalog.clone()));
    let policy = Event::PolicyApplied { digest: Blake3Digest::of(POLICY.as_bytes()), text: POLICY.into() };
    commit(&catalog, vec![product_added("p"), policy]).await;
    let release = release_added(&catalog, "p", "1.0", &[b"one"]).await;
    let Event::ReleaseAdded { release: id, .. } = &release else { unreachable!() };
    let (product, id) = (parse::<crate::model::ProductName>("p"), *id);
    let approved = Event::ReleaseApproved { product: product.clone(), release: id };
    commit(&catalog, vec![release, approved, Event::ReleasePublished { product, release: id }]).await;
    assert_eq!(shares.advance().await.unwrap(), 1);
    world.clock.advance(SignedDuration::from_secs(5));

    let queue = Arc::new(AlertQueue::default());
    let alerts = Alerts::new(Some(queue.clone()), 0, Arc::new(AtomicUsize::new(0)));
    let files: ShareName = parse("files");
    let told = |days: i64| {
        let (snapshot, now) = (catalog.snapshot(), catalog.now() + SignedDuration::from_hours(24 * days));
        alerts.look_at_shares(&shares, &snapshot, now);
        let told = queue.drain().into_iter();
        told.map(|alert| format!("{} {}: {}", alert.alert, alert.share.unwrap(), alert.reason)).collect::<Vec<_>>()
    };
    let first = told(0);
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(first[0].starts_with("share_blocked lost: share lost stays as it is: there is no product missing"));
    assert_eq!(told(0), Vec::<String>::new(), "told once");
    let stale = told(4);
    assert!(stale.len() == 1 && stale[0].starts_with("share_stale files: share files is stale"), "{stale:?}");
    let critical = told(8);
    assert!(critical.len() == 1 && critical[0].contains("critically stale"), "{critical:?}");
    assert_eq!(told(0), Vec::<String>::new());

    let switch = catalog.snapshot().share(&files).unwrap().switch.seq;
    shares.note_target(&files, report(TargetState::Published, switch, catalog.now()));
    assert_eq!(told(0), Vec::<String>::new());
    shares.note_target(&files, report(TargetState::Failed, switch, catalog.now()));
    let why = "files-1:/srv does not show the newest switch of share files: x64/a.exe is open";
    assert_eq!(told(0), [format!("share_behind files: {why}")]);
    let edited = TargetReport { repaired_files: 2, ..report(TargetState::Published, switch, catalog.now()) };
    shares.note_target(&files, edited);
    let what = "2 files of files-1:/srv had been changed by hand and are those of share files again";
    assert_eq!(told(0), [format!("share_edited files: {what}")]);
    shares.note_target(&files, report(TargetState::Pending, switch - 1, catalog.now()));
    assert_eq!(told(0), Vec::<String>::new(), "a name may be open for a while");
    world.clock.advance(SignedDuration::from_secs(400));
    assert_eq!(told(0).len(), 1);
}
