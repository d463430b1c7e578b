//! Halting a release, and what follows: a frozen product, the way back.

use jiff::Timestamp;

use super::advance::{Round, changed, words};
use super::back::{plan_rollback, rollback_target};
use crate::model::{Event, Evidence, HaltCause, ProductReleases, Reason, Release, Rollout, RolloutChange, RolloutKind};

/// The events of a halt: every running rollout of the same release is halted; the product is frozen if the policy's
/// breaker says so; and the way back begins if the plan lets it begin by itself and it stays below the blast limit.
pub fn halt(round: &Round<'_>, rollout: &Rollout, cause: HaltCause, reason: Reason, evidence: Evidence) -> Vec<Event> {
    let mut events = Vec::new();
    for same in round.product.rollouts_of(rollout.sequence) {
        let is_halted = same.stop_at(round.now).is_some_and(|stop| stop.is_halt);
        if same.ended().is_some() || is_halted || matches!(same.kind, RolloutKind::Rollback { .. }) {
            continue;
        }
        let (cause, reason, evidence) = (cause.clone(), reason.clone(), evidence.clone());
        events.push(changed(same, RolloutChange::Halted { cause, reason, evidence }));
    }
    let product = &round.product.product().name;
    let is_frozen = round.product.freezes().iter().any(|freeze| freeze.is_active_at(round.now));
    if let Some(breaker) = round.class_plan().and_then(|plan| plan.breaker).filter(|_| !is_frozen) {
        let since = round.now.checked_sub(breaker.within.as_duration()).unwrap_or(Timestamp::MIN);
        let halts = halted_releases(round.product, since) + 1;
        if halts >= breaker.halts as usize {
            let why = format!("{halts} releases were halted within {}", breaker.within);
            events.push(Event::ProductFrozen { product: product.clone(), reason: words(&why) });
        }
    }
    events.extend(automatic_rollback(round, rollout, &reason));
    events
}

/// How many releases other than the one that is halted now were halted since; people's own halts count, too.
fn halted_releases(product: &ProductReleases, since: Timestamp) -> usize {
    let last_reset =
        product.freezes().iter().filter_map(|freeze| freeze.reset.as_ref().map(|(stamp, _)| stamp.at)).max();
    let since = last_reset.map_or(since, |reset| reset.max(since));
    let halted = product.rollouts().iter().filter(|rollout| {
        let halts = rollout.stops().iter().filter(|stop| stop.is_halt && stop.from > since);
        rollout.kind == RolloutKind::Release && halts.count() > 0
    });
    halted.count()
}

/// The rollback that the plan begins by itself.
fn automatic_rollback(round: &Round<'_>, rollout: &Rollout, reason: &Reason) -> Option<Event> {
    if !rollout.plan.rollback.automatic || matches!(rollout.kind, RolloutKind::Rollback { .. }) {
        return None;
    }
    let devices = devices_with(round, rollout.sequence);
    if devices == 0 || devices > rollout.plan.rollback.blast_limit {
        return None;
    }
    let target: &Release = rollback_target(round.product, rollout.sequence, round.now)?;
    let why = words(&format!("rollout {} was halted: {reason}", rollout.id));
    Some(plan_rollback(round.product, rollout, target, devices, true, why))
}

/// How many devices were offered the release with this sequence.
pub fn devices_with(round: &Round<'_>, sequence: u64) -> u64 {
    let rollouts = round.product.rollouts_of(sequence);
    let own = rollouts.filter(|rollout| !matches!(rollout.kind, RolloutKind::Rollback { .. }));
    own.map(|rollout| round.health.total(rollout.id, round.now).offered).sum()
}
