//! A plan: for each ring its waves and its gate, frozen into the rollout that follows it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::model::name::{NameError, name};
use crate::model::{BasisPoints, RingName, Span};

name!(
    /// The name of a usage metric that devices report and a gate watches.
    MetricName,
    "metric name",
    "1 to 40 lower-case letters, digits and '_'",
    |text| {
        (1..=40).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    }
);

/// How a release takes a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Growing waves.
    #[default]
    Canary,
    /// The whole ring at once, with the old version kept ready; going back is one step, too.
    BlueGreen,
}

/// Who lets a release into a ring once the ring before has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promote {
    /// The gate.
    #[default]
    Automatic,
    /// A person.
    Manual,
}

/// A part of a ring that sees the release together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// The share of the ring that has the release at its end, earlier waves included.
    pub share: BasisPoints,
    /// The time over which the share grows evenly from that of the wave before; none: at once.
    #[serde(default)]
    pub over: Span,
    /// The least time from the end of `over` to the next wave.
    #[serde(default)]
    pub bake: Span,
}

/// A bound of a usage metric: as it is, or as a multiple of what the previous release shows in the same ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The value itself, in thousandths.
    Milli(u64),
    /// A multiple of the baseline, in thousandths.
    TimesMilli(u64),
}

/// The band that a metric's median over the devices must stay in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricBand {
    /// The metric.
    pub metric: MetricName,
    /// Not below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<Bound>,
    /// Not above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<Bound>,
}

/// What must be seen of a wave before the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// How many devices of the ring must have reported healthy, if none failed; each that failed asks for more.
    pub samples: u32,
    /// The share of failing devices, beyond the previous release's, that the gate must not let pass.
    pub failures: BasisPoints,
    /// The share of devices that were offered the release and fell silent that it must not let pass.
    pub silence: BasisPoints,
    /// How long after the offer a device has to report before it counts as silent.
    pub within: Span,
    /// How long a wave may stay without a verdict before an alert.
    pub timeout: Span,
    /// The usage metrics it watches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricBand>,
}

/// One ring of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RingPlan {
    /// The ring.
    pub ring: RingName,
    /// Its waves, at least one; shares grow, bake times never decrease, the last share is everything.
    pub waves: Vec<Wave>,
    /// What each wave must pass; without a gate the bake time alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Who lets a release into it.
    #[serde(default)]
    pub promote: Promote,
}

/// The rings in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// How each ring is taken.
    #[serde(default)]
    pub strategy: Strategy,
    /// The rings in order of exposure, at least one.
    pub rings: Vec<RingPlan>,
    /// How long after its completion late failures can still halt a release.
    #[serde(default)]
    pub watch: Span,
    /// Whether the policy lets a halt begin the way back without a person.
    #[serde(default)]
    pub rollback: RollbackPlan,
}

/// How releases of a class go back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackPlan {
    /// Whether a halt begins it by itself.
    pub automatic: bool,
    /// Its waves, the same for every ring at the same time.
    pub waves: Vec<Wave>,
    /// Above this many devices a person must confirm the number.
    pub blast_limit: u64,
    /// How many people other than whoever began it must approve the way back.
    #[serde(default, skip_serializing_if = "is_none")]
    pub approvals: u32,
}

fn is_none(approvals: &u32) -> bool {
    *approvals == 0
}

impl Default for RollbackPlan {
    fn default() -> Self {
        let wave = |share, bake| Wave { share: BasisPoints::new(share), over: Span::NONE, bake: Span::from_secs(bake) };
        Self { automatic: false, waves: vec![wave(1_000, 600), wave(10_000, 600)], blast_limit: 1_000, approvals: 0 }
    }
}

impl Plan {
    /// The place of a ring in it.
    pub fn ring(&self, ring: &RingName) -> Option<usize> {
        self.rings.iter().position(|plan| plan.ring == *ring)
    }
}
