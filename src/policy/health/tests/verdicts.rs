//! What a gate answers, case by case.

use std::iter::empty;

use proptest::prelude::*;

use super::*;
use crate::model::{Bound, HaltCause, MetricBand};

#[test]
fn exactly_the_samples_are_enough_without_a_failure_and_each_failure_asks_for_more() {
    let gate = gate(20, 200, 2_000);
    let (verdict, evidence) = judged(&gate, (0, 19, 0), 0);
    assert_eq!(
        (verdict, evidence.detail.as_str()),
        (Verdict::Inconclusive, "19 of 20 healthy devices are in; none failed")
    );
    let (verdict, evidence) = judged(&gate, (0, 20, 0), 0);
    assert_eq!((verdict, evidence.detail.as_str()), (Verdict::Pass, "20 of 20 healthy devices are in; none failed"));
    assert_eq!((evidence.offered, evidence.healthy, evidence.silent), (20, 20, 0));
    // ln 10 / ln(0.998 / 0.98) is 126.5: so many healthy devices outweigh one that failed.
    assert_eq!(judged(&gate, (1, 146, 0), 0).0, Verdict::Inconclusive);
    let (verdict, evidence) = judged(&gate, (1, 147, 0), 0);
    assert_eq!(verdict, Verdict::Pass);
    assert_eq!(evidence.detail, "147 of 147 healthy devices are in; 1 failed (0.7%)");
}

#[test]
fn too_many_failures_halt() {
    let gate = gate(20, 200, 2_000);
    let (verdict, evidence) = judged(&gate, (9, 26, 0), 0);
    assert_eq!(verdict, Verdict::Fail(HaltCause::Failures));
    assert_eq!(evidence.detail, "9 of 35 devices failed (26%); the limit is 2%");
    assert_eq!(judged(&gate, (3, 0, 0), 0).0, Verdict::Inconclusive, "three may still be chance");
    assert_eq!(judged(&gate, (4, 0, 0), 0).0, Verdict::Fail(HaltCause::Failures));
    // Four of the two hundred that the wave admits are not above 2 %.
    assert_eq!(judged(&gate, (4, 0, 0), 200).0, Verdict::Inconclusive);
    assert_eq!(judged(&gate, (5, 0, 0), 200).0, Verdict::Fail(HaltCause::Failures));
}

#[test]
fn four_failures_without_a_healthy_device_halt_at_any_limit() {
    for limit in 1..=9_990 {
        let gate = gate(20, limit, 2_000);
        assert_eq!(judged(&gate, (3, 0, 0), 0).0, Verdict::Inconclusive, "{limit}");
        assert_eq!(judged(&gate, (4, 0, 0), 0).0, Verdict::Fail(HaltCause::Failures), "{limit}");
    }
}

#[test]
fn a_rollback_is_a_failure_and_a_late_one_halts_what_had_passed() {
    let gate = gate(20, 200, 2_000);
    let mut health = watching(1);
    offer(&mut health, 0..100);
    report(&mut health, 0..100, ReportEvent::Healthy);
    assert_eq!(health.verdict(&question(&gate, 0, 60)).0, Verdict::Pass);
    report(&mut health, 0..5, ReportEvent::RolledBack);
    report(&mut health, 5..10, ReportEvent::Failed);
    assert_eq!(health.verdict(&question(&gate, 0, 600)).0, Verdict::Fail(HaltCause::Failures));
    report(&mut health, 0..10, ReportEvent::Healthy);
    assert_eq!(health.verdict(&question(&gate, 0, 900)).0, Verdict::Pass, "they recovered");
}

#[test]
fn what_the_release_before_did_is_the_measure() {
    let gate = gate(20, 200, 10_000);
    let mut health = watching(1);
    health.watch(ROLLOUT + 1, SEQUENCE + 1, &[None]);
    offer(&mut health, 0..1_000);
    report(&mut health, 0..20, ReportEvent::Failed);
    report(&mut health, 20..1_000, ReportEvent::Healthy);
    for number in 0..600 {
        health.offered(key(number), ROLLOUT + 1, 0, at(0), empty());
        let event = if number < 15 { ReportEvent::Failed } else { ReportEvent::Healthy };
        health.reported(key(number), SEQUENCE + 1, event, &BTreeMap::new(), empty());
    }
    // 2.5 % fail. Where 2 % did before that may be chance; where nothing is known it is not.
    let question = |baseline| Question { rollout: ROLLOUT + 1, baseline, ..question(&gate, 0, 0) };
    assert_eq!(health.verdict(&question(Some((ROLLOUT, 0)))).0, Verdict::Pass);
    for unknown in [None, Some((99, 0)), Some((ROLLOUT, 7))] {
        assert_eq!(health.verdict(&question(unknown)).0, Verdict::Fail(HaltCause::Failures));
    }
}

#[test]
fn silence_halts_and_never_promotes() {
    let gate = gate(20, 200, 500);
    let (verdict, evidence) = judged(&gate, (0, 0, 40), 0);
    assert_eq!(verdict, Verdict::Fail(HaltCause::Silence));
    assert_eq!(
        (evidence.silent, evidence.detail.as_str()),
        (40, "40 of 40 devices fell silent (100%); the limit is 5%")
    );
    assert_eq!(judged(&gate, (0, 0, 5), 0).0, Verdict::Inconclusive, "five may still be chance");
    let (verdict, evidence) = judged(&gate, (0, 20, 2), 1_000);
    assert_eq!(verdict, Verdict::Inconclusive, "twenty are enough, but two of 22 are silent");
    assert_eq!(evidence.detail, "2 of 22 devices are silent (9.1%); above 5% nothing passes");
    assert_eq!(judged(&gate, (0, 40, 2), 1_000).0, Verdict::Pass);
}

#[test]
fn a_signal_passes_without_votes_but_not_against_them() {
    let gate = gate(20, 200, 500);
    let asked =
        |health: &Health, second| health.verdict(&Question { passed_by_signal: true, ..question(&gate, 0, second) }).0;
    let mut health = watching(1);
    assert_eq!(asked(&health, 0), Verdict::Pass);
    offer(&mut health, 0..40);
    assert_eq!(asked(&health, 60), Verdict::Pass);
    assert_eq!(asked(&health, 7_200), Verdict::Fail(HaltCause::Silence));
    report(&mut health, 0..40, ReportEvent::Failed);
    assert_eq!(asked(&health, 60), Verdict::Fail(HaltCause::Failures));
}

#[test]
fn the_other_rings_stand_surety_only_where_this_one_looks_well() {
    let gate = gate(150, 200, 2_000);
    let mut health = watching(2);
    let mut vote = |ring: usize, devices: std::ops::Range<u64>, event| {
        for number in devices {
            health.offered(key(number), ROLLOUT, ring, at(0), empty());
            health.reported(key(number), SEQUENCE, event, &BTreeMap::new(), empty());
        }
        health.verdict(&question(&gate, 0, 0)).0
    };
    assert_eq!(vote(1, 1_000..2_000, ReportEvent::Healthy), Verdict::Inconclusive, "none of its own");
    assert_eq!(vote(0, 0..1, ReportEvent::Failed), Verdict::Inconclusive);
    assert_eq!(vote(0, 1..149, ReportEvent::Healthy), Verdict::Inconclusive, "one short of its samples");
    assert_eq!(vote(0, 149..150, ReportEvent::Healthy), Verdict::Pass, "277 would be needed alone");
    assert_eq!(vote(0, 150..151, ReportEvent::Failed), Verdict::Inconclusive, "two of 151 speak against it");
}

#[test]
fn devices_that_fail_together_are_named() {
    let gate = gate(100, 200, 2_000);
    let mut health = watching(2);
    let shared = |number: u64| match number % 100 {
        7 => ["attr.model=X1", "attr.os=10", "tag=all"],
        n if n < 40 => ["attr.model=Y2", "attr.os=10", "tag=all"],
        _ => ["attr.model=Z3", "attr.os=11", "tag=all"],
    };
    for number in 0..400 {
        let ring = usize::from(number >= 200);
        health.offered(key(number), ROLLOUT, ring, at(0), shared(number).into_iter());
        let event = if number % 100 == 7 { ReportEvent::Failed } else { ReportEvent::Healthy };
        if number % 2 == 1 {
            health.reported(key(number), SEQUENCE, event, &BTreeMap::new(), shared(number).into_iter());
        }
        if number == 206 {
            assert!(!is_fail(&health.verdict(&question(&gate, 10_000, 0)).0), "two are no cluster");
        }
    }
    let (verdict, evidence) = health.verdict(&question(&gate, 10_000, 0));
    assert_eq!(verdict, Verdict::Fail(HaltCause::Cluster { shared: "attr.model=X1".into() }), "{evidence:?}");
    assert_eq!(evidence.detail, "4 of 4 devices with attr.model=X1 failed");
}

#[test]
fn a_metric_out_of_its_band_halts() {
    let cpu = || "cpu".parse().unwrap();
    let banded = |low, high| Gate { metrics: vec![MetricBand { metric: cpu(), low, high }], ..gate(20, 200, 2_000) };
    let mut health = watching(1);
    health.watch(ROLLOUT + 1, SEQUENCE + 1, &[None]);
    for number in 0..30 {
        for (rollout, sequence, value) in [(ROLLOUT, SEQUENCE, 2.0), (ROLLOUT + 1, SEQUENCE + 1, 5.0)] {
            health.offered(key(number), rollout, 0, at(0), empty());
            let values = BTreeMap::from([(cpu(), MetricValue::new(value).unwrap())]);
            health.reported(key(number), sequence, ReportEvent::Healthy, &values, empty());
        }
    }
    let answer = |gate: &Gate, baseline, population| {
        health.verdict(&Question { rollout: ROLLOUT + 1, baseline, ..question(gate, population, 0) })
    };
    let out = Verdict::Fail(HaltCause::Metric { metric: cpu() });
    let (verdict, evidence) = answer(&banded(None, Some(Bound::Milli(3_000))), None, 0);
    assert_eq!(verdict, out);
    assert_eq!(evidence.detail, "the median of cpu over 30 devices is about 4.991, above 3");
    assert_eq!(answer(&banded(Some(Bound::Milli(8_000)), None), None, 0).0, out);
    assert_eq!(answer(&banded(Some(Bound::Milli(5_000)), Some(Bound::Milli(5_000))), None, 0).0, Verdict::Pass);
    let twice = banded(None, Some(Bound::TimesMilli(2_000)));
    assert_eq!(answer(&twice, Some((ROLLOUT, 0)), 0).0, out);
    assert_eq!(answer(&twice, None, 0).0, Verdict::Pass, "nothing to compare with");
    assert_eq!(answer(&banded(None, Some(Bound::TimesMilli(2_800))), Some((ROLLOUT, 0)), 0).0, Verdict::Pass);
    assert_ne!(answer(&twice, Some((ROLLOUT, 0)), 601).0, out, "30 of 601 devices are below 5 %");
}

#[test]
fn what_samples_are_worth() {
    // (0.98 / 0.998) ^ 20, and back.
    assert!((pass_error(&gate(20, 200, 0)) - 0.694_9).abs() < 1e-3);
    assert_eq!(samples_for(&gate(1, 200, 0), 0.05), 165);
    for limit in [0, 1, 50, 200, 5_000, 10_000] {
        for beta in [0.5, 0.05, 1e-3] {
            let samples = samples_for(&gate(1, limit, 0), beta);
            assert!(pass_error(&gate(samples, limit, 0)) <= beta + 1e-9, "{limit} {beta}");
            assert!(samples == 1 || pass_error(&gate(samples - 1, limit, 0)) > beta, "{limit} {beta}");
        }
    }
}

#[test]
fn a_gate_wider_than_its_ring_says_so() {
    let (verdict, evidence) = judged(&gate(20, 200, 2_000), (0, 5, 0), 5);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(evidence.detail, "5 of 20 healthy devices are in; none failed; the open waves admit only 5");
    assert_eq!(Health::new().verdict(&question(&gate(20, 200, 0), 0, 0)).0, Verdict::Inconclusive);
}

proptest! {
    #[test]
    fn no_gate_and_no_votes_break_the_rules(
        samples in 0u32..40,
        failures in 0u16..=10_000,
        silence in 0u16..=10_000,
        votes in (0u64..60, 0u64..60, 0u64..60),
        population in 0u64..400,
        passed_by_signal in any::<bool>(),
    ) {
        let gate = gate(samples, failures, silence);
        let (bad, healthy, silent) = votes;
        let mut health = watching(1);
        offer(&mut health, 0..bad + healthy + silent);
        report(&mut health, 0..bad, ReportEvent::Failed);
        report(&mut health, bad..bad + healthy, ReportEvent::Healthy);
        let (verdict, evidence) =
            health.verdict(&Question { passed_by_signal, ..question(&gate, population, 7_200) });
        prop_assert!(!evidence.detail.is_empty());
        let whole = population.max(evidence.offered);
        match verdict {
            Verdict::Pass => {
                prop_assert!(passed_by_signal || healthy >= u64::from(samples).max(1));
                prop_assert!(passed_by_signal || healthy * 100 > whole);
                prop_assert!(silent == 0 || silent * 10_000 <= (silent + bad + healthy) * u64::from(silence));
            }
            Verdict::Fail(HaltCause::Failures) => prop_assert!(bad * 10_000 > whole * u64::from(failures)),
            Verdict::Fail(HaltCause::Silence) => prop_assert!(silent * 10_000 > whole * u64::from(silence)),
            Verdict::Fail(cause) => prop_assert!(false, "{cause}"),
            Verdict::Inconclusive => {}
        }
    }
}
