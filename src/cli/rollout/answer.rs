//! The server's answers on rollouts, as far as they are put into words or drawn.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::{BasisPoints, Promote, Span, Stamp};

#[derive(Debug, Deserialize)]
pub(super) struct Rollouts {
    pub(super) rollouts: Vec<Rollout>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rollout {
    pub(super) id: u64,
    pub(super) product: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) state: String,
    #[serde(default)]
    pub(super) ring: Option<String>,
    #[serde(default)]
    pub(super) wave: Option<u32>,
    pub(super) share: BasisPoints,
    #[serde(default)]
    pub(super) baked_at: Option<Timestamp>,
    pub(super) planned: Stamp,
    #[serde(default)]
    pub(super) started_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) stopped: Option<Stopped>,
    #[serde(default)]
    pub(super) rings: Vec<Ring>,
    #[serde(default)]
    pub(super) approvals: Vec<Stamp>,
    #[serde(default)]
    pub(super) emergency: Option<Emergency>,
    #[serde(default)]
    pub(super) rollback: Option<Rollback>,
    #[serde(default)]
    pub(super) expires_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) frozen: Option<String>,
    #[serde(default)]
    pub(super) last_known_good: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Stopped {
    pub(super) at: Timestamp,
    pub(super) by: String,
    pub(super) reason: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Emergency {
    #[serde(default)]
    pub(super) pinned_groups: BTreeSet<String>,
    pub(super) approvers: BTreeSet<String>,
    pub(super) approvals_needed: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rollback {
    #[serde(default)]
    pub(super) from: Option<String>,
    #[serde(default)]
    pub(super) groups: BTreeSet<String>,
    pub(super) devices: u64,
    #[serde(default)]
    pub(super) approvals_needed: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct Ring {
    pub(super) ring: String,
    #[serde(default)]
    pub(super) devices: Option<u64>,
    pub(super) state: String,
    pub(super) share: BasisPoints,
    pub(super) promote: Promote,
    pub(super) waves: Vec<Wave>,
    #[serde(default)]
    pub(super) gate: Option<Gate>,
    pub(super) offered: u64,
    pub(super) healthy: u64,
    pub(super) failed: u64,
    pub(super) rolled_back: u64,
    pub(super) silent: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Wave {
    pub(super) share: BasisPoints,
    pub(super) over: Span,
    pub(super) bake: Span,
    #[serde(default)]
    pub(super) opened_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) passed_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Gate {
    pub(super) samples: u32,
    pub(super) failures: BasisPoints,
    pub(super) silence: BasisPoints,
    pub(super) within: Span,
    #[serde(default)]
    pub(super) verdict: Option<String>,
    #[serde(default)]
    pub(super) detail: Option<String>,
}

/// What a rollback does, or would do.
#[derive(Debug, Deserialize)]
pub(super) struct RollbackPlanned {
    pub(super) product: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) devices: u64,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    #[serde(default)]
    pub(super) rollout: Option<Rollout>,
}

impl Rollout {
    /// Its product and version.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.product, self.version)
    }

    /// Its state as people read it.
    pub(super) fn state_words(&self) -> String {
        self.state.replace('_', " ")
    }

    /// Whether it still moves, or can be made to.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.state.as_str(), "completed" | "superseded" | "rolled_back" | "ended")
    }

    /// How many devices were offered its release.
    pub(super) fn offered(&self) -> u64 {
        self.rings.iter().map(|ring| ring.offered).sum()
    }
}
