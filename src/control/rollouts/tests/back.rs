//! Going back.

use std::collections::BTreeSet;

use super::*;

fn asked() -> NewRollback {
    let (product, reason) = (parse("intel"), parse("boot loops"));
    NewRollback { product, from: None, to: None, groups: BTreeSet::new(), reason, confirm_devices: None }
}

#[tokio::test]
async fn a_rollback_halts_what_runs_and_leads_to_the_last_known_good() {
    let stage = Stage::new().await;
    let id = stage.running("2.0").await;
    let (catalog, bo) = (&stage.catalog, actor("bo"));
    let before = catalog.head();
    let look = look_at_rollback(catalog, &asked()).await.unwrap();
    assert_eq!(catalog.head(), before);
    assert!(look.rollout.is_none());
    assert_eq!((look.from.version().to_string(), look.to.version().to_string()), ("2.0".into(), "1.0".into()));
    let done = rollback(catalog, &bo, asked()).await.unwrap();
    let back = done.rollout.unwrap();
    assert!(is_rollback(&back) && back.sequence == 1);
    assert_eq!(stage.state(id), RolloutState::Halted);
    let text = refused!(stage, rollback(catalog, &bo, NewRollback { from: Some(parse("2.0")), ..asked() }));
    assert!(text.contains(&format!("`ringfence rollout show {}` shows how far it is", back.id)), "{text}");
    stage.tick().await;
    assert_eq!(stage.state(id), RolloutState::RolledBack);
    assert_eq!(stage.state(back.id), RolloutState::Baking);
    assert!(refused!(stage, resume_rollout(catalog, &bo, id, parse("r"))).contains("begins anew"));
    // Started anew, it takes the place of the way back.
    let anew = start_rollout(catalog, &bo, &parse("intel"), &parse("2.0"), None).await.unwrap();
    assert!(anew.id != id);
    assert_eq!(stage.state(back.id), RolloutState::Superseded);
}

#[tokio::test]
async fn what_cannot_be_gone_back_to_is_refused() {
    let stage = Stage::new().await;
    let (catalog, bo) = (&stage.catalog, actor("bo"));
    let go = |from: Option<&str>, to: Option<&str>| {
        let (from, to) = (from.map(parse), to.map(parse));
        rollback(catalog, &bo, NewRollback { from, to, ..asked() })
    };
    let text = refused!(stage, go(None, None));
    assert!(text.contains("name one with --to"), "{text}");
    let bad = stage.running("2.0").await;
    halt_rollout(catalog, &bo, bad, parse("bad")).await.unwrap();
    stage.running("3.0").await;
    assert_eq!(
        refused!(stage, go(None, Some("2.0"))),
        format!("intel cannot go back to 2.0: it was halted (rollout {bad})")
    );
    assert!(refused!(stage, go(None, Some("3.0"))).contains("it is not older than 3.0"));
    assert!(refused!(stage, go(Some("1.0"), Some("2.0"))).contains("it is not older than 1.0"));
    assert!(refused!(stage, go(None, Some("7.0"))).contains("no release 7.0"));
    assert!(refused!(stage, go(Some("7.0"), None)).contains("no release 7.0"));
    let (intel, first) = (parse("intel"), parse("1.0"));
    crate::control::withdraw_release(catalog, &bo, &intel, &first, parse("gone")).await.unwrap();
    assert!(refused!(stage, go(None, Some("1.0"))).contains("it was withdrawn"));
    let groups = BTreeSet::from([parse("nowhere")]);
    assert!(refused!(stage, rollback(catalog, &bo, NewRollback { groups, ..asked() })).contains("no group nowhere"));
}

#[tokio::test]
async fn above_the_limit_the_number_of_devices_is_confirmed() {
    let stage = Stage::new().await;
    let (catalog, bo) = (&stage.catalog, actor("bo"));
    // Without a rollout everyone may have it: all three devices of the inventory.
    stage.publish("2.0", false).await;
    let text = refused!(stage, rollback(catalog, &bo, asked()));
    assert_eq!(text, "this touches 3 devices, more than the limit of 1: confirm with --confirm-devices 3");
    let wrong = NewRollback { confirm_devices: Some(4), ..asked() };
    assert!(refused!(stage, rollback(catalog, &bo, wrong)).contains("--confirm-devices 3"));
    // One device is within the limit, and nothing is halted for the others.
    let groups = BTreeSet::from([parse("all")]);
    let some = rollback(catalog, &bo, NewRollback { groups: groups.clone(), ..asked() }).await.unwrap();
    assert_eq!(some.devices, 1);
    let rollout = some.rollout.unwrap();
    let RolloutKind::Rollback { groups: known, devices, .. } = &rollout.kind else { panic!() };
    assert_eq!((known, *devices), (&groups, 1));
    let right = NewRollback { confirm_devices: Some(3), ..asked() };
    assert_eq!(rollback(catalog, &bo, right).await.unwrap().devices, 3);
}

#[tokio::test]
async fn what_clients_ignore_is_said() {
    let stage = Stage::new().await;
    for (version, target) in [("5.0", "daily.cvd"), ("6.0", "dists/stable/Release")] {
        let mut event = release_added(&stage.catalog, "intel", version, &[version.as_bytes()]).await;
        let Event::ReleaseAdded { release, manifest, .. } = &mut event else { unreachable!() };
        manifest.artifacts[0].target = parse(target);
        *release = manifest.id();
        let release = *release;
        let product: ProductName = parse("intel");
        let approved = Event::ReleaseApproved { product: product.clone(), release };
        commit(&stage.catalog, vec![event, approved, Event::ReleasePublished { product, release }]).await;
    }
    let look = |from: &str, to: &str| {
        let (from, to) = (Some(parse(from)), Some(parse(to)));
        let asked = NewRollback { from, to, ..asked() };
        let catalog = stage.catalog.clone();
        async move { look_at_rollback(&catalog, &asked).await.unwrap().warnings }
    };
    let both = look("6.0", "5.0").await;
    assert!(both.len() == 2 && both[0].contains("freshclam") && both[1].contains("apt"), "{both:?}");
    assert_eq!(look("5.0", "1.0").await.len(), 1);
}

#[tokio::test]
async fn where_the_policy_says_so_others_approve_the_way_back_and_the_halt_does_not_wait() {
    let stage = Stage::new().await;
    let (catalog, bo) = (&stage.catalog, actor("bo"));
    let strict = POLICY.replace("blast_limit = 1 }", "blast_limit = 1, approvals = 2 }");
    apply_policy(catalog, &actor("ada"), strict, None).await.unwrap();
    let id = stage.running("2.0").await;
    let back = rollback(catalog, &bo, asked()).await.unwrap().rollout.unwrap().id;
    stage.tick().await;
    assert_eq!(stage.state(id), RolloutState::Halted, "nobody gets it any more");
    assert_eq!(stage.state(back), RolloutState::AwaitingApproval);
    let text = refused!(stage, approve_rollout(catalog, &bo, back));
    assert_eq!(text, "bo began this rollback: someone else must approve it");
    assert!(refused!(stage, promote_rollout(catalog, &bo, back, parse("r"))).contains("rollout approve"));
    approve_rollout(catalog, &actor("cy"), back).await.unwrap();
    stage.tick().await;
    assert_eq!(stage.state(back), RolloutState::AwaitingApproval);
    let text = refused!(stage, approve_rollout(catalog, &actor("cy"), back));
    assert_eq!(text, "cy has approved it already: a second person must");
    let approved = approve_rollout(catalog, &actor("dee"), back).await.unwrap();
    assert_eq!(approved.approvers().map(|step| step.by.to_string()).collect::<Vec<_>>(), ["cy", "dee"]);
    stage.tick().await;
    assert_eq!((stage.state(back), stage.state(id)), (RolloutState::Baking, RolloutState::RolledBack));
    assert!(refused!(stage, approve_rollout(catalog, &actor("eve"), back)).contains("needs no further approval"));
}
