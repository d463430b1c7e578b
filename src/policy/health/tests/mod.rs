//! Tests of tallies and verdicts. `model` is the slow oracle that keeps everything.

mod malicious;
mod model;
mod oracles;
mod rates;
mod speed;
mod tallies;
mod verdicts;

use std::collections::BTreeMap;
use std::iter::empty;

use jiff::Timestamp;

use super::*;
use crate::model::{BasisPoints, Evidence, Gate};

/// The rollout most tests have, its sequence, and the deadline of its one ring.
const ROLLOUT: RolloutId = 10;
const SEQUENCE: u64 = 3;
const WITHIN_S: u64 = 3_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000_000 + second).unwrap()
}

/// A well-spread key, as a keyed hash would give.
fn key(number: u64) -> DeviceKey {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    DeviceKey((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

fn gate(samples: u32, failures: u16, silence: u16) -> Gate {
    Gate {
        samples,
        failures: BasisPoints::new(failures),
        silence: BasisPoints::new(silence),
        within: Span::from_secs(WITHIN_S),
        timeout: Span::from_secs(86_400),
        metrics: Vec::new(),
    }
}

/// Watches [`ROLLOUT`] with this many rings.
fn watching(rings: usize) -> Health {
    let mut health = Health::new();
    health.watch(ROLLOUT, SEQUENCE, &vec![Some(Span::from_secs(WITHIN_S)); rings]);
    health
}

/// Offers the release to `devices` in ring 0, all at time 0.
fn offer(health: &mut Health, devices: std::ops::Range<u64>) {
    for number in devices {
        assert_eq!(health.offered(key(number), ROLLOUT, 0, at(0), empty()), Counted::New);
    }
}

fn report(health: &mut Health, devices: std::ops::Range<u64>, event: ReportEvent) {
    for number in devices {
        health.reported(key(number), SEQUENCE, event, &BTreeMap::new(), empty());
    }
}

fn question(gate: &Gate, population: u64, second: i64) -> Question<'_> {
    Question { gate, rollout: ROLLOUT, ring: 0, baseline: None, population, now: at(second), passed_by_signal: false }
}

/// One ring with these votes: bad, healthy, and offered but silent devices; and what the gate says.
fn judged(gate: &Gate, (bad, healthy, silent): (u64, u64, u64), population: u64) -> (Verdict, Evidence) {
    let mut health = watching(1);
    offer(&mut health, 0..bad + healthy + silent);
    report(&mut health, 0..bad, ReportEvent::Failed);
    report(&mut health, bad..bad + healthy, ReportEvent::Healthy);
    health.verdict(&question(gate, population, 7_200))
}

fn is_fail(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fail(_))
}

fn is_full_tier() -> bool {
    std::env::var("RINGFENCE_TIER").is_ok_and(|tier| tier == "full")
}

/// A small generator with a seed (SplitMix64), so that a simulation can be repeated.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
