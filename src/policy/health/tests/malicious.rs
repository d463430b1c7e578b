//! A minority that lies, at the worst moment, neither halts nor promotes.

use std::iter::empty;

use super::*;
use crate::model::{Bound, MetricBand};

const POPULATION: u64 = 1_000;
/// 0.9 %.
const LIARS: u64 = 9;

/// Who votes when: the liars first, last, or anywhere.
fn orders(draws: &mut Draws) -> [Vec<u64>; 3] {
    let liars_first: Vec<u64> = (0..POPULATION).collect();
    let liars_last: Vec<u64> = (0..POPULATION).rev().collect();
    let mut anywhere = liars_first.clone();
    draws.shuffle(&mut anywhere);
    [liars_first, liars_last, anywhere]
}

fn values(value: f64) -> BTreeMap<MetricName, MetricValue> {
    BTreeMap::from([("cpu".parse().unwrap(), MetricValue::new(value).unwrap())])
}

#[test]
fn lies_of_failure_never_halt() {
    for seed in 0..20 {
        let mut draws = Draws(seed);
        // At 1 % the others are well; at 2 % one in a thousand of them fails, too.
        for (limit, natural) in [(100, 0), (200, POPULATION / 1_000)] {
            let gate = gate(150, limit, 500);
            for order in orders(&mut draws) {
                let mut health = watching(1);
                for number in order {
                    offer(&mut health, number..number + 1);
                    let is_bad = number < LIARS + natural;
                    let event = if is_bad { ReportEvent::Failed } else { ReportEvent::Healthy };
                    report(&mut health, number..number + 1, event);
                    let (verdict, evidence) = health.verdict(&question(&gate, POPULATION, 60));
                    assert!(!is_fail(&verdict), "seed {seed}, limit {limit}: {evidence:?}");
                }
            }
        }
    }
}

#[test]
fn lies_of_health_never_promote() {
    // Everyone is offered the release and dies of it, but for the liars. Twenty samples are fewer than the liars.
    const MANY: u64 = 10_000;
    let gate = gate(20, 100, 500);
    let mut health = watching(1);
    for number in 0..MANY * 9 / 1_000 {
        offer(&mut health, number..number + 1);
        report(&mut health, number..number + 1, ReportEvent::Healthy);
        assert_eq!(health.verdict(&question(&gate, MANY, 60)).0, Verdict::Inconclusive);
    }
    offer(&mut health, MANY * 9 / 1_000..MANY);
    assert_eq!(health.verdict(&question(&gate, MANY, 60)).0, Verdict::Inconclusive);
    assert!(is_fail(&health.verdict(&question(&gate, MANY, 7_200)).0));
}

#[test]
fn lies_about_a_metric_move_no_median() {
    let band =
        MetricBand { metric: "cpu".parse().unwrap(), low: Some(Bound::Milli(500)), high: Some(Bound::Milli(2_000)) };
    let gate = Gate { metrics: vec![band], ..gate(5, 100, 500) };
    for seed in 0..20 {
        let mut draws = Draws(seed);
        for lie in [0.0, 1e12] {
            for order in orders(&mut draws) {
                let mut health = watching(1);
                for number in order {
                    offer(&mut health, number..number + 1);
                    // Honest devices spread over most of the band.
                    let honest = 0.6 + draws.below(1_000) as f64 / 1_000.0;
                    let shown = values(if number < LIARS { lie } else { honest });
                    health.reported(key(number), SEQUENCE, ReportEvent::Healthy, &shown, empty());
                    let (verdict, evidence) = health.verdict(&question(&gate, POPULATION, 60));
                    assert!(!is_fail(&verdict), "seed {seed}: {evidence:?}");
                }
            }
        }
    }
}

/// A fleet whose devices share twenty attributes with groups of 3 to 500; liars anywhere, who vote before the others,
/// and one natural failure. Whether it is halted.
fn is_halted_by_random_liars(seed: u64) -> bool {
    const VALUES: [u64; 20] = [2, 3, 4, 5, 8, 10, 15, 20, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 333];
    let mut draws = Draws(seed);
    let gate = gate(150, 200, 500);
    let mut health = watching(1);
    let attributes: Vec<Vec<String>> = (0..POPULATION)
        .map(|_| VALUES.iter().map(|values| format!("attr.{values}={}", draws.below(*values))).collect())
        .collect();
    let shared = |number: u64| attributes[number as usize].iter().map(String::as_str);
    for number in 0..POPULATION {
        health.offered(key(number), ROLLOUT, 0, at(0), shared(number));
    }
    // What devices share was drawn for each by itself: the first are as good as any.
    (0..=LIARS).any(|number| {
        health.reported(key(number), SEQUENCE, ReportEvent::Failed, &BTreeMap::new(), shared(number));
        is_fail(&health.verdict(&question(&gate, POPULATION, 60)).0)
    })
}

#[test]
fn liars_who_share_something_by_chance_are_no_cluster() {
    let seeds = if is_full_tier() { 20_000 } else { 150 };
    let halted: Vec<u64> = (0..seeds).filter(|seed| is_halted_by_random_liars(*seed)).collect();
    assert!(halted.len() as u64 * 1_000 <= seeds, "{} of {seeds} seeds halt: {halted:?}", halted.len());
}
