//! The next steps of a product's rollouts.
//!
//! Nothing here depends on when it was asked last: after any downtime the first call takes the step that is due, and
//! what it opens begins then. Time passes for a wave only once its opening is in the journal.

use jiff::Timestamp;

use super::census::Census;
use super::halt::halt;
use super::state::{has_started, is_approved};
use super::{Exposure, RolloutState, standing};
use crate::model::policy::{ClassPlan, Policy};
use crate::model::{
    Event, Evidence, GateSignal, ProductReleases, Reason, ReleaseState, Rollout, RolloutChange, RolloutId, RolloutKind,
};
use crate::policy::health::{Health, Question, Verdict};

/// Everything the next steps are decided from.
#[derive(Clone, Copy)]
pub struct Round<'a> {
    /// The product with its releases and rollouts.
    pub product: &'a ProductReleases,
    /// The policy in force.
    pub policy: &'a Policy,
    /// What devices have reported.
    pub health: &'a Health,
    /// How many devices the rings have.
    pub census: &'a Census,
    /// The moment: never before the last event.
    pub now: Timestamp,
}

/// The events that are due for this product at this moment, in order; none where nothing is. They belong into one
/// commit. What follows from them is for the next round, which may come at once.
pub fn next_steps(round: &Round<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    for rollout in round.product.rollouts() {
        let steps = round.steps_of(rollout);
        // What one rollout's end does to another that takes a step of its own is for the next round, which sees that step.
        if steps
            .iter()
            .any(|step| rollout_of(step).is_some_and(|id| events.iter().any(|event| rollout_of(event) == Some(id))))
        {
            return events;
        }
        events.extend(steps);
        if events.iter().any(|event| !matches!(event, Event::RolloutChanged { rollout: id, .. } if *id == rollout.id)) {
            // A halt, a freeze or a rollback: everything else looks at the new state first.
            return events;
        }
    }
    events
}

/// The rollout that an event changes.
fn rollout_of(event: &Event) -> Option<RolloutId> {
    match event {
        Event::RolloutChanged { rollout, .. } => Some(*rollout),
        _ => None,
    }
}

impl Round<'_> {
    fn steps_of(&self, rollout: &Rollout) -> Vec<Event> {
        let Some(release) = self.product.by_sequence(rollout.sequence) else { return Vec::new() };
        if rollout.ended().is_some() {
            return Vec::new();
        }
        if release.state_at(self.now) == ReleaseState::Withdrawn {
            return vec![changed(rollout, RolloutChange::Ended { reason: words("its release was withdrawn") })];
        }
        if let RolloutKind::Expedite { expires_at, .. } = rollout.kind
            && expires_at <= self.now
            && rollout.completed_at().is_none()
        {
            return vec![changed(rollout, RolloutChange::Ended { reason: words("the emergency's time is up") })];
        }
        if let Some(events) = self.failing(rollout) {
            return events;
        }
        let is_rollback = matches!(rollout.kind, RolloutKind::Rollback { .. });
        if !has_started(rollout, self.now) {
            let is_due = is_rollback && is_approved(rollout, self.now);
            return if is_due { self.begin_rollback(rollout) } else { Vec::new() };
        }
        let exposure = Exposure::new(self.product, rollout, 0);
        // A freeze stops what exposes; the way back is open all the same.
        let is_stopped = if is_rollback { rollout.stop_at(self.now).is_some() } else { exposure.is_stopped(self.now) };
        if is_stopped || rollout.completed_at().is_some() {
            return Vec::new();
        }
        let mut changes = Vec::new();
        self.forward(rollout, &mut changes);
        let mut events: Vec<_> = changes.into_iter().map(|change| changed(rollout, change)).collect();
        if matches!(events.last(), Some(Event::RolloutChanged { change: RolloutChange::Completed, .. })) {
            events.extend(self.superseded_by(rollout));
        }
        events
    }

    /// The halt that a failing gate makes, with all that follows from it.
    fn failing(&self, rollout: &Rollout) -> Option<Vec<Event>> {
        if rollout.stop_at(self.now).is_some_and(|stop| stop.is_halt) {
            return None;
        }
        let watched_to = rollout.completed_at().map(|at| rollout.plan.watch.ends_at(at));
        if watched_to.is_some_and(|end| end <= self.now) {
            return None;
        }
        (0..rollout.rings().len()).find_map(|index| {
            let (verdict, evidence) = self.verdict(rollout, index)?;
            let Verdict::Fail(cause) = verdict else { return None };
            if forgiven(rollout).is_some_and(|forgiven| bad(&evidence) <= 2 * forgiven) {
                return None;
            }
            let reason = words(&evidence.detail);
            Some(halt(self, rollout, cause, reason, evidence))
        })
    }

    /// What the gate of a ring says; `None` where nothing is open there, or there is no gate.
    pub fn verdict(&self, rollout: &Rollout, index: usize) -> Option<(Verdict, Evidence)> {
        let plan = &rollout.plan.rings[index];
        let opened = &rollout.rings()[index].opened;
        let opening = opened.last()?;
        let gate = plan.gate.as_ref()?;
        let question = Question {
            gate,
            rollout: rollout.id,
            ring: index,
            baseline: self.baseline(rollout, index),
            population: plan.waves[opened.len() - 1].share.of(opening.devices),
            now: self.now,
            passed_by_signal: is_passed_by_signal(rollout, opening.at),
        };
        Some(self.health.verdict(&question))
    }

    /// The rollout before this one that completed, and the same ring in its plan.
    fn baseline(&self, rollout: &Rollout, index: usize) -> Option<(u64, usize)> {
        let ring = &rollout.plan.rings[index].ring;
        let is_before = |known: &&std::sync::Arc<Rollout>| {
            known.id < rollout.id && known.sequence < rollout.sequence && known.completed_at().is_some()
        };
        let before = self.product.rollouts().iter().rev().find(is_before)?;
        Some((before.id, before.ring_index(ring)?))
    }

    /// Starts the way back, and ends the rollouts of what is gone back from.
    fn begin_rollback(&self, rollback: &Rollout) -> Vec<Event> {
        let mut events = vec![changed(rollback, RolloutChange::Started)];
        let RolloutKind::Rollback { from, groups, .. } = &rollback.kind else { return events };
        let bad = self.product.rollouts().iter().filter(|rollout| {
            let is_between = rollback.sequence < rollout.sequence && rollout.sequence <= *from;
            let is_way_back = matches!(rollout.kind, RolloutKind::Rollback { .. });
            is_between && !is_way_back && rollout.ended().is_none() && groups.is_empty()
        });
        events.extend(bad.map(|rollout| changed(rollout, RolloutChange::RolledBack { by: rollback.id })));
        events
    }

    /// Goes on from where the rollout stands: passes what has baked and opens what comes next.
    fn forward(&self, rollout: &Rollout, changes: &mut Vec<RolloutChange>) {
        for (index, plan) in rollout.plan.rings.iter().enumerate() {
            let history = &rollout.rings()[index];
            if history.passed_over_at.is_some() || history.passed.len() == plan.waves.len() {
                continue;
            }
            let open = |wave: usize| self.open(rollout, index, wave);
            if history.opened.is_empty() {
                let class = self.product.product().class;
                let is_rollback = matches!(rollout.kind, RolloutKind::Rollback { .. });
                if !is_rollback && self.census.is_empty(self.policy, &plan.ring, class) {
                    changes.push(RolloutChange::RingPassedOver { ring: plan.ring.clone() });
                    continue;
                }
                if plan.promote == crate::model::Promote::Automatic {
                    changes.push(open(0));
                }
                return;
            }
            let wave = history.opened.len() - 1;
            match self.passes(rollout, index, wave) {
                Ok(evidence) => {
                    let place = u32::try_from(wave).unwrap_or(u32::MAX);
                    changes.push(RolloutChange::WavePassed { ring: plan.ring.clone(), wave: place, evidence });
                }
                Err(overdue) => {
                    changes.extend(overdue.map(|alert| *alert));
                    return;
                }
            }
            if wave + 1 < plan.waves.len() {
                changes.push(open(wave + 1));
                return;
            }
        }
        changes.push(RolloutChange::Completed);
    }

    /// Whether the open wave of a ring passes now; if not, the alert that is due.
    fn passes(&self, rollout: &Rollout, index: usize, wave: usize) -> Result<Evidence, Option<Box<RolloutChange>>> {
        let exposure = Exposure::new(self.product, rollout, index);
        let baked_at = exposure.baked_at(wave, self.now).filter(|at| *at <= self.now).ok_or(None)?;
        let plan = &rollout.plan.rings[index];
        let Some(gate) = &plan.gate else {
            let detail = "there is no gate: the bake time is over".to_owned();
            return Ok(Evidence { detail, ..Evidence::default() });
        };
        let (verdict, evidence) = self.verdict(rollout, index).ok_or(None)?;
        if matches!(verdict, Verdict::Pass) {
            return Ok(evidence);
        }
        let place = u32::try_from(wave).unwrap_or(u32::MAX);
        let is_told = rollout.steps().iter().any(|step| {
            matches!(&step.change, RolloutChange::Overdue { ring, wave, .. } if *ring == plan.ring && *wave == place)
        });
        let is_overdue = gate.timeout.ends_at(baked_at) <= self.now && !is_told;
        let alert = || Box::new(RolloutChange::Overdue { ring: plan.ring.clone(), wave: place, evidence });
        Err(is_overdue.then(alert))
    }

    /// The opening of a wave.
    pub(super) fn open(&self, rollout: &Rollout, index: usize, wave: usize) -> RolloutChange {
        let ring = rollout.plan.rings[index].ring.clone();
        let class = self.product.product().class;
        let devices = match rollout.kind {
            RolloutKind::Rollback { devices, .. } => devices,
            RolloutKind::Release | RolloutKind::Expedite { .. } => self.census.in_ring(self.policy, &ring, class),
        };
        let rated = self.census.rated(self.policy, &ring, &rollout.product, class);
        RolloutChange::WaveOpened { ring, wave: u32::try_from(wave).unwrap_or(u32::MAX), devices, rated }
    }

    /// What a completed rollout takes the place of: everything older that still runs.
    pub(super) fn superseded_by(&self, completed: &Rollout) -> Vec<Event> {
        let is_older = |rollout: &&std::sync::Arc<Rollout>| match rollout.kind {
            RolloutKind::Release | RolloutKind::Expedite { .. } => {
                rollout.sequence < completed.sequence && rollout.completed_at().is_none()
            }
            RolloutKind::Rollback { from, .. } => from < completed.sequence,
        };
        if matches!(completed.kind, RolloutKind::Rollback { .. }) {
            return Vec::new();
        }
        let older = self.product.rollouts().iter().filter(|rollout| rollout.ended().is_none()).filter(is_older);
        // What was halted stays halted: it is not the newer one that ended it.
        let older = older.filter(|rollout| standing(self.product, rollout, self.now).state != RolloutState::Halted);
        older.map(|rollout| changed(rollout, RolloutChange::Superseded { by: completed.id })).collect()
    }

    /// The plan of the product's class in the policy in force.
    pub(super) fn class_plan(&self) -> Option<&ClassPlan> {
        self.policy.plan(self.product.product().class)
    }
}

/// How many devices had failed or fallen silent when a person resumed the rollout after a halt: the gate does not halt
/// it for the same ones again, only once they are more than twice as many.
fn forgiven(rollout: &Rollout) -> Option<u64> {
    let mut halted = None;
    let mut forgiven = None;
    for step in rollout.steps() {
        match &step.change {
            RolloutChange::Halted { evidence, .. } => halted = Some(bad(evidence)),
            RolloutChange::Resumed { .. } => forgiven = halted.take().or(forgiven),
            _ => {}
        }
    }
    forgiven
}

fn bad(evidence: &Evidence) -> u64 {
    evidence.failed + evidence.rolled_back + evidence.silent
}

/// Whether the last word of a monitoring system since the wave opened was that it passes.
fn is_passed_by_signal(rollout: &Rollout, since: Timestamp) -> bool {
    let signals = rollout.steps().iter().rev().filter(|step| step.at >= since);
    let last = signals.filter_map(|step| match &step.change {
        RolloutChange::Signalled { signal, .. } => Some(*signal),
        _ => None,
    });
    last.take(1).any(|signal| signal == GateSignal::Pass)
}

/// A step of a rollout as an event.
pub(super) fn changed(rollout: &Rollout, change: RolloutChange) -> Event {
    Event::RolloutChanged { product: rollout.product.clone(), rollout: rollout.id, change }
}

/// A reason in our own words.
pub(super) fn words(text: &str) -> Reason {
    Reason::from_text(text, "no reason was given")
}
