//! One example of each rule, with the words a person reads.

use jiff::{SignedDuration, Timestamp};

use crate::model::testing::TestJournal;
use crate::model::{Class, Event, HoldScope};
use crate::policy::{Decision, Requester, Rule, decide};

const POLICY: &str = r#"
[[ring]]
name = "early"
[[ring]]
name = "late"
[[group]]
name = "careful"
match = { tag = "careful" }
ring = "late"
keep = "N-1"
[[group]]
name = "slow"
match = { tag = "slow" }
ring = "late"
defer = "48h"
[[group]]
name = "rest"
match = { id = "*" }
ring = "early"
"#;

fn journal() -> TestJournal {
    let mut journal = TestJournal::new(Timestamp::from_second(1_700_000_000).unwrap());
    journal
        .product("agent", Class::Platform)
        .policy(POLICY)
        .devices(&[r#"{"id":"careful-1","tags":["careful"],"platform":"x"}"#, r#"{"id":"slow-1","tags":["slow"]}"#]);
    for version in ["1.0", "1.1", "2.0", "2.1"] {
        journal.advance(3_600 * 20).release("agent", version, &["x"], version == "2.0");
    }
    journal
}

fn asked(journal: &TestJournal, device: &str, current: Option<&str>) -> Decision {
    let id = device.parse().unwrap();
    let current = current.map(|version| version.parse().unwrap());
    let who = Requester { device: Some(&id), current, ..Requester::default() };
    decide(journal.snapshot(), &who, &"agent".parse().unwrap(), journal.now())
}

fn line(decision: &Decision) -> String {
    let version = decision.release.as_ref().map_or_else(|| "-".into(), |release| release.version().to_string());
    format!("{version} {}/{}: {}", decision.rule.step(), decision.rule, decision.reason)
}

fn hold(journal: &mut TestJournal, version: Option<&str>, scope: HoldScope, hours: Option<i64>) {
    let expires_at = hours.map(|hours| journal.now() + SignedDuration::from_hours(hours));
    let version = version.map(|version| version.parse().unwrap());
    let reason = "crashes on boot".parse().unwrap();
    journal.push(Event::HoldAdded { product: "agent".parse().unwrap(), version, scope, reason, expires_at });
}

#[test]
fn each_rule_in_words() {
    let mut journal = journal();
    let mut lines = vec![
        line(&asked(&journal, "pc-1", None)),
        line(&asked(&journal, "pc-1", Some("1.0"))),
        line(&asked(&journal, "pc-1", Some("3.0"))),
        line(&asked(&journal, "careful-1", None)),
        line(&asked(&journal, "slow-1", None)),
    ];
    hold(&mut journal, Some("2.1"), HoldScope::Ring("early".parse().unwrap()), Some(5));
    lines.push(line(&asked(&journal, "pc-1", None)));
    hold(&mut journal, Some("2.0"), HoldScope::Group("careful".parse().unwrap()), None);
    lines.push(line(&asked(&journal, "careful-1", Some("1.1"))));
    let release = journal.snapshot().product(&"agent".parse().unwrap()).unwrap().releases()[3].id;
    let reason = "bad".parse().unwrap();
    journal.push(Event::ReleaseWithdrawn { product: "agent".parse().unwrap(), release, reason });
    lines.push(line(&asked(&journal, "pc-1", None)));
    for version in ["1.0", "2.1"] {
        let (group, reason) = ("rest".parse().unwrap(), "audit".parse().unwrap());
        let version = version.parse().unwrap();
        journal.push(Event::PinAdded { group, product: "agent".parse().unwrap(), version, reason });
        lines.push(line(&asked(&journal, "pc-1", None)));
    }
    hold(&mut journal, None, HoldScope::Everyone, None);
    lines.push(line(&asked(&journal, "pc-1", None)));
    insta::assert_snapshot!(lines.join("\n"), @r"
    2.1 12/highest: 2.1 is the highest release for group rest
    2.0 2/barrier: 2.0 must be installed before 2.1
    - 12/never_below: no release is left: 2.1 is below the device's 3.0
    2.0 8/keep: 2.0 is the highest release left: 2.1 is the newest, and group careful stays one behind (N-1)
    1.0 8/deferral: 1.0 is the highest release left: 2.1 is deferred until 2023-11-20T06:13:20Z (2d after publication)
    2.0 4/hold: 2.0 is the highest release left: 2.1 is held for ring early until 2023-11-18T11:13:20Z (crashes on boot)
    1.1 8/keep: 1.1 is the highest release left: 2.1 is the newest, and group careful stays one behind (N-1)
    2.0 2/withdrawn: 2.0 is the highest release left: 2.1 was withdrawn (bad)
    1.0 5/pin: group rest is pinned to 1.0 (audit)
    - 5/pin: group rest is pinned to 2.1 (audit), but 2.1 was withdrawn (bad)
    - 4/hold: no release is left: every release is held for everyone (crashes on boot)
    ");
}

#[test]
fn a_trace_reads_from_top_to_bottom() {
    let mut journal = journal();
    hold(&mut journal, Some("2.1"), HoldScope::Everyone, None);
    let decision = asked(&journal, "careful-1", Some("1.0"));
    let lines = decision
        .trace
        .iter()
        .map(|line| format!("{:>2} {:<11} {:<8} {}", line.step, line.rule, line.outcome.as_str(), line.detail));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
     1 identity    passed   device careful-1 is in group careful, ring late
     1 fit         passed   4 published releases are for x
     2 withdrawn   passed   none newer than the one chosen was withdrawn
     2 barrier     passed   no barrier between 1.0 and 1.1
     3 halt        passed   none newer than the one chosen is halted
     3 freeze      passed   nothing newer than the one chosen is frozen
     4 hold        narrowed 2.1 is held for everyone (crashes on boot)
     5 pin         passed   group careful is not pinned
     6 rollback    passed   no rollback concerns the group
     7 expedite    passed   nothing is expedited for this device
     8 keep        decided  2.0 is the newest, and group careful stays one behind (N-1)
     8 deferral    passed   the group defers nothing
     9 cadence     passed   the group has no cadence
    10 ring        passed   nothing newer than the one chosen waits for ring late or a wave
    10 staleness   passed   the group may stay stale
    11 window      passed   the group has no maintenance windows
    11 rate        passed   the group has no rate
    12 never_below passed   nothing newer than the one chosen is below the device's version
    12 highest     passed   1.1 is served
    ");
}

#[test]
fn a_blocked_barrier_serves_nothing() {
    let mut journal = journal();
    hold(&mut journal, Some("2.0"), HoldScope::Everyone, Some(2));
    let decision = asked(&journal, "pc-1", Some("1.1"));
    assert_eq!((decision.release, decision.rule), (None, Rule::Barrier));
    assert_eq!(decision.valid_until, Some(journal.now() + SignedDuration::from_hours(2)));
}

#[test]
fn who_may_not_know_is_told_nothing() {
    let journal = journal();
    let product = "agent".parse().unwrap();
    let nobody = decide(journal.snapshot(), &Requester::default(), &product, journal.now());
    assert!(!nobody.visible && nobody.rule == Rule::Identity && nobody.group.is_none());
    let id = "pc-1".parse().unwrap();
    let who = Requester { device: Some(&id), ..Requester::default() };
    let unknown = decide(journal.snapshot(), &who, &"other".parse().unwrap(), journal.now());
    assert!(!unknown.visible && unknown.trace.len() == 1);
    let platform = Requester { platform: Some("y".parse().unwrap()), ..who };
    let unfit = decide(journal.snapshot(), &platform, &product, journal.now());
    assert!(unfit.visible && unfit.rule == Rule::Fit && unfit.release.is_none());
}

#[test]
fn a_clock_set_back_hides_no_event() {
    let journal = journal();
    let clock = journal.now() - SignedDuration::from_hours(100);
    assert_eq!(journal.snapshot().present(clock), journal.now());
}
