//! Rollouts: one release moving through the rings under a plan, as the journal records it.
//!
//! A rollout carries the plan it was begun with, so that a later change of the policy does not move a running one, and
//! every step with its time, so that a decision for a past moment needs no replay. What this module deliberately does
//! not do: it computes no share of devices, no state and no verdict; those are the `policy` room's.

mod change;
mod history;
mod plan;
#[cfg(test)]
mod tests;

pub use change::{Evidence, GateSignal, HaltCause, RolloutChange, RolloutStep};
pub use history::{End, Opening, RingHistory, Rollout, Stop};
pub use plan::{Bound, Gate, MetricBand, MetricName, Plan, Promote, RingPlan, RollbackPlan, Strategy, Wave};

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{GroupName, Reason, Stamp};

/// A rollout's number: the journal sequence of the event that planned it.
pub type RolloutId = u64;

/// What a rollout is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum RolloutKind {
    /// A release on its ordinary way.
    Release,
    /// An emergency: its own waves and bake times, in place of deferral, cadence, ring and window.
    Expedite {
        /// Why this is an emergency, as the person who asked for it states it.
        criteria: Reason,
        /// The groups whose pin it beats; none unless they are named.
        #[serde(default)]
        pinned_groups: BTreeSet<GroupName>,
        /// Who may approve it, as the policy said when it was asked for.
        approvers: BTreeSet<String>,
        /// How many distinct people must approve.
        approvals_needed: u32,
        /// Until when it holds.
        expires_at: Timestamp,
    },
    /// The way down from a release to an earlier one.
    Rollback {
        /// The highest sequence that is gone back from.
        from: u64,
        /// The groups that go back; all where empty.
        #[serde(default)]
        groups: BTreeSet<GroupName>,
        /// How many devices it touches, as was known and, above the blast limit, confirmed.
        devices: u64,
        /// Whether the policy began it without a person.
        automatic: bool,
    },
}

impl RolloutKind {
    /// The word used in JSON and on the terminal.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Expedite { .. } => "expedite",
            Self::Rollback { .. } => "rollback",
        }
    }
}

/// No new exposure of anything of a product, until a person resets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Its number: the journal sequence of its event.
    pub id: u64,
    /// Since when, and by whom.
    pub frozen: Stamp,
    /// Why.
    pub reason: Reason,
    /// When, by whom and why it was reset.
    pub reset: Option<(Stamp, Reason)>,
}

impl Freeze {
    /// Whether it is in force at `at`.
    pub fn is_active_at(&self, at: Timestamp) -> bool {
        self.frozen.at <= at && self.reset.as_ref().is_none_or(|(stamp, _)| at < stamp.at)
    }
}
