//! Promoting: a person passes what is open and opens what comes next.

use super::Exposure;
use super::advance::{Round, changed};
use crate::model::{Event, Evidence, Reason, Rollout, RolloutChange, RolloutKind, Span};

/// The events of a promotion: the open wave passes as it is, and the next wave opens, or the first one of the next
/// ring, even if that ring waits for a person. A bake time that is cut short is told in the event. Empty where there is
/// nothing left to open or to pass.
///
/// Whether the rollout may be promoted at all (started, not stopped) is the caller's to ask.
pub fn promote(round: &Round<'_>, rollout: &Rollout, reason: &Reason) -> Vec<Event> {
    let mut changes = Vec::new();
    let is_rollback = matches!(rollout.kind, RolloutKind::Rollback { .. });
    for (index, plan) in rollout.plan.rings.iter().enumerate() {
        let history = &rollout.rings()[index];
        if history.passed_over_at.is_some() || history.passed.len() == plan.waves.len() {
            continue;
        }
        if history.opened.is_empty() {
            if !is_rollback && round.census.is_empty(round.policy, &plan.ring, round.product.product().class) {
                changes.push(RolloutChange::RingPassedOver { ring: plan.ring.clone() });
                continue;
            }
            changes.push(round.open(rollout, index, 0));
            return events(rollout, changes);
        }
        let wave = history.opened.len() - 1;
        let evidence = evidence(round, rollout, (index, wave), reason);
        let place = u32::try_from(wave).unwrap_or(u32::MAX);
        changes.push(RolloutChange::WavePassed { ring: plan.ring.clone(), wave: place, evidence });
        if wave + 1 < plan.waves.len() {
            changes.push(round.open(rollout, index, wave + 1));
            return events(rollout, changes);
        }
    }
    changes.push(RolloutChange::Completed);
    let mut events = events(rollout, changes);
    events.extend(round.superseded_by(rollout));
    events
}

fn events(rollout: &Rollout, changes: Vec<RolloutChange>) -> Vec<Event> {
    changes.into_iter().map(|change| changed(rollout, change)).collect()
}

/// What was known when the person decided.
fn evidence(round: &Round<'_>, rollout: &Rollout, (index, wave): (usize, usize), reason: &Reason) -> Evidence {
    let known = round.verdict(rollout, index).map(|(_, evidence)| evidence);
    let mut detail = format!("promoted: {reason}");
    let baked_at = Exposure::new(round.product, rollout, index).baked_at(wave, round.now);
    let left = baked_at.map_or(0, |at| at.duration_since(round.now).as_secs());
    if let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) {
        detail.push_str(&format!("; {} before its bake time was over", Span::from_secs(left)));
    }
    if let Some(said) = known.as_ref().map(|known| known.detail.as_str()).filter(|said| !said.is_empty()) {
        detail.push_str(&format!("; the gate said: {said}"));
    }
    Evidence { detail, ..known.unwrap_or_default() }
}
