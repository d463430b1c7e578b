//! A rollout with its steps, and the times that decisions look up.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Plan, RolloutChange, RolloutId, RolloutKind, RolloutStep};
use crate::model::{GroupName, ProductName, Reason, ReleaseId, RingName, Stamp};

/// One release moving through the rings under a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Record", into = "Record")]
pub struct Rollout {
    /// Its number.
    pub id: RolloutId,
    /// The product.
    pub product: ProductName,
    /// The release; for a rollback the one that is gone back to.
    pub release: ReleaseId,
    /// The release's sequence.
    pub sequence: u64,
    /// What it is for.
    pub kind: RolloutKind,
    /// The plan it follows.
    pub plan: Plan,
    /// What the buckets of devices are drawn with.
    pub salt: String,
    /// When and by whom it was planned.
    pub planned: Stamp,
    /// Why, where a person said so.
    pub reason: Option<Reason>,
    steps: Vec<RolloutStep>,
    rings: Vec<RingHistory>,
    stops: Vec<Stop>,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    ended: Option<(Timestamp, End)>,
}

/// How a rollout ended other than by completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By a newer one.
    Superseded(RolloutId),
    /// By a rollback.
    RolledBack(RolloutId),
    /// By its expiry or a person.
    Ended,
}

/// A wave that opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// When.
    pub at: Timestamp,
    /// How many devices of the inventory were in the ring.
    pub devices: u64,
    /// How many were in each of its groups that has a rate.
    pub rated: BTreeMap<GroupName, u64>,
}

/// What has happened in one ring.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RingHistory {
    /// Its waves that opened: wave `n` at index `n`.
    pub opened: Vec<Opening>,
    /// When each of them passed.
    pub passed: Vec<Timestamp>,
    /// When it was passed over.
    pub passed_over_at: Option<Timestamp>,
}

/// A time in which no further device was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Whether it was halted, not only paused: nobody gets the release.
    pub is_halt: bool,
    /// From.
    pub from: Timestamp,
    /// To; until further notice where absent.
    pub until: Option<Timestamp>,
}

/// A rollout as the index keeps it.
#[derive(Serialize, Deserialize)]
struct Record {
    id: RolloutId,
    product: ProductName,
    release: ReleaseId,
    sequence: u64,
    kind: RolloutKind,
    plan: Plan,
    salt: String,
    planned: Stamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    steps: Vec<RolloutStep>,
}

impl Rollout {
    /// A rollout without steps.
    #[allow(clippy::too_many_arguments, reason = "they are the fields of one event")]
    pub fn new(
        id: RolloutId,
        (product, release, sequence): (ProductName, ReleaseId, u64),
        kind: RolloutKind,
        plan: Plan,
        salt: String,
        planned: Stamp,
        reason: Option<Reason>,
    ) -> Self {
        let rings = vec![RingHistory::default(); plan.rings.len()];
        let (steps, stops) = (Vec::new(), Vec::new());
        let (started_at, completed_at, ended) = (None, None, None);
        Self {
            id,
            product,
            release,
            sequence,
            kind,
            plan,
            salt,
            planned,
            reason,
            steps,
            rings,
            stops,
            started_at,
            completed_at,
            ended,
        }
    }

    /// Its steps, oldest first.
    pub fn steps(&self) -> &[RolloutStep] {
        &self.steps
    }

    /// What has happened in each ring of its plan, in the plan's order.
    pub fn rings(&self) -> &[RingHistory] {
        &self.rings
    }

    /// The times in which it was paused or halted, oldest first; they never overlap.
    pub fn stops(&self) -> &[Stop] {
        &self.stops
    }

    /// The stop in force at `at`.
    pub fn stop_at(&self, at: Timestamp) -> Option<&Stop> {
        self.stops.iter().rev().find(|stop| stop.from <= at && stop.until.is_none_or(|until| at < until))
    }

    /// When its first wave was allowed to open.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// When the last ring passed.
    pub fn completed_at(&self) -> Option<Timestamp> {
        self.completed_at
    }

    /// When and how it ended, other than by completion.
    pub fn ended(&self) -> Option<(Timestamp, End)> {
        self.ended
    }

    /// The distinct people who have approved it, in the order in which they did.
    pub fn approvers(&self) -> impl Iterator<Item = &RolloutStep> {
        self.steps.iter().filter(|step| step.change == RolloutChange::Approved)
    }

    /// How many people must approve it before anything of it begins. What the policy begins is approved with the policy.
    pub fn approvals_needed(&self) -> u32 {
        match self.kind {
            RolloutKind::Expedite { approvals_needed, .. } => approvals_needed,
            RolloutKind::Rollback { automatic: false, .. } => self.plan.rollback.approvals,
            RolloutKind::Rollback { automatic: true, .. } | RolloutKind::Release => 0,
        }
    }

    /// The place of a ring in its plan. A rollback takes all rings at once, so each is the first.
    pub fn ring_index(&self, ring: &RingName) -> Option<usize> {
        match self.kind {
            RolloutKind::Rollback { .. } => (!self.plan.rings.is_empty()).then_some(0),
            RolloutKind::Release | RolloutKind::Expedite { .. } => self.plan.ring(ring),
        }
    }

    /// Appends a step, or says why it cannot come now.
    pub fn push(&mut self, step: RolloutStep) -> Result<(), String> {
        if let Some((_, end)) = self.ended {
            return Err(format!("rollout {} has ended ({end:?})", self.id));
        }
        let at = step.at;
        match &step.change {
            RolloutChange::Started => self.started_at = Some(self.started_at.unwrap_or(at)),
            RolloutChange::Approved => {
                if self.approvers().any(|known| known.by == step.by) {
                    return Err(format!("{} has approved rollout {} before", step.by, self.id));
                }
            }
            RolloutChange::RingPassedOver { ring } => self.ring_mut(ring)?.passed_over_at = Some(at),
            RolloutChange::WaveOpened { ring, wave, devices, rated } => {
                self.open(ring, *wave, Opening { at, devices: *devices, rated: rated.clone() })?;
            }
            RolloutChange::WavePassed { ring, wave, .. } => self.pass(ring, *wave, at)?,
            RolloutChange::Paused { .. } => self.stop(at, false)?,
            RolloutChange::Halted { .. } => self.stop(at, true)?,
            RolloutChange::Resumed { .. } => match self.stops.last_mut().filter(|stop| stop.until.is_none()) {
                Some(stop) => stop.until = Some(at),
                None => return Err(format!("rollout {} is not stopped", self.id)),
            },
            RolloutChange::Completed => match self.completed_at {
                Some(_) => return Err(format!("rollout {} has completed before", self.id)),
                None => self.completed_at = Some(at),
            },
            RolloutChange::Superseded { by } => self.ended = Some((at, End::Superseded(*by))),
            RolloutChange::RolledBack { by } => self.ended = Some((at, End::RolledBack(*by))),
            RolloutChange::Ended { .. } => self.ended = Some((at, End::Ended)),
            RolloutChange::Overdue { .. } | RolloutChange::Signalled { .. } => {}
        }
        self.steps.push(step);
        Ok(())
    }

    fn ring_mut(&mut self, ring: &RingName) -> Result<&mut RingHistory, String> {
        let index = self.plan.ring(ring).ok_or_else(|| format!("rollout {} has no ring {ring}", self.id))?;
        Ok(&mut self.rings[index])
    }

    fn open(&mut self, ring: &RingName, wave: u32, opening: Opening) -> Result<(), String> {
        let waves = self.plan.ring(ring).map_or(0, |index| self.plan.rings[index].waves.len());
        let history = self.ring_mut(ring)?;
        if history.opened.len() != wave as usize || wave as usize >= waves {
            return Err(format!("wave {wave} of ring {ring} does not open after {} waves", history.opened.len()));
        }
        history.opened.push(opening);
        Ok(())
    }

    fn pass(&mut self, ring: &RingName, wave: u32, at: Timestamp) -> Result<(), String> {
        let history = self.ring_mut(ring)?;
        if history.passed.len() != wave as usize || wave as usize >= history.opened.len() {
            return Err(format!("wave {wave} of ring {ring} cannot pass now"));
        }
        history.passed.push(at);
        Ok(())
    }

    fn stop(&mut self, from: Timestamp, is_halt: bool) -> Result<(), String> {
        match self.stops.last_mut().filter(|stop| stop.until.is_none()) {
            Some(stop) if stop.is_halt || !is_halt => Err(format!("rollout {} is stopped already", self.id)),
            Some(pause) => {
                pause.until = Some(from);
                self.stops.push(Stop { is_halt, from, until: None });
                Ok(())
            }
            None => {
                self.stops.push(Stop { is_halt, from, until: None });
                Ok(())
            }
        }
    }
}

impl From<Record> for Rollout {
    fn from(record: Record) -> Self {
        let Record { id, product, release, sequence, kind, plan, salt, planned, reason, steps } = record;
        let mut rollout = Self::new(id, (product, release, sequence), kind, plan, salt, planned, reason);
        for step in steps {
            // The index's sum has been checked: what was pushed once can be pushed again.
            let _ = rollout.push(step);
        }
        rollout
    }
}

impl From<Rollout> for Record {
    fn from(rollout: Rollout) -> Self {
        let Rollout { id, product, release, sequence, kind, plan, salt, planned, reason, steps, .. } = rollout;
        Self { id, product, release, sequence, kind, plan, salt, planned, reason, steps }
    }
}
