//! A rollout as JSON: rings, waves, counts and gates at one moment.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::Catalog;
use crate::model::policy::Policy;
use crate::model::{
    BasisPoints, GroupName, ProductReleases, Promote, Rollout, RolloutChange, RolloutKind, RolloutStep, Snapshot, Span,
    Stamp, Strategy,
};
use crate::policy::health::{Counts, Verdict};
use crate::policy::rollout::{Census, RolloutState, Round, last_known_good, share_of, standing};

/// A rollout, and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve::admin) struct RolloutView {
    id: u64,
    product: String,
    version: String,
    sequence: u64,
    /// release, expedite or rollback.
    kind: &'static str,
    #[schema(value_type = String, example = "baking")]
    state: RolloutState,
    #[serde(skip_serializing_if = "Option::is_none")]
    ring: Option<String>,
    /// The open wave of that ring, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<u32>,
    /// The share of that ring that is admitted now, in hundredths of a percent.
    #[schema(value_type = u16)]
    share: BasisPoints,
    /// When the open wave has baked, if nothing stops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    baked_at: Option<Timestamp>,
    #[schema(value_type = Object)]
    planned: Stamp,
    /// When its first wave was allowed to open.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// Why it was planned, where a person said so.
    reason: Option<String>,
    #[schema(value_type = String, example = "canary")]
    strategy: Strategy,
    /// The last pause, halt or end, if it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<StoppedView>,
    rings: Vec<RingView>,
    /// Who has approved it.
    #[schema(value_type = Vec<Object>)]
    approvals: Vec<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emergency: Option<EmergencyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback: Option<RollbackView>,
    /// Until when an emergency holds.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Why its product is frozen, if it is.
    frozen: Option<String>,
    /// The version last known to be good, per ring.
    last_known_good: BTreeMap<String, String>,
}

/// Why it stands still.
#[derive(Debug, Serialize, ToSchema)]
struct StoppedView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    by: String,
    reason: String,
}

/// What an emergency needs.
#[derive(Debug, Serialize, ToSchema)]
struct EmergencyView {
    #[schema(value_type = Vec<String>)]
    pinned_groups: BTreeSet<GroupName>,
    approvers: BTreeSet<String>,
    approvals_needed: u32,
}

/// What a rollback goes back from.
#[derive(Debug, Serialize, ToSchema)]
struct RollbackView {
    from: Option<String>,
    #[schema(value_type = Vec<String>)]
    groups: BTreeSet<GroupName>,
    devices: u64,
    automatic: bool,
    /// How many people other than whoever began it must approve the way back.
    approvals_needed: u32,
}

/// One ring of its plan. The counts are of devices, each counted once.
#[derive(Debug, Serialize, ToSchema)]
struct RingView {
    ring: String,
    /// How many the inventory had when the newest wave opened; absent before.
    devices: Option<u64>,
    /// waiting, open, passed or passed_over.
    state: &'static str,
    /// The share of the ring that is admitted now, in hundredths of a percent.
    #[schema(value_type = u16)]
    share: BasisPoints,
    #[schema(value_type = String, example = "automatic")]
    promote: Promote,
    waves: Vec<WaveView>,
    gate: Option<GateView>,
    offered: u64,
    fetched: u64,
    installed: u64,
    healthy: u64,
    failed: u64,
    rolled_back: u64,
    silent: u64,
}

/// One wave.
#[derive(Debug, Serialize, ToSchema)]
struct WaveView {
    #[schema(value_type = u16)]
    share: BasisPoints,
    #[schema(value_type = String, example = "4h")]
    over: Span,
    #[schema(value_type = String, example = "24h")]
    bake: Span,
    #[schema(value_type = Option<String>, format = DateTime)]
    opened_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    passed_at: Option<Timestamp>,
}

/// What is asked of the ring, and the answer.
#[derive(Debug, Serialize, ToSchema)]
struct GateView {
    samples: u32,
    #[schema(value_type = u16)]
    failures: BasisPoints,
    #[schema(value_type = u16)]
    silence: BasisPoints,
    #[schema(value_type = String, example = "2h")]
    within: Span,
    /// pass, fail or inconclusive; absent where nothing is open.
    verdict: Option<&'static str>,
    /// In words.
    detail: Option<String>,
}

impl RolloutView {
    /// The rollout at `now`.
    pub(in crate::serve::admin) fn new(
        (catalog, snapshot): (&Catalog, &Snapshot),
        product: &ProductReleases,
        rollout: &Rollout,
        now: Timestamp,
    ) -> Self {
        let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
        let policy = policy.map(AsRef::as_ref);
        let stand = standing(product, rollout, now);
        let frozen = product.freezes().iter().rfind(|freeze| freeze.is_active_at(now));
        let (emergency, rollback, expires_at) = kind_views(product, rollout);
        let approvals = rollout.approvers().map(|step| Stamp { at: step.at, by: step.by.clone() });
        Self {
            id: rollout.id,
            product: rollout.product.to_string(),
            version: version_of(product, rollout.sequence).unwrap_or_default(),
            sequence: rollout.sequence,
            kind: rollout.kind.as_str(),
            state: stand.state,
            ring: stand.ring.map(|ring| ring.to_string()),
            wave: stand.wave,
            share: stand.share,
            baked_at: stand.baked_at.filter(|_| stand.state.is_live()),
            planned: rollout.planned.clone(),
            started_at: rollout.started_at(),
            reason: rollout.reason.as_ref().map(ToString::to_string),
            strategy: rollout.plan.strategy,
            stopped: rollout.steps().iter().rev().find_map(|step| stopped(step, stand.state)),
            rings: catalog.with_health(&rollout.product, |health| {
                let census = Census::default();
                let round = policy.map(|policy| Round { product, policy, health, census: &census, now });
                let ring = |index| {
                    let verdict = round.as_ref().and_then(|round| round.verdict(rollout, index));
                    ring_view(product, rollout, index, (health.counts(rollout.id, index, now), verdict), now)
                };
                (0..rollout.plan.rings.len()).map(ring).collect()
            }),
            approvals: approvals.collect(),
            emergency,
            rollback,
            expires_at,
            frozen: frozen.map(|freeze| freeze.reason.to_string()),
            last_known_good: policy.map(|policy| known_good(product, policy, now)).unwrap_or_default(),
        }
    }
}

pub(super) fn version_of(product: &ProductReleases, sequence: u64) -> Option<String> {
    product.by_sequence(sequence).map(|release| release.version().to_string())
}

fn known_good(product: &ProductReleases, policy: &Policy, now: Timestamp) -> BTreeMap<String, String> {
    let good =
        |ring| last_known_good(product, ring, now).map(|release| (ring.to_string(), release.version().to_string()));
    policy.rings_of(product.product().class).filter_map(good).collect()
}

type KindViews = (Option<EmergencyView>, Option<RollbackView>, Option<Timestamp>);

fn kind_views(product: &ProductReleases, rollout: &Rollout) -> KindViews {
    match &rollout.kind {
        RolloutKind::Release => (None, None, None),
        RolloutKind::Expedite { pinned_groups, approvers, approvals_needed, expires_at, .. } => {
            let (pinned_groups, approvers) = (pinned_groups.clone(), approvers.clone());
            let emergency = EmergencyView { pinned_groups, approvers, approvals_needed: *approvals_needed };
            (Some(emergency), None, Some(*expires_at))
        }
        RolloutKind::Rollback { from, groups, devices, automatic } => {
            let (from, groups) = (version_of(product, *from), groups.clone());
            let (devices, automatic, approvals_needed) = (*devices, *automatic, rollout.approvals_needed());
            (None, Some(RollbackView { from, groups, devices, automatic, approvals_needed }), None)
        }
    }
}

fn stopped(step: &RolloutStep, state: RolloutState) -> Option<StoppedView> {
    let reason = match (&step.change, state) {
        (RolloutChange::Paused { reason }, RolloutState::Paused)
        | (RolloutChange::Halted { reason, .. }, RolloutState::Halted)
        | (RolloutChange::Ended { reason }, RolloutState::Ended) => reason.to_string(),
        (RolloutChange::Superseded { by }, RolloutState::Superseded) => format!("rollout {by} took its place"),
        (RolloutChange::RolledBack { by }, RolloutState::RolledBack) => format!("rollback {by} goes back from it"),
        _ => return None,
    };
    Some(StoppedView { at: step.at, by: step.by.to_string(), reason })
}

fn ring_view(
    product: &ProductReleases,
    rollout: &Rollout,
    index: usize,
    (counts, verdict): (Counts, Option<(Verdict, crate::model::Evidence)>),
    now: Timestamp,
) -> RingView {
    let (plan, history) = (&rollout.plan.rings[index], &rollout.rings()[index]);
    let waves = plan.waves.iter().enumerate().map(|(place, wave)| WaveView {
        share: wave.share,
        over: wave.over,
        bake: wave.bake,
        opened_at: history.opened.get(place).map(|opening| opening.at),
        passed_at: history.passed.get(place).copied(),
    });
    let gate = plan.gate.as_ref().map(|gate| GateView {
        samples: gate.samples,
        failures: gate.failures,
        silence: gate.silence,
        within: gate.within,
        verdict: verdict.as_ref().map(|(verdict, _)| match verdict {
            Verdict::Pass => "pass",
            Verdict::Fail(_) => "fail",
            Verdict::Inconclusive => "inconclusive",
        }),
        detail: verdict.as_ref().map(|(_, evidence)| evidence.detail.clone()),
    });
    let state = match () {
        () if history.passed_over_at.is_some() => "passed_over",
        () if history.passed.len() == plan.waves.len() => "passed",
        () if history.opened.is_empty() => "waiting",
        () => "open",
    };
    RingView {
        ring: plan.ring.to_string(),
        devices: history.opened.last().map(|opening| opening.devices),
        state,
        share: share_of(product, rollout, index, now),
        promote: plan.promote,
        waves: waves.collect(),
        gate,
        offered: counts.offered,
        fetched: counts.fetched,
        installed: counts.installed,
        healthy: counts.healthy,
        failed: counts.failed,
        rolled_back: counts.rolled_back,
        silent: counts.silent,
    }
}
