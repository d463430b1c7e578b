//! Wald's sequential probability ratio test: how much the votes so far speak for a bad release rather than a good one.
//!
//! Source: Abraham Wald, "Sequential Tests of Statistical Hypotheses", Annals of Mathematical Statistics 16, 1945. The
//! ratio may be looked at after every vote: under the good hypothesis it ever exceeds `1/α` with a probability of at
//! most `α`, and under the bad one it ever falls below `β` with a probability of at most `β`.

use crate::model::{BasisPoints, Gate};

/// The smallest limit that is tested for, half a basis point: a limit of nothing still needs two shares to compare.
const LIMIT_MIN: f64 = 0.000_05;

/// Two shares of bad devices to tell apart: `good` below `bad`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sprt {
    /// What one bad device adds to the logarithm of the ratio.
    up: f64,
    /// What one good device takes from it.
    down: f64,
}

impl Sprt {
    /// Shares outside `0..1`, or not in order, are moved to the nearest that can be told apart.
    pub(super) fn new(good: f64, bad: f64) -> Self {
        let good = good.clamp(LIMIT_MIN / 100.0, 0.99);
        let bad = bad.clamp(good * 1.001, 0.999);
        Self { up: (bad / good).ln(), down: ((1.0 - good) / (1.0 - bad)).ln() }
    }

    /// The test of failures. `usual` is the share of the release before, where enough of it is known: a release is good
    /// that fails as often, and bad that fails more often by the limit.
    pub(super) fn of_failures(limit: BasisPoints, usual: Option<f64>) -> Self {
        let good = usual_share(limit, usual);
        Self::new(good, good + 0.9 * fraction(limit))
    }

    /// The test of silence.
    pub(super) fn of_silence(limit: BasisPoints) -> Self {
        Self::new(fraction(limit) / 5.0, fraction(limit))
    }

    /// The logarithm of the likelihood ratio of the bad share against the good one.
    pub(super) fn ratio(self, bad: u64, good: u64) -> f64 {
        bad as f64 * self.up - good as f64 * self.down
    }

    /// Whether the votes say that the share is the bad one, wrongly so with a probability of at most `alpha`.
    pub(super) fn is_likely(self, bad: u64, good: u64, alpha: f64) -> bool {
        // A limit's shares are ten to one, so that powers of ten are met exactly but for rounding.
        self.ratio(bad, good) >= (1.0 / alpha).ln() - 1e-9
    }

    /// How many good devices outweigh `bad` bad ones as much as `samples` good ones outweigh none.
    pub(super) fn good_needed(self, samples: u64, bad: u64) -> u64 {
        // Without a bad one this is exact: a division could round it up by one.
        if bad == 0 { samples } else { samples + (bad as f64 * self.up / self.down).ceil() as u64 }
    }
}

/// The share of failing devices that a good release is taken to have: the one before's, at least a tenth of the limit
/// and at most the limit.
pub(super) fn usual_share(limit: BasisPoints, usual: Option<f64>) -> f64 {
    let limit = fraction(limit);
    usual.unwrap_or(0.0).clamp(limit / 10.0, limit)
}

fn fraction(limit: BasisPoints) -> f64 {
    limit.as_fraction().max(LIMIT_MIN)
}

/// The probability that a gate passes a release whose devices fail at its limit, at most, where nothing is known of the
/// release before: what its `samples` are worth.
pub fn pass_error(gate: &Gate) -> f64 {
    (-f64::from(gate.samples) * Sprt::of_failures(gate.failures, None).down).exp()
}

/// The samples with which a gate passes a release whose devices fail at its limit with a probability of at most `beta`.
pub fn samples_for(gate: &Gate, beta: f64) -> u32 {
    let samples = (-beta.clamp(1e-12, 1.0).ln() / Sprt::of_failures(gate.failures, None).down).ceil();
    // Saturates, and a gate without samples would be none.
    (samples as u32).max(1)
}
