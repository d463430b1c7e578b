//! TEMPORARY
#![allow(missing_docs)]
use crate::model::{Evidence, Gate, HaltCause, RolloutId};
use jiff::Timestamp;
pub struct Health;
pub struct Counts {
    pub offered: u64,
}
pub struct Question<'a> {
    pub gate: &'a Gate,
    pub rollout: RolloutId,
    pub ring: usize,
    pub baseline: Option<(RolloutId, usize)>,
    pub population: u64,
    pub now: Timestamp,
    pub passed_by_signal: bool,
}
pub enum Verdict {
    Pass,
    Fail(HaltCause),
    Inconclusive,
}
impl Health {
    pub fn verdict(&self, q: &Question<'_>) -> (Verdict, Evidence) {
        let _ = (q.gate, q.rollout, q.ring, q.baseline, q.population, q.now, q.passed_by_signal);
        (Verdict::Inconclusive, Evidence::default())
    }
    pub fn total(&self, _: RolloutId, _: Timestamp) -> Counts {
        Counts { offered: 0 }
    }
}
