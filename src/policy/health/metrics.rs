//! Usage metrics of a ring's devices: histograms from which a median can be read.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Bound, MetricName, MetricValue};

/// The most metrics of a ring where nobody said which are watched.
const METRICS_MAX: usize = 64;
/// Buckets an octave, as a power of two: a bucket is at most a sixteenth as wide as its values.
const STEPS_LOG2: u32 = 4;

/// How many devices showed which value, in buckets of at most 6.25 %.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: BTreeMap<u16, u32>,
    values: u64,
}

/// The bucket of a median: from `low` to `high` thousandths, both within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Median {
    pub(super) low: u64,
    pub(super) high: u64,
}

impl Histogram {
    fn add(&mut self, value: MetricValue) {
        let count = self.buckets.entry(bucket_of(value.milli())).or_default();
        *count = count.saturating_add(1);
        self.values += 1;
    }

    /// How many devices showed a value.
    pub(super) fn values(&self) -> u64 {
        self.values
    }

    /// The bucket in which the middle value lies, the lower one of two.
    pub(super) fn median(&self) -> Option<Median> {
        let mut seen = 0;
        for (&bucket, count) in &self.buckets {
            seen += u64::from(*count);
            if seen * 2 >= self.values {
                return Some(Median { low: start_of(bucket), high: start_of(bucket + 1).saturating_sub(1) });
            }
        }
        None
    }
}

/// Values below 16 have a bucket each; above, each octave has 16.
fn bucket_of(value: u64) -> u16 {
    let octave = value.checked_ilog2().unwrap_or(0).saturating_sub(STEPS_LOG2);
    // At most 60 octaves of 16, and 16 more.
    ((octave << STEPS_LOG2) as u64 + (value >> octave)) as u16
}

/// The first value of a bucket.
fn start_of(bucket: u16) -> u64 {
    let octave = (u32::from(bucket) >> STEPS_LOG2).saturating_sub(1);
    let step = u64::from(bucket) - u64::from(octave << STEPS_LOG2);
    step.checked_shl(octave).filter(|start| start >> octave == step).unwrap_or(u64::MAX)
}

/// The metrics of one ring.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    by_name: BTreeMap<MetricName, Histogram>,
}

impl Metrics {
    /// Counts one device's values: those watched, or where nobody said which, any up to a bound.
    pub(super) fn add(&mut self, metrics: &BTreeMap<MetricName, MetricValue>, watched: Option<&BTreeSet<MetricName>>) {
        for (name, value) in metrics {
            if watched.is_some_and(|watched| !watched.contains(name)) {
                continue;
            }
            if let Some(histogram) = self.by_name.get_mut(name) {
                histogram.add(*value);
            } else if watched.is_some() || self.by_name.len() < METRICS_MAX {
                self.by_name.entry(name.clone()).or_default().add(*value);
            }
        }
    }

    pub(super) fn get(&self, name: &MetricName) -> Option<&Histogram> {
        self.by_name.get(name)
    }
}

/// The lowest and the highest value that a bound can stand for, in thousandths; `None` without the baseline it needs.
pub(super) fn bound_range(bound: Bound, baseline: Option<Median>) -> Option<(u64, u64)> {
    let times =
        |value: u64, factor: u64| u64::try_from(u128::from(value) * u128::from(factor) / 1_000).unwrap_or(u64::MAX);
    match bound {
        Bound::Milli(value) => Some((value, value)),
        Bound::TimesMilli(factor) => baseline.map(|median| (times(median.low, factor), times(median.high, factor))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_lies_in_its_narrow_bucket(value in prop_oneof![0u64..2_000, any::<u64>(), 0u64..1_000_000_000_000_000]) {
            let bucket = bucket_of(value);
            let (low, high) = (start_of(bucket), start_of(bucket + 1).saturating_sub(1));
            prop_assert!(low <= value && (value <= high || high == u64::MAX - 1), "{low} {value} {high}");
            prop_assert!(u128::from(high - low) * 16 <= u128::from(low), "{low} {high}");
        }

        #[test]
        fn the_median_is_that_of_a_sorted_list(values in prop::collection::vec(0.0..1e6f64, 1..200)) {
            let mut histogram = Histogram::default();
            let mut sorted: Vec<MetricValue> = values.iter().filter_map(|value| MetricValue::new(*value)).collect();
            sorted.iter().for_each(|value| histogram.add(*value));
            sorted.sort();
            let middle = sorted[(sorted.len() - 1) / 2].milli();
            let median = histogram.median().unwrap();
            prop_assert!(median.low <= middle && middle <= median.high, "{median:?} {middle}");
        }
    }

    #[test]
    fn invented_names_are_bounded() {
        let mut metrics = Metrics::default();
        let one = MetricValue::new(1.0).unwrap();
        for number in 0..200 {
            metrics.add(&BTreeMap::from([(format!("m{number}").parse().unwrap(), one)]), None);
        }
        assert_eq!(metrics.by_name.len(), METRICS_MAX);
        let watched = BTreeSet::from(["cpu".parse().unwrap()]);
        metrics.add(&BTreeMap::from([("cpu".parse().unwrap(), one), ("x".parse().unwrap(), one)]), Some(&watched));
        assert_eq!(metrics.get(&"cpu".parse().unwrap()).unwrap().values(), 1);
        assert!(metrics.get(&"x".parse().unwrap()).is_none());
    }
}
