//! Figures of rollouts, counted from the state when metrics are asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::model::{Rollout, RolloutChange, Snapshot};
use crate::policy::rollout::{RolloutState, standing};

/// What is counted of all products.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RolloutFigures {
    /// Halts ever, by product.
    pub(super) halts: BTreeMap<String, u64>,
    /// Rollouts that still move or can be made to, by product and state.
    pub(super) live: BTreeMap<(String, &'static str), i64>,
    /// Live rollouts whose open wave is without a verdict for too long, by product.
    pub(super) overdue: BTreeMap<String, i64>,
    /// Products that are frozen.
    pub(super) frozen: BTreeMap<String, i64>,
}

pub(super) fn figures(snapshot: &Snapshot, now: Timestamp) -> RolloutFigures {
    let mut figures = RolloutFigures::default();
    for product in snapshot.products() {
        let name = product.product().name.to_string();
        if product.freezes().iter().any(|freeze| freeze.is_active_at(now)) {
            figures.frozen.insert(name.clone(), 1);
        }
        for rollout in product.rollouts() {
            let is_halt = |change: &RolloutChange| matches!(change, RolloutChange::Halted { .. });
            let halts = rollout.steps().iter().filter(|step| is_halt(&step.change)).count() as u64;
            *figures.halts.entry(name.clone()).or_default() += halts;
            let state = standing(product, rollout, now).state;
            if state.is_live() {
                *figures.live.entry((name.clone(), state.as_str())).or_default() += 1;
                *figures.overdue.entry(name.clone()).or_default() += i64::from(is_overdue(rollout, state));
            }
        }
    }
    figures
}

/// Whether the last thing that happened to its waves is that one was without a verdict for too long.
fn is_overdue(rollout: &Rollout, state: RolloutState) -> bool {
    let waves = rollout.steps().iter().rev().find_map(|step| match &step.change {
        RolloutChange::Overdue { .. } => Some(true),
        RolloutChange::WaveOpened { .. } | RolloutChange::WavePassed { .. } => Some(false),
        _ => None,
    });
    state == RolloutState::Evaluating && waves == Some(true)
}

pub(super) fn encode_rollouts(
    encoder: &mut DescriptorEncoder<'_>,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<(), std::fmt::Error> {
    let RolloutFigures { halts, live, overdue, frozen } = figures(snapshot, now);
    let name = "ringfence_rollout_halts";
    let mut family = encoder.encode_descriptor(name, "Halts of rollouts", None, MetricType::Counter)?;
    for (product, count) in halts {
        ConstCounter::new(count).encode(family.encode_family(&[("product", product)])?)?;
    }
    let help = "Rollouts that still move or can be made to";
    let mut family = encoder.encode_descriptor("ringfence_rollout_live", help, None, MetricType::Gauge)?;
    for ((product, state), count) in live {
        let labels = [("product", product), ("state", state.to_owned())];
        ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
    }
    let help = "Rollouts whose open wave is without a verdict for too long";
    let mut family = encoder.encode_descriptor("ringfence_rollout_overdue", help, None, MetricType::Gauge)?;
    for (product, count) in overdue {
        ConstGauge::new(count).encode(family.encode_family(&[("product", product)])?)?;
    }
    let help = "1 for a product that is frozen";
    let mut family = encoder.encode_descriptor("ringfence_rollout_frozen", help, None, MetricType::Gauge)?;
    for (product, count) in frozen {
        ConstGauge::new(count).encode(family.encode_family(&[("product", product)])?)?;
    }
    Ok(())
}
