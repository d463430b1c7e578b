//! Many seeds of everything that may go wrong: nothing is promoted early, and nothing panics.

use super::*;
use crate::model::{Event, RolloutChange};
use crate::policy::simulate::Poison;
use crate::policy::simulate::random::{draw, unit};

/// A number below `end`, for one purpose of one seed.
fn below(seed: u64, purpose: u64, end: u64) -> u64 {
    draw(seed, 0, 1_000 + purpose) % end
}

/// Clocks that step by a second to ten years either way, servers that are down, reports that come twice and late.
fn upsets(seed: u64) -> Upsets {
    let step_s = [1, 60, 3_600, 86_400, 31_557_600, 315_576_000][below(seed, 1, 6) as usize];
    let step_s = if below(seed, 2, 2) == 0 { step_s } else { -step_s };
    let (from, back) = (below(seed, 3, 600) as u32, below(seed, 4, 600) as u32);
    let down = below(seed, 5, 900) as u32;
    Upsets {
        down: std::iter::once(down..down + below(seed, 6, 240) as u32 + 1).collect(),
        clock: vec![(from, step_s), (from + back + 1, 0)],
        twice: unit(seed, 0, 1_007),
        late_max_minutes: below(seed, 8, 90) as u32,
    }
}

/// The evidence on which the new release's waves passed: (ring, healthy devices).
fn passes(run: &Run) -> Vec<(String, u64)> {
    let first = new_plan_seq(run);
    let passed = run.records.iter().filter(|record| record.seq > first).filter_map(|record| match &record.event {
        Event::RolloutChanged { change: RolloutChange::WavePassed { ring, evidence, .. }, .. } => {
            Some((ring.to_string(), evidence.healthy))
        }
        _ => None,
    });
    passed.collect()
}

/// The number of the event that planned the new release's rollout: the second plan there is.
fn new_plan_seq(run: &Run) -> u64 {
    let plans = run.records.iter().filter(|record| matches!(record.event, Event::RolloutPlanned { .. }));
    plans.map(|record| record.seq).nth(1).unwrap()
}

#[test]
fn a_canary_that_dies_never_opens_the_next_ring() {
    for seed in 0..seeds(50, 10_000) {
        let fault = Fault { silent_rate: 1.0, ..Fault::default() };
        let one = Scenario { fault, upsets: upsets(seed), ..with_canaries(WAVES, 100, 300, seed) };
        let run = run(&one);
        assert!(run.openings.iter().all(|opening| opening.ring == "canary"), "seed {seed}: {:?}", run.openings);
        assert!(run.hit() <= 100, "seed {seed}");
    }
}

#[test]
fn a_canary_that_fails_never_opens_the_next_ring() {
    for seed in 0..seeds(50, 10_000) {
        let fault = Fault { failure_rate: 1.0, ..Fault::default() };
        let one = Scenario { fault, upsets: upsets(seed), ..with_canaries(WAVES, 100, 300, seed) };
        let run = run(&one);
        assert!(run.openings.iter().all(|opening| opening.ring == "canary"), "seed {seed}: {:?}", run.openings);
    }
}

#[test]
fn whatever_the_clock_and_the_network_do_no_wave_passes_without_its_samples() {
    let mut completed = 0;
    for seed in 0..seeds(50, 10_000) {
        let one = Scenario { upsets: upsets(seed), ..with_canaries(WAVES, 100, 600, seed) };
        let run = run(&one);
        for (ring, healthy) in passes(&run) {
            assert!(healthy >= 20, "seed {seed}: {ring} passed with {healthy}");
        }
        completed += u64::from(run.completed_minute.is_some());
    }
    assert!(completed > 0, "the sweep never saw a rollout end");
}

#[test]
fn silent_rings_promote_nothing() {
    for seed in 0..seeds(50, 10_000) {
        let fault = Fault { usual_silence: 1.0, usual_failures: 0.0, ..Fault::default() };
        let run = run(&Scenario { fault, ..with_canaries(WAVES, 60, 200, seed) });
        assert!(run.openings.len() <= 1 && run.completed_minute.is_none(), "seed {seed}");
    }
}

#[test]
fn a_few_liars_neither_halt_nor_promote() {
    let mut halts = 0;
    let all = seeds(50, 10_000);
    for seed in 0..all {
        let poison = Some((0.009, Poison::Failed));
        let fault = Fault { poison, usual_failures: 0.0, ..Fault::default() };
        let good = run(&Scenario { fault, ..with_canaries(WAVES, 500, 1_500, seed) });
        halts += u64::from(good.halt.is_some());
        let poison = Some((0.009, Poison::Healthy));
        let fault = Fault { silent_rate: 1.0, poison, ..Fault::default() };
        let bad = run(&Scenario { fault, ..with_canaries(WAVES, 500, 1_500, seed) });
        assert!(bad.openings.iter().all(|opening| opening.ring == "canary"), "seed {seed}");
    }
    assert!(halts * 500 <= all, "{halts} of {all} good releases were halted by liars");
}

#[test]
fn healthy_releases_are_not_halted() {
    let all = seeds(50, 10_000);
    let halted: Vec<u64> =
        (0..all).filter(|seed| run(&with_canaries(WAVES, 200, 1_000, *seed)).halt.is_some()).collect();
    assert!(halted.len() as u64 * 1_000 <= all, "seeds {halted:?}");
}
