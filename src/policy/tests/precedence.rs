//! The order of decision, exhaustively: every pair of rules that speak of one and the same release.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::model::testing::TestJournal;
use crate::model::{
    BasisPoints, Class, Event, Evidence, HaltCause, HoldScope, Plan, ProductName, Promote, ReleaseId, RingPlan,
    RolloutChange, RolloutKind, Span, Wave,
};
use crate::policy::{Decision, Outcome, Requester, Rule, decide};

/// Ways to take the one release away, each by its rule, in the order of the steps.
const TAKING: [Rule; 11] = [
    Rule::Withdrawn,
    Rule::Halt,
    Rule::Freeze,
    Rule::Hold,
    Rule::Rollback,
    Rule::Keep,
    Rule::Deferral,
    Rule::Cadence,
    Rule::Ring,
    Rule::Window,
    Rule::Rate,
];
/// Ways to let it pass, or to insist on it.
const GIVING: [Rule; 2] = [Rule::Pin, Rule::Expedite];

fn product() -> ProductName {
    "p".parse().unwrap()
}

fn words<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// One release, published at noon on a Wednesday and asked for at one, under these rules.
fn decided(rules: &[Rule], pinned_groups: &[&str]) -> Decision {
    let has = |rule: Rule| rules.contains(&rule);
    let mut journal = TestJournal::new("2026-11-18T12:00:00Z".parse::<Timestamp>().unwrap());
    journal.product("p", Class::Platform).policy(&policy(rules));
    if has(Rule::Freeze) {
        journal.push(Event::ProductFrozen { product: product(), reason: words("two halts") });
        journal.advance(1);
    }
    // For other platforms, so that the device never sees it.
    let older = journal.draft("p", "0", &["other"], false);
    let release = journal.draft("p", "1", &["mine"], false);
    journal.push(Event::ReleasePublished { product: product(), release });
    if has(Rule::Halt) || has(Rule::Ring) || has(Rule::Rate) {
        let id = roll_out(&mut journal, release, RolloutKind::Release, !has(Rule::Ring));
        if has(Rule::Halt) {
            let (cause, evidence) = (HaltCause::Person, Evidence::default());
            change(&mut journal, id, RolloutChange::Halted { cause, reason: words("it crashes"), evidence });
        }
    }
    if has(Rule::Expedite) {
        let kind = RolloutKind::Expedite {
            criteria: words("an attack is under way"),
            pinned_groups: pinned_groups.iter().map(|group| words(group)).collect(),
            approvers: BTreeSet::new(),
            approvals_needed: 2,
            expires_at: journal.now() + SignedDuration::from_hours(24),
        };
        roll_out(&mut journal, release, kind, true);
    }
    if has(Rule::Rollback) {
        let kind = RolloutKind::Rollback { from: 2, groups: BTreeSet::new(), devices: 1, automatic: false };
        roll_out(&mut journal, older, kind, true);
    }
    push_steps_2_to_5(&mut journal, release, rules);
    journal.advance(3_600);
    let id = words("pc-1");
    let who = Requester { device: Some(&id), platform: Some(words("mine")), ..Requester::default() };
    decide(journal.snapshot(), &who, &product(), journal.now())
}

fn push_steps_2_to_5(journal: &mut TestJournal, release: ReleaseId, rules: &[Rule]) {
    for rule in rules {
        let product = product();
        let reason = words("because");
        match rule {
            Rule::Withdrawn => {
                journal.push(Event::ReleaseWithdrawn { product, release, reason });
            }
            Rule::Hold => {
                let (version, scope, expires_at) = (Some(words("1")), HoldScope::Everyone, None);
                journal.push(Event::HoldAdded { product, version, scope, reason, expires_at });
            }
            Rule::Pin => {
                journal.push(Event::PinAdded { group: words("g"), product, version: words("1"), reason });
            }
            _ => {}
        }
    }
}

fn policy(rules: &[Rule]) -> String {
    let lines = rules.iter().filter_map(|rule| match rule {
        Rule::Keep => Some("keep = \"N-1\""),
        Rule::Deferral => Some("defer = \"48h\""),
        // The last tick was before the publication, at ten.
        Rule::Cadence => Some("cadence = \"daily at 10:00 UTC\""),
        Rule::Window => Some("window = [\"Sat 00:00-06:00 UTC\"]"),
        Rule::Rate => Some("rate = \"1 devices per day\""),
        _ => None,
    });
    let lines: Vec<_> = lines.collect();
    format!(
        "[[ring]]\nname = \"r\"\n[[group]]\nname = \"g\"\nmatch = \"any\"\nring = \"r\"\n{}\n\
         [plan.platform]\nr = {{ waves = [\"100%\"] }}\n[plan.intelligence]\nr = {{ waves = [\"100%\"] }}\n",
        lines.join("\n")
    )
}

fn roll_out(journal: &mut TestJournal, release: ReleaseId, rollout: RolloutKind, is_open: bool) -> u64 {
    let wave = Wave { share: BasisPoints::ALL, over: Span::NONE, bake: Span::NONE };
    let ring = RingPlan { ring: words("r"), waves: vec![wave], gate: None, promote: Promote::Automatic };
    let plan = Plan { rings: vec![ring], ..Plan::default() };
    let id = journal.push(Event::RolloutPlanned {
        product: product(),
        release,
        rollout,
        plan,
        salt: "salt".into(),
        reason: None,
    });
    if is_open {
        let opened =
            RolloutChange::WaveOpened { ring: words("r"), wave: 0, devices: 100_000, rated: Default::default() };
        change(journal, id, opened);
    }
    id
}

fn change(journal: &mut TestJournal, rollout: u64, change: RolloutChange) {
    journal.push(Event::RolloutChanged { product: product(), rollout, change });
}

/// The one rule that decided, checked to be the only one.
fn rule(decision: &Decision) -> Rule {
    let deciding: Vec<_> = decision.trace.iter().filter(|line| line.outcome == Outcome::Decided).collect();
    assert_eq!(deciding.len(), 1, "{:#?}", decision.trace);
    assert_eq!(deciding[0].rule, decision.rule);
    decision.rule
}

#[test]
fn of_two_rules_that_take_it_away_the_earlier_step_decides() {
    for (place, first) in TAKING.into_iter().enumerate() {
        let alone = decided(&[first], &[]);
        assert_eq!((rule(&alone), alone.release), (first, None), "{first} alone");
        for second in TAKING[place + 1..].iter().copied() {
            let decision = decided(&[first, second], &[]);
            // What came after the tick is not yet counted by N-k, so there it is the cadence that takes it away.
            let expected = if (first, second) == (Rule::Keep, Rule::Cadence) { second } else { first };
            assert_eq!((rule(&decision), decision.release), (expected, None), "{first} and {second}");
        }
    }
}

#[test]
fn a_pin_comes_before_whatever_only_delays_and_after_what_protects() {
    for other in TAKING {
        let decision = decided(&[Rule::Pin, other], &[]);
        // A blocked pin serves nothing, and says so itself.
        assert_eq!(rule(&decision), Rule::Pin, "pin and {other}");
        assert_eq!(decision.release.is_some(), other.step() > Rule::Pin.step(), "pin and {other}");
    }
}

#[test]
fn an_emergency_takes_the_place_of_steps_8_to_11_and_never_beats_1_to_4() {
    for other in TAKING {
        let decision = decided(&[Rule::Expedite, other], &[]);
        let is_beaten = other.step() > Rule::Expedite.step();
        let expected = if is_beaten { Rule::Expedite } else { other };
        assert_eq!((rule(&decision), decision.release.is_some()), (expected, is_beaten), "expedite and {other}");
    }
}

#[test]
fn an_emergency_beats_a_pin_only_where_the_approval_names_the_group() {
    let elsewhere = decided(&GIVING, &[]);
    assert_eq!(rule(&elsewhere), Rule::Pin);
    let named = decided(&GIVING, &["g"]);
    assert_eq!(rule(&named), Rule::Expedite);
    // Not even then does it beat what protects.
    for other in [Rule::Withdrawn, Rule::Freeze, Rule::Hold] {
        let blocked = decided(&[Rule::Pin, Rule::Expedite, other], &["g"]);
        assert_eq!((rule(&blocked), blocked.release), (Rule::Pin, None), "{other}");
    }
}
