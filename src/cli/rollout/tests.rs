//! What rollouts look like on a terminal.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::Rollout;
use super::which::Which;
use super::{draw, state};
use crate::model::BasisPoints;

fn now() -> Timestamp {
    "2026-11-21T14:30:00Z".parse().unwrap()
}

fn ring(name: &str, state: &str, share: u16, waves: &Value, counts: [u64; 5]) -> Value {
    let [offered, healthy, failed, rolled_back, silent] = counts;
    json!({
        "ring": name, "devices": (offered > 0).then_some(offered * 2), "state": state, "share": share,
        "promote": if name == "critical" { "manual" } else { "automatic" }, "waves": waves,
        "gate": { "samples": 20, "failures": 200, "silence": 500, "within": "30m",
            "verdict": (state == "open").then_some("inconclusive"),
            "detail": (state == "open").then_some("18 of 20 healthy devices are in; none failed") },
        "offered": offered, "fetched": offered, "installed": offered, "healthy": healthy, "failed": failed,
        "rolled_back": rolled_back, "silent": silent,
    })
}

fn view() -> Value {
    let opened = "2026-11-21T12:00:00Z";
    let done = json!([{ "share": 10000, "over": "0s", "bake": "1h", "opened_at": opened, "passed_at": opened }]);
    let growing = json!([
        { "share": 2000, "over": "0s", "bake": "1h", "opened_at": opened, "passed_at": opened },
        { "share": 10000, "over": "4h", "bake": "2h", "opened_at": opened, "passed_at": null },
    ]);
    let closed = json!([{ "share": 10000, "over": "0s", "bake": "0s", "opened_at": null, "passed_at": null }]);
    json!({
        "id": 17, "product": "intel", "version": "5.0", "sequence": 5, "kind": "release", "state": "exposing",
        "ring": "early", "wave": 1, "share": 4000, "baked_at": "2026-11-21T18:05:10Z",
        "planned": { "at": opened, "by": "ada@corp" }, "started_at": opened, "reason": "the fix for INC-4711",
        "strategy": "canary", "rings": [
            ring("canary", "passed", 10000, &done, [20, 20, 0, 0, 0]),
            ring("early", "open", 4000, &growing, [1600, 18, 1, 0, 12]),
            ring("critical", "waiting", 0, &closed, [0; 5]),
        ],
        "approvals": [], "expires_at": null, "frozen": null,
        "last_known_good": { "canary": "5.0", "early": "4.0", "critical": "4.0" },
    })
}

fn drawn(view: Value) -> String {
    let rollout: Rollout = serde_json::from_value(view).unwrap();
    anstream::adapter::strip_str(&draw::drawn(&rollout, now())).to_string()
}

#[test]
fn a_growing_rollout() {
    insta::assert_snapshot!(drawn(view()));
}

#[test]
fn a_halted_rollout_of_a_frozen_product() {
    let mut view = view();
    view["state"] = json!("halted");
    view["baked_at"] = Value::Null;
    view["frozen"] = json!("3 releases were halted within 7d");
    view["stopped"] = json!({ "at": "2026-11-21T14:00:00Z", "by": "ringfence", "reason": "9 of 35 devices failed" });
    insta::assert_snapshot!(drawn(view));
}

#[test]
fn an_emergency_that_waits_for_people_and_a_way_back() {
    let mut emergency = view();
    emergency["state"] = json!("awaiting_approval");
    emergency["kind"] = json!("expedite");
    emergency["emergency"] =
        json!({ "approvers": ["ada@corp", "bo@corp"], "approvals_needed": 2, "pinned_groups": ["dc"] });
    emergency["approvals"] = json!([{ "at": "2026-11-21T14:00:00Z", "by": "ada@corp" }]);
    emergency["expires_at"] = json!("2026-11-22T02:00:00Z");
    let rollout: Rollout = serde_json::from_value(emergency).unwrap();
    let said = state::next(&rollout, now());
    assert_eq!(
        said,
        [
            "approved by 1 of 2 (ada@corp); approvers are ada@corp, bo@corp",
            "beats the pins of dc",
            "until 2026-11-22 02:00:00Z: ringfence rollout approve 17"
        ]
    );
    let mut back = view();
    back["kind"] = json!("rollback");
    back["rollback"] = json!({ "from": "6.0", "groups": [], "devices": 4812, "automatic": true });
    assert!(drawn(back.clone()).contains("back     from 6.0, for everyone: 4,812 devices"));
    back["state"] = json!("awaiting_approval");
    back["rollback"]["approvals_needed"] = json!(2);
    let author = back["planned"]["by"].as_str().unwrap().to_owned();
    let said = state::next(&serde_json::from_value(back).unwrap(), now());
    assert_eq!(said, [format!("approved by 0 of 2; anyone but {author} may: ringfence rollout approve 17")]);
}

#[test]
fn bars_show_anyone_and_are_full_only_for_everyone() {
    let filled = |share| draw::bar(BasisPoints::new(share)).matches('█').count();
    assert_eq!([0, 1, 499, 500, 4_000, 9_999, 10_000].map(filled), [0, 1, 1, 1, 8, 19, 20]);
    assert!([0, 1, 9_999, 10_000].into_iter().all(|share| draw::bar(BasisPoints::new(share)).chars().count() == 20));
}

#[test]
fn what_is_left_reads_well() {
    let left = |seconds: i64| state::left(now() + jiff::SignedDuration::from_secs(seconds), now());
    assert_eq!(left(2 * 3_600 + 10 * 60 + 30), "2h 10m");
    assert_eq!(left(90), "1m 30s");
    assert_eq!(left(-5), "0s");
}

#[test]
fn rollouts_are_named_by_number_or_release() {
    assert_eq!("17".parse(), Ok(Which::Number(17)));
    assert_eq!("intel@1.2".parse(), Ok(Which::Release("intel".parse().unwrap(), "1.2".parse().unwrap())));
    for bad in ["", "intel", "intel@", "@1.2", "Intel@1.2", "-1"] {
        assert!(bad.parse::<Which>().is_err(), "{bad}");
    }
}
