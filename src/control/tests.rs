//! Each use case: what it does, and what it refuses.

use jiff::SignedDuration;

use super::*;
use crate::catalog::testing::{POLICY, actor, parse};
use crate::model::{Class, Device, HoldScope, ReleaseState, Role, TokenScope};
use crate::publish::testing::Desk;

fn is_unchanged<T: std::fmt::Debug>(desk: &Desk, before: u64, result: Result<T, ControlError>) -> ControlError {
    assert_eq!(desk.catalog.snapshot().seq(), before, "a refusal changes nothing: {result:?}");
    result.unwrap_err()
}

/// The refusal of a use case; fails if it changed anything.
macro_rules! refused {
    ($desk:expr, $call:expr, $pattern:pat $(if $guard:expr)?) => {{
        let before = $desk.catalog.snapshot().seq();
        let error = is_unchanged(&$desk, before, $call.await);
        assert!(matches!(&error, $pattern $(if $guard)?), "{error:?}");
        error.to_string()
    }};
}

#[tokio::test]
async fn a_product_is_added_once_and_keeps_its_class() {
    let desk = Desk::new().await;
    let add = |name: &'static str, class| {
        let catalog = desk.catalog.clone();
        async move { add_product(&catalog, &actor("ada"), &parse(name), class).await }
    };
    let new = add("agent", Class::Platform).await.unwrap();
    assert!(new.is_new && new.product.product().added_by == actor("ada"));
    let seq = desk.catalog.snapshot().seq();
    assert!(!add("agent", Class::Platform).await.unwrap().is_new);
    assert_eq!(desk.catalog.snapshot().seq(), seq);
    let text =
        refused!(desk, add("agent", Class::Intelligence), ControlError::OtherClass { class: Class::Platform, .. });
    assert!(text.contains("is of class platform"), "{text}");
}

#[tokio::test]
async fn someone_else_approves_where_the_policy_says_so() {
    let desk = Desk::new().await;
    let id = desk.publish("ada", "driver", "1.0", "body").await.unwrap().release.id;
    let approve = |who: &'static str, product: &'static str, version: &'static str, expected| {
        let catalog = desk.catalog.clone();
        async move { approve_release(&catalog, &actor(who), &parse(product), &parse(version), expected).await }
    };
    let text = refused!(desk, approve("ada", "driver", "1.0", None), ControlError::OwnRelease { .. });
    assert!(text.contains("was published by ada"), "{text}");
    let other = crate::model::ReleaseId(crate::model::Blake3Digest::of(b"other"));
    refused!(desk, approve("bob", "driver", "1.0", Some(other)), ControlError::OtherRelease { found, .. } if *found == id);
    refused!(desk, approve("bob", "driver", "9.9", None), ControlError::UnknownRelease { .. });
    refused!(desk, approve("bob", "nothing", "1.0", None), ControlError::UnknownProduct(_));
    let approved = approve("bob", "driver", "1.0.0", Some(id)).await.unwrap();
    assert_eq!(approved.state_at(desk.catalog.now()), ReleaseState::Published);
    assert_eq!(approved.approved.as_ref().unwrap().by, actor("bob"));
    // Again, by anyone, changes nothing.
    let seq = desk.catalog.snapshot().seq();
    assert_eq!(approve("ada", "driver", "1.0", None).await.unwrap(), approved);
    assert_eq!(desk.catalog.snapshot().seq(), seq);
}

#[tokio::test]
async fn the_rule_is_the_one_in_force_at_publication() {
    let desk = Desk::new().await;
    let ada = actor("ada");
    desk.publish("ada", "driver", "1.0", "one").await.unwrap();
    let anyone = POLICY.replace("platform = \"other\"", "platform = \"anyone\"");
    apply_policy(&desk.catalog, &ada, anyone, None).await.unwrap();
    desk.publish("ada", "driver", "2.0", "two").await.unwrap();
    let approve = |version: &'static str| {
        let (catalog, ada) = (desk.catalog.clone(), ada.clone());
        async move { approve_release(&catalog, &ada, &parse("driver"), &parse(version), None).await }
    };
    refused!(desk, approve("1.0"), ControlError::OwnRelease { .. });
    assert_eq!(approve("2.0").await.unwrap().state_at(desk.catalog.now()), ReleaseState::Published);
}

#[tokio::test]
async fn a_withdrawal_is_for_good() {
    let desk = Desk::new().await;
    desk.publish("ada", "driver", "1.0", "body").await.unwrap();
    let withdraw = |version: &'static str, reason: &'static str| {
        let catalog = desk.catalog.clone();
        async move { withdraw_release(&catalog, &actor("bob"), &parse("driver"), &parse(version), parse(reason)).await }
    };
    let withdrawn = withdraw("1.0", "boot loop").await.unwrap();
    let (stamp, reason) = withdrawn.withdrawn.as_ref().unwrap();
    assert_eq!((stamp.by.clone(), reason.as_str()), (actor("bob"), "boot loop"));
    let seq = desk.catalog.snapshot().seq();
    assert_eq!(withdraw("1.0", "another reason").await.unwrap(), withdrawn);
    assert_eq!(desk.catalog.snapshot().seq(), seq);
    refused!(desk, withdraw("2.0", "r"), ControlError::UnknownRelease { .. });
    let text = refused!(
        desk,
        approve_release(&desk.catalog, &actor("bob"), &parse("driver"), &parse("1.0"), None),
        ControlError::WrongState { state: ReleaseState::Withdrawn, .. }
    );
    assert_eq!(text, "driver 1.0 is withdrawn, so it cannot be approved");
}

fn new_hold(product: &str) -> NewHold {
    let (product, reason) = (parse(product), parse("why"));
    NewHold { product, version: None, scope: HoldScope::Everyone, reason, expires_at: None }
}

#[tokio::test]
async fn holds_begin_end_and_are_checked() {
    let desk = Desk::new().await;
    let (catalog, ada) = (&desk.catalog, actor("ada"));
    desk.publish("ada", "intel", "1.0", "body").await.unwrap();
    let now = desk.catalog.now();
    let second = SignedDuration::from_secs(1);
    refused!(desk, add_hold(catalog, &ada, new_hold("nothing")), ControlError::UnknownProduct(_));
    let version = Some(parse("2.0"));
    refused!(
        desk,
        add_hold(catalog, &ada, NewHold { version, ..new_hold("intel") }),
        ControlError::UnknownRelease { .. }
    );
    let scope = HoldScope::Group(parse("none"));
    refused!(desk, add_hold(catalog, &ada, NewHold { scope, ..new_hold("intel") }), ControlError::UnknownGroup(_));
    let scope = HoldScope::Ring(parse("none"));
    refused!(desk, add_hold(catalog, &ada, NewHold { scope, ..new_hold("intel") }), ControlError::UnknownRing(_));
    for expires_at in [Some(now - second), Some(now)] {
        let hold = NewHold { expires_at, ..new_hold("intel") };
        refused!(desk, add_hold(catalog, &ada, hold), ControlError::EndsInThePast);
    }
    for scope in [HoldScope::Group(parse("all")), HoldScope::Ring(parse("broad"))] {
        let version = Some(parse("1.0"));
        let hold =
            add_hold(catalog, &ada, NewHold { scope: scope.clone(), version, ..new_hold("intel") }).await.unwrap();
        assert_eq!((&hold.scope, &hold.author, hold.added_at), (&scope, &ada, now));
        assert_eq!(hold.id, catalog.snapshot().seq());
    }
    let lasting =
        add_hold(catalog, &ada, NewHold { expires_at: Some(now + second), ..new_hold("intel") }).await.unwrap();
    let lifted = lift_hold(catalog, &actor("bob"), lasting.id, parse("fixed")).await.unwrap();
    assert_eq!(lifted.lifted.as_ref().unwrap().0.by, actor("bob"));
    assert!(!lifted.is_active_at(catalog.now()));
    refused!(desk, lift_hold(catalog, &ada, lasting.id, parse("again")), ControlError::Ended { what: "hold", .. });
    refused!(desk, lift_hold(catalog, &ada, 9_999, parse("r")), ControlError::UnknownId { what: "hold", id: 9_999 });
    let expiring =
        add_hold(catalog, &ada, NewHold { expires_at: Some(now + second), ..new_hold("intel") }).await.unwrap();
    desk.world.clock.advance(second);
    refused!(desk, lift_hold(catalog, &ada, expiring.id, parse("late")), ControlError::Ended { .. });
}

#[tokio::test]
async fn pins_replace_each_other_and_are_checked() {
    let desk = Desk::new().await;
    let (catalog, ada) = (&desk.catalog, actor("ada"));
    for (version, body) in [("1.0", "one"), ("2.0", "two")] {
        desk.publish("ada", "intel", version, body).await.unwrap();
    }
    let pin = |group: &str, product: &str, version: &str| {
        let (group, product, version) = (parse(group), parse(product), parse(version));
        add_pin(catalog, &ada, NewPin { group, product, version, reason: parse("kept") })
    };
    refused!(desk, pin("all", "nothing", "1.0"), ControlError::UnknownProduct(_));
    refused!(desk, pin("all", "intel", "3.0"), ControlError::UnknownRelease { .. });
    refused!(desk, pin("none", "intel", "1.0"), ControlError::UnknownGroup(_));
    let first = pin("all", "intel", "1.0").await.unwrap();
    let second = pin("all", "intel", "2.0").await.unwrap();
    assert!(second.is_active_at(catalog.now()));
    assert!(!catalog.snapshot().pin(first.id).unwrap().is_active_at(catalog.now()));
    refused!(desk, remove_pin(catalog, &ada, first.id, parse("r")), ControlError::Ended { what: "pin", .. });
    refused!(desk, remove_pin(catalog, &ada, 9_999, parse("r")), ControlError::UnknownId { what: "pin", .. });
    let removed = remove_pin(catalog, &actor("bob"), second.id, parse("done")).await.unwrap();
    assert_eq!(removed.removed.as_ref().unwrap().by, actor("bob"));
    refused!(desk, remove_pin(catalog, &ada, second.id, parse("r")), ControlError::Ended { .. });
}

#[tokio::test]
async fn a_policy_is_applied_against_the_one_that_was_planned_on() {
    let desk = Desk::new().await;
    let (catalog, ada) = (&desk.catalog, actor("ada"));
    let first = catalog.snapshot().policies()[0].seq;
    let other = |number: u8| format!("{POLICY}# {number}\n");
    let text = refused!(desk, apply_policy(catalog, &ada, "[[rung]]".into(), None), ControlError::BadPolicy(_));
    assert!(text.contains("line 1"), "{text}");
    for expected in [0, first + 1] {
        refused!(
            desk,
            apply_policy(catalog, &ada, other(1), Some(expected)),
            ControlError::OtherPolicy { found, .. } if *found == first
        );
        // Even where nothing would change: the caller is wrong about what is in force.
        refused!(desk, apply_policy(catalog, &ada, POLICY.into(), Some(expected)), ControlError::OtherPolicy { .. });
    }
    let same = apply_policy(catalog, &ada, POLICY.into(), Some(first)).await.unwrap();
    assert_eq!(same, AppliedOutcome { seq: first, is_change: false });
    let second = apply_policy(catalog, &ada, other(1), Some(first)).await.unwrap();
    assert_eq!(second, AppliedOutcome { seq: catalog.snapshot().seq(), is_change: true });
    // An earlier text may come back; it is a policy of its own then.
    let third = apply_policy(catalog, &ada, POLICY.into(), None).await.unwrap();
    assert!(third.is_change && third.seq > second.seq);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_policies_applied_at_once_each_caller_gets_its_own_number() {
    let desk = Desk::new().await;
    let tasks = (0..32).map(|number| {
        let catalog = desk.catalog.clone();
        tokio::spawn(async move {
            let text = format!("{POLICY}# {number}\n");
            (text.clone(), apply_policy(&catalog, &actor("ada"), text, None).await.unwrap())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        let (text, outcome) = task.await.unwrap();
        let snapshot = desk.catalog.snapshot();
        let applied = snapshot.policies().iter().find(|policy| policy.seq == outcome.seq).unwrap();
        assert_eq!(*applied.text, *text);
    }
}

fn device(id: &str, tag: &str) -> Device {
    serde_json::from_str(&format!(r#"{{"id":"{id}","tags":["{tag}"]}}"#)).unwrap()
}

#[tokio::test]
async fn devices_are_imported_once_and_in_events_of_bounded_length() {
    let desk = Desk::new().await;
    let (catalog, ada) = (&desk.catalog, actor("ada"));
    let outcome = |imported, unchanged| Imported { imported, unchanged };
    let devices = vec![device("a", "old"), device("b", "t"), device("a", "new")];
    assert_eq!(import_devices(catalog, &ada, devices).await.unwrap(), outcome(2, 0));
    let snapshot = catalog.snapshot();
    assert_eq!(**snapshot.device(&parse("a")).unwrap().latest().unwrap(), device("a", "new"), "the last counts");
    let seq = snapshot.seq();
    assert_eq!(import_devices(catalog, &ada, vec![device("b", "t")]).await.unwrap(), outcome(0, 1));
    assert_eq!(import_devices(catalog, &ada, Vec::new()).await.unwrap(), outcome(0, 0));
    assert_eq!(catalog.snapshot().seq(), seq);
    let many: Vec<_> = (0..2 * DEVICES_PER_EVENT + 1).map(|number| device(&format!("m-{number}"), "t")).collect();
    let ids: Vec<_> = many.iter().map(|device| device.id.clone()).collect();
    let imported = import_devices(catalog, &ada, [many, vec![device("b", "t")]].concat()).await.unwrap();
    assert_eq!(imported, outcome(2 * DEVICES_PER_EVENT + 1, 1));
    assert_eq!(catalog.snapshot().seq(), seq + 3);
    assert_eq!(remove_devices(catalog, &ada, ids).await.unwrap(), 2 * DEVICES_PER_EVENT + 1);
    assert_eq!(catalog.snapshot().seq(), seq + 6);
    let too_many = vec![device("a", "t"); 100_001];
    refused!(desk, import_devices(catalog, &ada, too_many), ControlError::TooMany { what: "devices", .. });
}

#[tokio::test]
async fn devices_are_removed_all_or_none_and_can_come_back() {
    let desk = Desk::new().await;
    let (catalog, ada) = (&desk.catalog, actor("ada"));
    import_devices(catalog, &ada, vec![device("a", "t"), device("b", "t")]).await.unwrap();
    let ids = |ids: &[&str]| ids.iter().map(|id| parse(id)).collect();
    let text = refused!(desk, remove_devices(catalog, &ada, ids(&["a", "c"])), ControlError::UnknownDevice(_));
    assert_eq!(text, "the inventory has no device c");
    assert_eq!(remove_devices(catalog, &ada, ids(&["a", "a"])).await.unwrap(), 1, "counted once");
    refused!(desk, remove_devices(catalog, &ada, ids(&["a"])), ControlError::UnknownDevice(_));
    let again = import_devices(catalog, &ada, vec![device("a", "t")]).await.unwrap();
    assert_eq!(again, Imported { imported: 1, unchanged: 0 });
    assert!(catalog.snapshot().device(&parse("a")).unwrap().latest().is_some());
}

#[tokio::test]
async fn tokens_are_valid_until_they_expire_or_are_revoked() {
    let desk = Desk::new().await;
    let (catalog, ada, key) = (&desk.catalog, actor("ada"), TokenKey::from_bytes([7; 32]));
    let scope = || TokenScope::Person { actor: actor("bob"), role: Role::Operator, reach: Default::default() };
    let now = catalog.now();
    refused!(desk, create_token(catalog, &ada, &key, scope(), Some(now)), ControlError::EndsInThePast);
    let end = now + SignedDuration::from_secs(60);
    let (token, secret) = create_token(catalog, &ada, &key, scope(), Some(end)).await.unwrap();
    let snapshot = catalog.snapshot();
    assert_eq!(snapshot.token_by_hash(&key.hash(&secret)), Some(&token));
    assert!(snapshot.token_by_hash(&TokenKey::from_bytes([8; 32]).hash(&secret)).is_none(), "the key matters");
    assert!(token.is_valid_at(now) && !token.is_valid_at(end));
    let text = std::fs::read_to_string(desk.world.options.journal_dir.join("00000001.jsonl")).unwrap();
    assert!(!text.contains(&secret.expose()) && !text.contains(&secret.expose()[3..]), "a secret is in the journal");
    let revoked = revoke_token(catalog, &ada, token.id).await.unwrap();
    assert!(!revoked.is_valid_at(catalog.now()));
    assert!(!catalog.snapshot().token_by_hash(&key.hash(&secret)).unwrap().is_valid_at(catalog.now()));
    refused!(desk, revoke_token(catalog, &ada, token.id), ControlError::Ended { what: "token", .. });
    refused!(desk, revoke_token(catalog, &ada, 9_999), ControlError::UnknownId { what: "token", .. });
}

#[tokio::test]
async fn a_token_is_adopted_once_and_stays_revoked() {
    let desk = Desk::new().await;
    let (catalog, key, secret) = (&desk.catalog, TokenKey::from_bytes([7; 32]), Secret::random().unwrap());
    let system = crate::model::Actor::system();
    let scope = || TokenScope::Person { actor: actor("admin"), role: Role::Admin, reach: Default::default() };
    assert!(adopt_token(catalog, &system, &key, &secret, scope()).await.unwrap());
    assert!(!adopt_token(catalog, &system, &key, &secret, scope()).await.unwrap());
    let id = catalog.snapshot().token_by_hash(&key.hash(&secret)).unwrap().id;
    assert!(catalog.snapshot().token(id).unwrap().is_valid_at(catalog.now()));
    revoke_token(catalog, &system, id).await.unwrap();
    assert!(!adopt_token(catalog, &system, &key, &secret, scope()).await.unwrap(), "it was revoked");
    assert!(!catalog.snapshot().token(id).unwrap().is_valid_at(catalog.now()));
}
