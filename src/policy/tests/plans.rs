//! What `policy plan` shows.

use jiff::Timestamp;

use crate::model::policy::Policy;
use crate::model::testing::TestJournal;
use crate::model::{Class, Event, HoldScope};
use crate::policy::plan_change;

const BEFORE: &str = r#"
[[ring]]
name = "early"
[[ring]]
name = "late"
[[group]]
name = "pilots"
match = { tag = "pilot" }
ring = "early"
[[group]]
name = "rest"
match = "any"
ring = "late"
keep = "N-1"
"#;

fn journal() -> TestJournal {
    let mut journal = TestJournal::new(Timestamp::from_second(1_700_000_000).unwrap());
    journal.product("agent", Class::Platform).policy(BEFORE).devices(&[
        r#"{"id":"a","tags":["pilot"]}"#,
        r#"{"id":"b"}"#,
        r#"{"id":"c"}"#,
    ]);
    journal.release("agent", "1.0", &["any"], false).release("agent", "1.1", &["any"], false);
    journal
}

#[test]
fn the_same_policy_changes_nothing() {
    let journal = journal();
    let plan = plan_change(journal.snapshot(), &Policy::parse(BEFORE).unwrap(), journal.now());
    assert!(plan.changes.is_empty() && plan.regrouped.is_empty() && plan.warnings.is_empty());
    assert_eq!((plan.devices_changed, plan.devices_total), (0, 3));
}

#[test]
fn changes_are_counted_by_group_and_version() {
    let journal = journal();
    let after = BEFORE.replace("keep = \"N-1\"\n", "").replace("tag = \"pilot\"", "id = \"c\"");
    let plan = plan_change(journal.snapshot(), &Policy::parse(&after).unwrap(), journal.now());
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap(), @r#"
    {
      "changes": [
        {
          "product": "agent",
          "group": "pilots",
          "from": "1.0",
          "to": "1.1",
          "devices": 1,
          "examples": [
            "c"
          ]
        },
        {
          "product": "agent",
          "group": "rest",
          "from": "1.0",
          "to": "1.1",
          "devices": 1,
          "examples": [
            "b"
          ]
        }
      ],
      "regrouped": [
        {
          "from": "pilots",
          "to": "rest",
          "devices": 1,
          "examples": [
            "a"
          ]
        },
        {
          "from": "rest",
          "to": "pilots",
          "devices": 1,
          "examples": [
            "c"
          ]
        }
      ],
      "devices_changed": 2,
      "devices_total": 3,
      "warnings": [],
      "weakened": []
    }
    "#);
}

#[test]
fn a_hold_that_tells_devices_apart_is_seen_by_each() {
    let mut journal = journal();
    journal.push(Event::HoldAdded {
        product: "agent".parse().unwrap(),
        version: None,
        scope: HoldScope::Devices(serde_json::from_str(r#"{"id":"b"}"#).unwrap()),
        reason: "odd".parse().unwrap(),
        expires_at: None,
    });
    let after = BEFORE.replace("keep = \"N-1\"\n", "");
    let plan = plan_change(journal.snapshot(), &Policy::parse(&after).unwrap(), journal.now());
    let changed: Vec<_> = plan.changes.iter().flat_map(|change| &change.examples).map(|id| id.as_str()).collect();
    assert_eq!(changed, ["c"]);
}

#[test]
fn rules_that_would_mean_nothing_are_named() {
    let mut journal = journal();
    let agent = || "agent".parse().unwrap();
    for scope in [HoldScope::Group("rest".parse().unwrap()), HoldScope::Ring("late".parse().unwrap())] {
        let reason = "odd".parse().unwrap();
        journal.push(Event::HoldAdded { product: agent(), version: None, scope, reason, expires_at: None });
    }
    let (group, version) = ("rest".parse().unwrap(), "1.0".parse().unwrap());
    journal.push(Event::PinAdded { group, product: agent(), version, reason: "odd".parse().unwrap() });
    let after = "[[ring]]\nname = \"early\"\n[[group]]\nname = \"all\"\nmatch = \"any\"\nring = \"early\"\n\
                 pin.agent = \"9.9\"\nkeep.other = \"N-1\"\n";
    let plan = plan_change(journal.snapshot(), &Policy::parse(after).unwrap(), journal.now());
    insta::assert_snapshot!(plan.warnings.join("\n"), @r"
    hold 8 on agent would withhold nothing any more: the policy has no group rest
    hold 9 on agent would withhold nothing any more: the policy has no ring late
    pin 10 of agent would mean nothing any more: the policy has no group rest
    group all is pinned to agent 9.9, and there is no such release: it would see nothing
    group all has a rule for other, and there is no such product
    ");
}
