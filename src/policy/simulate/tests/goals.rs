//! What the shipped policy and the rules of others come to.

use super::*;
use crate::model::HaltCause;
use crate::policy::simulate::{RULES, SimulateError};

/// The shipped policy, with what its plan for intelligence needs so that a fault that shows after six hours is counted
/// before the broad ring opens: see the table of the simulator's results. Once it ships this changes nothing.
fn shipped(seed: u64) -> Scenario {
    let from = SHIPPED.find("[plan.intelligence.canary]").unwrap();
    let to = SHIPPED.find("[plan.intelligence.emergency]").unwrap();
    let plan = SHIPPED[from..to].replace("failures = \"2%\"", "failures = \"1.5%\"");
    let policy = SHIPPED.replace(&SHIPPED[from..to], &plan.replace("100% bake 10m", "100% bake 14m"));
    let mut scenario = scenario(&policy, 1_000_000, seed);
    scenario.fleet.groups.iter_mut().for_each(|group| group.check_in = span("4h"));
    scenario.human_halt = Some(span("78m"));
    scenario.duration = span("9h");
    scenario
}

fn of_canaries(fault: Fault) -> Vec<u64> {
    let hits = (0..3).map(|seed| {
        let run = run(&Scenario { fault: fault.clone(), ..shipped(seed) });
        assert!(run.halt.is_some(), "seed {seed}");
        run.hit()
    });
    hits.collect()
}

#[test]
fn a_release_that_fails_is_stopped_in_the_canary() {
    let hits = of_canaries(Fault { failure_rate: 1.0, ..Fault::default() });
    assert!(hits.iter().all(|hit| *hit <= 100), "{hits:?}");
}

#[test]
fn a_release_that_bricks_in_silence_is_stopped_in_the_canary() {
    let hits = of_canaries(Fault { silent_rate: 1.0, ..Fault::default() });
    assert!(hits.iter().all(|hit| *hit <= 200), "{hits:?}");
}

#[test]
fn a_release_that_fails_on_one_model_is_stopped() {
    let affected = Some("attr.model=affected".to_owned());
    let hits = of_canaries(Fault { failure_rate: 1.0, affected, affected_share: Some(0.01), ..Fault::default() });
    assert!(hits.iter().all(|hit| *hit <= 1_000), "{hits:?}");
}

#[test]
fn a_release_that_fails_after_six_hours_is_stopped() {
    let hits = of_canaries(Fault { failure_rate: 1.0, onset: span("6h"), ..Fault::default() });
    assert!(hits.iter().all(|hit| *hit <= 1_000), "{hits:?}");
}

#[test]
fn the_rules_of_others_are_policies_and_only_people_stop_a_release_without_staging() {
    for rule in RULES {
        let text = rule.policy_for(10_000);
        let policy = Policy::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", rule.name));
        for (group, _) in rule.shares {
            assert!(policy.group(&group.parse().unwrap()).is_some(), "{}: {group}", rule.name);
        }
    }
    let mut bare = scenario(&RULES[0].policy_for(0), 5_000, 1);
    bare.fault.failure_rate = 1.0;
    let unstopped = run(&bare);
    assert_eq!((unstopped.hit(), unstopped.halt), (unstopped.reachable, None));
    bare.human_halt = Some(span("18m"));
    let stopped = run(&bare);
    assert_eq!(stopped.halt.as_ref().map(|halt| &halt.cause), Some(&HaltCause::Person));
    // 5 + 18 minutes of the hour in which all of them check in.
    let share = stopped.hit() as f64 / stopped.reachable as f64;
    assert!((0.36..0.43).contains(&share), "{share}");
}

#[test]
fn a_rollout_that_needs_a_person_waits() {
    let text = WAVES.replace("gate = \"canary\" }", "gate = \"canary\", promote = \"manual\" }");
    let run = run(&scenario(&text, 1_000, 1));
    assert_eq!(run.waits_for.as_deref(), Some("broad"));
    assert!(run.hit() <= 20);
}

#[test]
fn scenarios_that_contradict_themselves_are_refused() {
    let good = || scenario(WAVES, 100, 1);
    let mut bad = good();
    bad.fleet.groups[0].group = "nobody".parse().unwrap();
    assert!(matches!(simulate(&bad, &Alone), Err(SimulateError::UnknownGroup(_))));
    let mut bad = good();
    bad.fleet.groups.clear();
    assert!(matches!(simulate(&bad, &Alone), Err(SimulateError::Devices(0))));
    let mut bad = good();
    bad.fault.affected = Some("attr.model=none".into());
    assert!(matches!(simulate(&bad, &Alone), Err(SimulateError::NobodyAffected(_))));
    for (change, what) in [
        ((|bad| bad.fault.failure_rate = f64::NAN) as fn(&mut Scenario), "a rate that is no number"),
        (|bad| bad.fleet.groups[1].offline = 1.5, "more than all offline"),
        (|bad| bad.fleet.groups[1].check_in = Span::NONE, "no time between check-ins"),
        (|bad| bad.duration = Span::NONE, "no time at all"),
        (|bad| bad.policy = "ring = 1".into(), "no policy"),
    ] {
        let mut bad = good();
        change(&mut bad);
        assert!(simulate(&bad, &Alone).is_err(), "{what}");
    }
}
