//! Going faster.

use std::collections::BTreeSet;

use super::*;

fn asked(version: &str) -> NewExpedite {
    let (product, criteria) = (parse("intel"), parse("exploited in the wild"));
    NewExpedite { product, version: parse(version), criteria, pinned_groups: BTreeSet::new() }
}

#[tokio::test]
async fn two_people_approve_an_emergency_and_it_starts_with_the_second() {
    let stage = Stage::new().await;
    stage.publish("2.0", true).await;
    let catalog = &stage.catalog;
    let (ada, bo) = (actor("ada"), actor("bo"));
    let id = expedite(catalog, &ada, asked("2.0")).await.unwrap().id;
    stage.tick().await;
    assert_eq!(stage.state(id), RolloutState::AwaitingApproval);
    assert!(refused!(stage, expedite(catalog, &bo, asked("2.0"))).contains("exists already"));
    let text = refused!(stage, approve_rollout(catalog, &actor("eve"), id));
    assert_eq!(text, "eve is not among the approvers of this emergency: they are ada, bo");
    assert!(refused!(stage, promote_rollout(catalog, &bo, id, parse("r"))).contains("rollout approve"));
    approve_rollout(catalog, &ada, id).await.unwrap();
    let text = refused!(stage, approve_rollout(catalog, &ada, id));
    assert_eq!(text, "ada has approved it already: a second person must");
    let started = approve_rollout(catalog, &bo, id).await.unwrap();
    assert_eq!(steps(&started), ["approved", "approved", "started"]);
    stage.tick().await;
    assert_eq!(stage.state(id), RolloutState::Baking);
}

#[tokio::test]
async fn an_emergency_that_may_not_be_is_refused() {
    let stage = Stage::new().await;
    let ordinary = stage.publish("2.0", true).await;
    let (catalog, ada) = (&stage.catalog, actor("ada"));
    let short = NewExpedite { criteria: parse("urgent"), ..asked("2.0") };
    assert!(refused!(stage, expedite(catalog, &ada, short)).contains("at least 10 characters"));
    let groups = BTreeSet::from([parse("nowhere")]);
    let unknown = NewExpedite { pinned_groups: groups, ..asked("2.0") };
    assert!(refused!(stage, expedite(catalog, &ada, unknown)).contains("no group nowhere"));
    let added = release_added(&stage.catalog, "intel", "3.0", &[b"x"]).await;
    commit(catalog, vec![added]).await;
    assert!(refused!(stage, expedite(catalog, &ada, asked("3.0"))).contains("approve it first"));
    assert!(refused!(stage, approve_rollout(catalog, &ada, ordinary)).contains("is no emergency"));
    halt_rollout(catalog, &ada, ordinary, parse("bad")).await.unwrap();
    assert!(refused!(stage, expedite(catalog, &ada, asked("2.0"))).contains("never beats a halt"));
    let without = POLICY.replace("emergency = {", "# emergency = {");
    apply_policy(catalog, &ada, without, None).await.unwrap();
    assert!(refused!(stage, expedite(catalog, &ada, asked("1.0"))).contains("no [plan.intelligence.emergency]"));
}

#[tokio::test]
async fn an_emergency_ends_with_its_time() {
    let stage = Stage::new().await;
    stage.publish("2.0", true).await;
    let (catalog, ada) = (&stage.catalog, actor("ada"));
    let id = expedite(catalog, &ada, asked("2.0")).await.unwrap().id;
    stage.wait(12 * 3_600);
    let text = refused!(stage, approve_rollout(catalog, &ada, id));
    assert!(text.contains("ask for a new one"), "{text}");
    stage.tick().await;
    assert_eq!(stage.state(id), RolloutState::Ended);
    expedite(catalog, &ada, asked("2.0")).await.unwrap();
}
