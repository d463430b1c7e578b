//! What a gate makes of the votes: pass, fail or inconclusive, with the evidence in one sentence.
//!
//! Everything that halts or promotes is measured against the devices the open waves admit, not only against those that
//! have spoken: a minority that votes first must decide nothing.

use jiff::Timestamp;

use super::Health;
use super::counts::{Counts, Ring, Tally};
use super::metrics::bound_range;
use super::sprt::{Sprt, usual_share};
use super::words::{devices, milli, percent};
use crate::model::{BasisPoints, Bound, Evidence, Gate, HaltCause, MetricBand, RolloutId};

/// The probability of halting a good release for its failures, and for its silence.
const ALPHA: f64 = 1e-4;
/// The fewest concluded devices of the release before that say how often devices fail.
const BASELINE_MIN: u64 = 20;
/// The fewest values a metric's median is taken of.
const VALUES_MIN: u64 = 5;
/// The share of a wave's devices, as a fraction of 1, that can promote nothing, however they vote.
pub const MINORITY: f64 = 0.01;
/// The share of a wave's devices a metric's median needs: of this many, the minority is a fifth at most.
const METERED_SHARE: f64 = 5.0 * MINORITY;

/// What a gate is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The gate.
    pub gate: &'a Gate,
    /// The rollout.
    pub rollout: RolloutId,
    /// The ring's place in its plan.
    pub ring: usize,
    /// The rollout of the release before in the same ring, and the ring's place in its plan.
    pub baseline: Option<(RolloutId, usize)>,
    /// How many devices of the inventory the open waves of the ring admit; 0 where that is unknown.
    pub population: u64,
    /// The time.
    pub now: Timestamp,
    /// Whether a monitoring system lets it pass unless devices say otherwise.
    pub passed_by_signal: bool,
}

/// A gate's answer. Bake times are not its business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The next wave may open.
    Pass,
    /// The rollout has to halt.
    Fail(HaltCause),
    /// Not enough is known; that never advances anything.
    Inconclusive,
}

impl Health {
    /// The answer of a gate, and what it was given on.
    pub fn verdict(&self, question: &Question<'_>) -> (Verdict, Evidence) {
        let known = self.tally(question.rollout);
        let Some((tally, ring)) = known.and_then(|tally| Some((tally, tally.rings.get(question.ring)?))) else {
            let detail = "no votes are counted for this ring of the rollout".to_owned();
            return (Verdict::Inconclusive, Counts::default().evidence(detail));
        };
        let before = question.baseline.and_then(|(rollout, ring)| self.tally(rollout)?.rings.get(ring));
        let case = Case::new(question, tally, ring, before);
        let (verdict, detail) = case
            .failures()
            .or_else(|| case.silence())
            .or_else(|| case.cluster())
            .or_else(|| case.metrics())
            .unwrap_or_else(|| case.pass());
        (verdict, case.counts.evidence(detail))
    }
}

/// A question with what is known.
struct Case<'a> {
    question: &'a Question<'a>,
    gate: &'a Gate,
    tally: &'a Tally,
    ring: &'a Ring,
    before: Option<&'a Ring>,
    counts: Counts,
    /// The share of failing devices of the release before.
    usual: Option<f64>,
    sprt: Sprt,
    /// The devices that shares are shares of.
    whole: u64,
}

impl<'a> Case<'a> {
    fn new(question: &'a Question<'a>, tally: &'a Tally, ring: &'a Ring, before: Option<&'a Ring>) -> Self {
        let (gate, counts) = (question.gate, ring.counts(question.now));
        let usual = before
            .map(|before| before.counts(question.now))
            .filter(|before| before.concluded() >= BASELINE_MIN)
            .map(|before| before.bad() as f64 / before.concluded() as f64);
        let sprt = Sprt::of_failures(gate.failures, usual);
        let whole = question.population.max(counts.offered);
        Self { question, gate, tally, ring, before, counts, usual, sprt, whole }
    }

    fn failures(&self) -> Option<(Verdict, String)> {
        let (bad, concluded) = (self.counts.bad(), self.counts.concluded());
        let is_likely = self.sprt.is_likely(bad, self.counts.healthy, ALPHA);
        (is_likely && self.is_above(bad, self.gate.failures)).then(|| {
            let (share, limit) = (percent(bad, concluded), self.gate.failures);
            let detail = format!("{bad} of {} failed ({share}); the limit is {limit}", devices(concluded));
            (Verdict::Fail(HaltCause::Failures), detail)
        })
    }

    fn silence(&self) -> Option<(Verdict, String)> {
        let (silent, concluded) = (self.counts.silent, self.counts.concluded());
        let is_likely = Sprt::of_silence(self.gate.silence).is_likely(silent, concluded, ALPHA);
        (is_likely && self.is_above(silent, self.gate.silence)).then(|| {
            let due = silent + concluded;
            let (share, limit) = (percent(silent, due), self.gate.silence);
            let detail = format!("{silent} of {} fell silent ({share}); the limit is {limit}", devices(due));
            (Verdict::Fail(HaltCause::Silence), detail)
        })
    }

    fn cluster(&self) -> Option<(Verdict, String)> {
        let limit = self.gate.failures.as_fraction();
        let usual = usual_share(self.gate.failures, self.usual).max(limit / 2.0);
        let found = self.tally.clusters.worst(usual, &self.tally.total(self.question.now))?;
        let detail = format!("{} of {} with {} failed", found.bad, devices(found.concluded), found.shared);
        Some((Verdict::Fail(HaltCause::Cluster { shared: found.shared }), detail))
    }

    fn metrics(&self) -> Option<(Verdict, String)> {
        self.gate.metrics.iter().find_map(|band| {
            let detail = self.out_of_band(band)?;
            Some((Verdict::Fail(HaltCause::Metric { metric: band.metric.clone() }), detail))
        })
    }

    /// What is wrong with a metric. Where its bucket and the bound's overlap nothing is: a halt must be sure.
    fn out_of_band(&self, band: &MetricBand) -> Option<String> {
        let enough = u64::from(self.gate.samples).max(VALUES_MIN);
        let values = self.ring.metrics.get(&band.metric).filter(|values| values.values() >= enough)?;
        if (values.values() as f64) < METERED_SHARE * self.whole as f64 {
            return None;
        }
        let median = values.median()?;
        let before = self.before.and_then(|before| before.metrics.get(&band.metric));
        let baseline = before.filter(|values| values.values() >= enough).and_then(|values| values.median());
        let range = |bound: Option<Bound>| bound.and_then(|bound| bound_range(bound, baseline));
        let wrong = match (range(band.low), range(band.high)) {
            (_, Some((_, high))) if median.low > high => format!("above {}", milli(high)),
            (Some((low, _)), _) if median.high < low => format!("below {}", milli(low)),
            _ => return None,
        };
        let middle = milli(median.low.midpoint(median.high));
        Some(format!("the median of {} over {} is about {middle}, {wrong}", band.metric, devices(values.values())))
    }

    /// Pass or inconclusive, once nothing has failed.
    fn pass(&self) -> (Verdict, String) {
        let Counts { healthy, silent, .. } = self.counts;
        let (bad, concluded) = (self.counts.bad(), self.counts.concluded());
        let due = silent + concluded;
        if silent > 0 && is_share_above(silent, due, self.gate.silence) {
            let (share, limit) = (percent(silent, due), self.gate.silence);
            let detail = format!("{silent} of {} are silent ({share}); above {limit} nothing passes", devices(due));
            return (Verdict::Inconclusive, detail);
        }
        let needed = self.needed();
        let failed =
            if bad == 0 { "none failed".to_owned() } else { format!("{bad} failed ({})", percent(bad, concluded)) };
        if self.question.passed_by_signal {
            return (Verdict::Pass, format!("passed by a signal; {} are healthy, {failed}", devices(healthy)));
        }
        if healthy >= needed {
            return (Verdict::Pass, format!("{healthy} of {needed} healthy devices are in; {failed}"));
        }
        if self.is_carried() {
            let detail = format!("{} are healthy here and the other rings stand surety; {failed}", devices(healthy));
            return (Verdict::Pass, detail);
        }
        let population = self.question.population;
        let narrow = if population > 0 && needed > population {
            format!("; the open waves admit only {population}")
        } else {
            String::new()
        };
        (Verdict::Inconclusive, format!("{healthy} of {needed} healthy devices are in; {failed}{narrow}"))
    }

    /// The healthy devices the ring needs: the gate's samples, more for each that failed, and more than a minority.
    fn needed(&self) -> u64 {
        self.sprt.good_needed(self.samples(), self.counts.bad()).max(self.above_minority())
    }

    /// Whether the votes of all rings let this one pass: it has its samples, and they do not speak against it.
    fn is_carried(&self) -> bool {
        let all = self.tally.total(self.question.now);
        self.counts.concluded() >= self.samples()
            && self.counts.healthy >= self.above_minority()
            && self.sprt.ratio(self.counts.bad(), self.counts.healthy) <= 0.0
            && all.healthy >= self.sprt.good_needed(self.samples(), all.bad())
    }

    /// At least one: without a vote nothing passes.
    fn samples(&self) -> u64 {
        u64::from(self.gate.samples).max(1)
    }

    fn above_minority(&self) -> u64 {
        (MINORITY * self.whole as f64) as u64 + 1
    }

    /// Whether a number of devices is above a share of the whole.
    fn is_above(&self, part: u64, limit: BasisPoints) -> bool {
        is_share_above(part, self.whole, limit)
    }
}

/// Whether `part` of `whole` is above a share, exactly.
fn is_share_above(part: u64, whole: u64, limit: BasisPoints) -> bool {
    u128::from(part) * 10_000 > u128::from(whole) * u128::from(limit.get())
}
