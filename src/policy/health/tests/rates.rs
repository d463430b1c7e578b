//! The error rates of the sequential test, by simulation.

use super::sprt::Sprt;
use super::*;

const LIMIT: BasisPoints = BasisPoints::new(200);
const ALPHA: f64 = 1e-4;

fn runs() -> u64 {
    if is_full_tier() { 1_000_000 } else { 20_000 }
}

/// How many healthy devices come before the next failing one.
fn healthy_before_a_failure(draws: &mut Draws, share: f64) -> u64 {
    let uniform = ((draws.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    (uniform.ln() / (1.0 - share).ln()) as u64
}

#[test]
fn a_good_release_is_rarely_halted() {
    let sprt = Sprt::of_failures(LIMIT, None);
    let mut draws = Draws(1);
    let halted = (0..runs())
        .filter(|_| {
            let (mut bad, mut healthy) = (0, 0);
            while bad + healthy < 5_000 {
                healthy += healthy_before_a_failure(&mut draws, 0.002);
                bad += 1;
                if sprt.is_likely(bad, healthy, ALPHA) {
                    return true;
                }
            }
            false
        })
        .count();
    // Wald's bound is α; its own spread lets as many as α n + 4 √(α n) be seen.
    let expected = ALPHA * runs() as f64;
    assert!(halted as f64 <= expected + 4.0 * expected.sqrt(), "{halted} of {}", runs());
}

#[test]
fn a_bad_release_rarely_passes_and_is_halted_soon() {
    let gate = Gate { failures: LIMIT, ..gate(samples_for(&gate(1, 200, 0), 0.05), 200, 0) };
    let sprt = Sprt::of_failures(LIMIT, None);
    let (mut draws, mut passed, mut failed) = (Draws(2), 0u64, 0u64);
    for _ in 0..runs() {
        let (mut bad, mut healthy) = (0, 0);
        loop {
            let needed = sprt.good_needed(u64::from(gate.samples), bad);
            healthy += healthy_before_a_failure(&mut draws, 0.02);
            if healthy >= needed {
                passed += 1;
                break;
            }
            bad += 1;
            if sprt.is_likely(bad, healthy, ALPHA) {
                failed += bad;
                break;
            }
        }
    }
    assert!(passed as f64 <= 0.05 * runs() as f64, "{passed} of {}", runs());
    assert!(passed as f64 >= 0.01 * runs() as f64, "{passed}: far fewer than Wald's bound; the simulation is wrong");
    let mean = failed as f64 / (runs() - passed) as f64;
    assert!((4.0..9.0).contains(&mean), "halted after {mean} failures");
}

#[test]
fn what_devices_do_usually_is_told_from_the_limit() {
    for (limit, usual) in [(0, 0.0), (1, 1.0), (200, 0.5), (9_999, 0.9), (10_000, 1.0), (200, f64::MIN_POSITIVE)] {
        let sprt = Sprt::of_failures(BasisPoints::new(limit), Some(usual));
        assert!(sprt.ratio(1, 0) > 0.0 && sprt.ratio(0, 1) < 0.0, "{limit} {usual}");
        assert!(sprt.ratio(1_000, 1_000).is_finite());
    }
}
