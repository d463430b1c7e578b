//! What state a rollout is in.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Exposure;
use crate::model::{BasisPoints, End, ProductReleases, RingName, Rollout, RolloutChange};

/// A rollout's state, as the design names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// People must approve it first.
    AwaitingApproval,
    /// Nothing is open yet.
    Scheduled,
    /// A wave's share is growing.
    Exposing,
    /// The open wave's bake time runs.
    Baking,
    /// The bake time is over and the gate has not spoken, or a person must promote.
    Evaluating,
    /// Everyone may have it.
    Completed,
    /// No further device is admitted until it is resumed.
    Paused,
    /// Nobody gets it.
    Halted,
    /// A newer one took its place.
    Superseded,
    /// Its release is gone back from.
    RolledBack,
    /// Its time was up, or a person ended it.
    Ended,
}

impl RolloutState {
    /// The word used in JSON, metrics and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting_approval",
            Self::Scheduled => "scheduled",
            Self::Exposing => "exposing",
            Self::Baking => "baking",
            Self::Evaluating => "evaluating",
            Self::Completed => "completed",
            Self::Paused => "paused",
            Self::Halted => "halted",
            Self::Superseded => "superseded",
            Self::RolledBack => "rolled_back",
            Self::Ended => "ended",
        }
    }

    /// Whether it still moves, or can be made to.
    pub const fn is_live(self) -> bool {
        !matches!(self, Self::Completed | Self::Superseded | Self::RolledBack | Self::Ended)
    }
}

impl fmt::Display for RolloutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: RolloutState,
    /// The ring it is in: the last one with an open wave, or the one that comes next.
    pub ring: Option<RingName>,
    /// The wave that is open there, from 0.
    pub wave: Option<u32>,
    /// The share of that ring that is admitted now.
    pub share: BasisPoints,
    /// When the open wave has baked, if nothing stops it.
    pub baked_at: Option<Timestamp>,
}

/// Where the rollout stands at `now`.
pub fn standing(product: &ProductReleases, rollout: &Rollout, now: Timestamp) -> Standing {
    let place = position(rollout, now);
    let ring = place.map(|(index, _)| rollout.plan.rings[index].ring.clone());
    let exposure = place.map(|(index, _)| Exposure::new(product, rollout, index));
    let wave = place.and_then(|(_, wave)| wave);
    let baked_at = exposure.zip(wave).and_then(|(exposure, wave)| exposure.baked_at(wave, now));
    let state = ended_state(rollout, now).unwrap_or_else(|| match (exposure, wave) {
        _ if !has_started(rollout, now) && !is_approved(rollout, now) => RolloutState::AwaitingApproval,
        _ if !has_started(rollout, now) => RolloutState::Scheduled,
        (Some(exposure), Some(wave)) => moving_state(rollout, &exposure, wave, now),
        // The ring before has passed, and a person must let it into this one.
        (_, None) if place.is_some_and(|(index, _)| index > 0) => RolloutState::Evaluating,
        _ => RolloutState::Scheduled,
    });
    let share = exposure.map_or(BasisPoints::NONE, |exposure| exposure.share(now));
    let wave = wave.map(|wave| u32::try_from(wave).unwrap_or(u32::MAX));
    Standing { state, ring, wave, share, baked_at }
}

fn ended_state(rollout: &Rollout, now: Timestamp) -> Option<RolloutState> {
    if let Some((_, end)) = rollout.ended().filter(|(at, _)| *at <= now) {
        return Some(match end {
            End::Superseded(_) => RolloutState::Superseded,
            End::RolledBack(_) => RolloutState::RolledBack,
            End::Ended => RolloutState::Ended,
        });
    }
    match rollout.stop_at(now) {
        Some(stop) if stop.is_halt => return Some(RolloutState::Halted),
        Some(_) => return Some(RolloutState::Paused),
        None => {}
    }
    rollout.completed_at().filter(|at| *at <= now).map(|_| RolloutState::Completed)
}

fn moving_state(rollout: &Rollout, exposure: &Exposure<'_>, wave: usize, now: Timestamp) -> RolloutState {
    let index = position(rollout, now).map_or(0, |(index, _)| index);
    if exposure.share(now) < rollout.plan.rings[index].waves[wave].share {
        return RolloutState::Exposing;
    }
    match exposure.baked_at(wave, now) {
        Some(baked_at) if baked_at <= now => RolloutState::Evaluating,
        _ => RolloutState::Baking,
    }
}

/// The place in the plan of the ring it is in at `now`, and the wave that is open there; the last ring once all are
/// done.
pub(super) fn position(rollout: &Rollout, now: Timestamp) -> Option<(usize, Option<usize>)> {
    let rings = rollout.rings().iter().enumerate();
    let mut last = None;
    for (index, history) in rings {
        let opened = history.opened.partition_point(|opening| opening.at <= now);
        let passed = history.passed.partition_point(|at| *at <= now);
        last = Some((index, opened.checked_sub(1)));
        let is_passed_over = history.passed_over_at.is_some_and(|at| at <= now);
        if !is_passed_over && passed < rollout.plan.rings[index].waves.len() {
            break;
        }
    }
    last
}

pub(super) fn has_started(rollout: &Rollout, now: Timestamp) -> bool {
    rollout.started_at().is_some_and(|at| at <= now)
}

/// Whether as many people have approved it as must.
pub(super) fn is_approved(rollout: &Rollout, now: Timestamp) -> bool {
    let approvals = rollout.steps().iter().filter(|step| step.at <= now && step.change == RolloutChange::Approved);
    approvals.count() >= rollout.approvals_needed() as usize
}
