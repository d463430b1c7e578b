//! Other systems' published rules, restated, against ours on the same counts: where both agree and where ours is
//! stricter. None of them tells a few early failures from a share, or silence from health.

use super::*;
use crate::model::HaltCause;

/// What the others can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Theirs {
    Go,
    Stop,
    Wait,
}

const PASS: Verdict = Verdict::Pass;
const FAIL: Verdict = Verdict::Fail(HaltCause::Failures);
const OPEN: Verdict = Verdict::Inconclusive;

/// hawkBit: a group's error condition holds above a percentage of its targets and pauses the rollout; its success
/// condition holds from a percentage of finished targets, or where there are none, and starts the next group.
fn hawkbit(total: u64, finished: u64, errors: u64) -> Theirs {
    const SUCCESS: u64 = 80;
    const ERROR: u64 = 10;
    if total > 0 && errors * 100 > total * ERROR {
        Theirs::Stop
    } else if finished * 100 >= total * SUCCESS {
        Theirs::Go
    } else {
        Theirs::Wait
    }
}

#[test]
fn hawkbits_thresholds() {
    let gate = gate(20, 1_000, 10_000);
    let vectors = [
        // (targets, finished, errors), theirs, ours
        ((100, 80, 0), Theirs::Go, PASS),
        ((100, 70, 11), Theirs::Stop, FAIL),
        ((100, 5, 2), Theirs::Wait, OPEN),
        ((1_000, 0, 5), Theirs::Wait, OPEN),
        // Ours need not wait for four in five: twenty without a failure say enough.
        ((100, 20, 0), Theirs::Wait, PASS),
        // Ours does not go on with a tenth of the devices failing, nor from an empty group.
        ((100, 80, 10), Theirs::Go, OPEN),
        ((10, 8, 1), Theirs::Go, OPEN),
        ((0, 0, 0), Theirs::Go, OPEN),
        // Two of ten may be chance: ours stays where it is, and asks a person after its timeout.
        ((10, 0, 2), Theirs::Stop, OPEN),
    ];
    for ((total, finished, errors), theirs, ours) in vectors {
        assert_eq!(hawkbit(total, finished, errors), theirs, "{total} {finished} {errors}");
        assert_eq!(judged(&gate, (errors, finished, 0), total).0, ours, "{total} {finished} {errors}");
    }
    for errors in 0..40 {
        for finished in (0..=100 - errors).step_by(5) {
            let theirs = hawkbit(100, finished, errors);
            match judged(&gate, (errors, finished, 0), 100).0 {
                Verdict::Fail(_) => assert_eq!(theirs, Theirs::Stop, "ours never halts where theirs would not"),
                Verdict::Pass => assert_ne!(theirs, Theirs::Stop, "ours never passes where theirs would stop"),
                Verdict::Inconclusive => {}
            }
        }
    }
}

/// LVFS: a firmware goes back from stable to testing once it has a minimum of failed reports and a success rate, in
/// whole percent, below a limit.
fn lvfs(failures: u64, successes: u64) -> Theirs {
    const MINIMUM: u64 = 5;
    const RATE: u64 = 70;
    let rate = (successes * 100).checked_div(failures + successes).unwrap_or(100);
    if failures >= MINIMUM && rate < RATE { Theirs::Stop } else { Theirs::Go }
}

#[test]
fn lvfs_minimum_and_rate() {
    let gate = gate(20, 3_000, 10_000);
    let vectors = [
        // (failures, successes), theirs, ours
        ((5, 0), Theirs::Stop, FAIL),
        ((20, 40), Theirs::Stop, FAIL),
        ((6, 94), Theirs::Go, PASS),
        // One failure fewer is enough for ours if nothing speaks for the release.
        ((4, 0), Theirs::Go, FAIL),
        // A rate just as good as the limit is left alone by theirs; ours does not promote it.
        ((30, 70), Theirs::Go, OPEN),
        ((5, 12), Theirs::Go, OPEN),
        ((1, 0), Theirs::Go, OPEN),
        ((0, 0), Theirs::Go, OPEN),
        // Five of fifteen is still within chance of the limit's tenth.
        ((5, 10), Theirs::Stop, OPEN),
    ];
    for ((failures, successes), theirs, ours) in vectors {
        assert_eq!(lvfs(failures, successes), theirs, "{failures} {successes}");
        assert_eq!(judged(&gate, (failures, successes, 0), 0).0, ours, "{failures} {successes}");
    }
    for failures in 5..40 {
        for successes in 0..100 {
            match judged(&gate, (failures, successes, 0), 0).0 {
                Verdict::Fail(_) => assert_eq!(lvfs(failures, successes), Theirs::Stop, "{failures} {successes}"),
                Verdict::Pass => assert_eq!(lvfs(failures, successes), Theirs::Go, "{failures} {successes}"),
                Verdict::Inconclusive => {}
            }
        }
    }
}

/// Argo Rollouts: measurements (`+` or `-`) fail a run above `failureLimit` failures and succeed after
/// `consecutiveSuccessLimit` successes in a row; one that ends with neither is inconclusive. Without the second limit a
/// run that ends without failing succeeds.
fn argo(measurements: &str, failure_limit: usize, consecutive_successes: usize) -> Theirs {
    let (mut failures, mut in_a_row) = (0, 0);
    for measurement in measurements.chars() {
        let is_good = measurement == '+';
        failures += usize::from(!is_good);
        in_a_row = if is_good { in_a_row + 1 } else { 0 };
        if failures > failure_limit {
            return Theirs::Stop;
        }
        if consecutive_successes > 0 && in_a_row >= consecutive_successes {
            return Theirs::Go;
        }
    }
    if consecutive_successes == 0 { Theirs::Go } else { Theirs::Wait }
}

#[test]
fn argos_limits() {
    let gate = gate(5, 2_000, 10_000);
    let vectors = [
        // (measurements, failureLimit, consecutiveSuccessLimit), theirs, ours on as many votes
        (("+++++", 2, 5), Theirs::Go, PASS),
        (("++++", 2, 5), Theirs::Wait, OPEN),
        (("+-+-+", 2, 5), Theirs::Wait, OPEN),
        (("----", 2, 5), Theirs::Stop, FAIL),
        (("----", 3, 0), Theirs::Stop, FAIL),
        // Three failures may still be chance for ours, with five healthy as with none.
        (("---", 2, 5), Theirs::Stop, OPEN),
        // A failure is not forgotten for five successes after it, and never for reaching an end.
        (("-+++++", 2, 5), Theirs::Go, OPEN),
        (("++-++", 2, 0), Theirs::Go, OPEN),
        (("-+++++++++++++++++", 2, 5), Theirs::Go, PASS),
        // No measurement at all is no success.
        (("", 2, 0), Theirs::Go, OPEN),
    ];
    for ((measurements, failure_limit, in_a_row), theirs, ours) in vectors {
        assert_eq!(argo(measurements, failure_limit, in_a_row), theirs, "{measurements}");
        let count = |sign| measurements.chars().filter(|measurement| *measurement == sign).count() as u64;
        assert_eq!(judged(&gate, (count('-'), count('+'), 0), 0).0, ours, "{measurements}");
    }
}
