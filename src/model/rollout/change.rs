//! The steps of a rollout, as the journal has them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{MetricName, RolloutId};
use crate::model::{Actor, GroupName, Reason, RingName};

/// What was known of a ring when its gate spoke: numbers of devices, each counted once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Devices that were offered the release.
    pub offered: u64,
    /// Those of them that said they fetched it.
    pub fetched: u64,
    /// Those that said they installed it.
    pub installed: u64,
    /// Those that last said they are healthy.
    pub healthy: u64,
    /// Those that said they failed.
    pub failed: u64,
    /// Those that went back to the version before.
    pub rolled_back: u64,
    /// Those whose deadline for a report has passed without one.
    pub silent: u64,
    /// What the gate made of it, as one sentence.
    pub detail: String,
}

/// Why a rollout was halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case", deny_unknown_fields)]
pub enum HaltCause {
    /// A person.
    Person,
    /// A monitoring system or an incident.
    Signal {
        /// Which.
        source: String,
    },
    /// Too many devices failed.
    Failures,
    /// Too many devices fell silent.
    Silence,
    /// Devices that share an attribute or tag failed together.
    Cluster {
        /// What they share, such as `attr.model=X1` or `tag=kiosk`.
        shared: String,
    },
    /// A usage metric left its band.
    Metric {
        /// Which.
        metric: MetricName,
    },
}

/// What a monitoring system says of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateSignal {
    /// Let the wave pass once its bake time is over, unless devices say otherwise.
    Pass,
    /// Halt.
    Fail,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum RolloutChange {
    /// Its first wave may open.
    Started,
    /// A person approved it.
    Approved,
    /// A ring that no device can be in was passed over.
    RingPassedOver {
        /// Which.
        ring: RingName,
    },
    /// A wave opened.
    WaveOpened {
        /// The ring; for a rollback, which takes all rings at once, the first of its plan.
        ring: RingName,
        /// Its place among the ring's waves, from 0.
        wave: u32,
        /// How many devices of the inventory are in the ring.
        devices: u64,
        /// How many are in each of its groups that has a rate.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        rated: BTreeMap<GroupName, u64>,
    },
    /// A wave's gate passed, or a person promoted it.
    WavePassed {
        /// The ring.
        ring: RingName,
        /// The wave.
        wave: u32,
        /// What was known.
        evidence: Evidence,
    },
    /// A wave's gate has been without a verdict for too long.
    Overdue {
        /// The ring.
        ring: RingName,
        /// The wave.
        wave: u32,
        /// What was known.
        evidence: Evidence,
    },
    /// A monitoring system or an incident spoke.
    Signalled {
        /// What it said.
        signal: GateSignal,
        /// Who or what it was.
        source: String,
        /// Why.
        reason: Reason,
    },
    /// No further device is admitted until it is resumed.
    Paused {
        /// Why.
        reason: Reason,
    },
    /// It goes on after a pause or a halt.
    Resumed {
        /// Why.
        reason: Reason,
    },
    /// Nobody gets the release any more.
    Halted {
        /// What made it.
        cause: HaltCause,
        /// In words.
        reason: Reason,
        /// What was known.
        evidence: Evidence,
    },
    /// All rings have passed: everyone may have it.
    Completed,
    /// A newer rollout took its place.
    Superseded {
        /// Which.
        by: RolloutId,
    },
    /// Its release is gone back from.
    RolledBack {
        /// The rollback.
        by: RolloutId,
    },
    /// Its time was up, or a person ended it.
    Ended {
        /// Why.
        reason: Reason,
    },
}

/// A step with its time and author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutStep {
    /// The journal sequence of its event.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// What.
    pub change: RolloutChange,
}

impl fmt::Display for HaltCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person => f.write_str("a person"),
            Self::Signal { source } => write!(f, "a signal from {source}"),
            Self::Failures => f.write_str("failures"),
            Self::Silence => f.write_str("silence"),
            Self::Cluster { shared } => write!(f, "failures of devices with {shared}"),
            Self::Metric { metric } => write!(f, "the metric {metric}"),
        }
    }
}
