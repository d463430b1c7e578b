//! Going back: what is known to be good, and the rollout that leads there.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::{
    End, Event, Plan, ProductReleases, Promote, Reason, Release, ReleaseState, RingName, RingPlan, Rollout, RolloutKind,
};

/// The last release that is known to be good in a ring: the highest sequence that passed all its waves there (or never
/// had to) and was neither withdrawn, halted nor gone back from. Kept by the journal, for every group through its ring.
pub fn last_known_good<'a>(product: &'a ProductReleases, ring: &'a RingName, now: Timestamp) -> Option<&'a Release> {
    good(product, now, move |rollout| {
        let Some(index) = rollout.ring_index(ring) else { return rollout.completed_at().is_some() };
        let passed = &rollout.rings()[index].passed;
        passed.len() == rollout.plan.rings[index].waves.len() && passed.last().is_some_and(|at| *at <= now)
    })
    .next()
}

/// What a release is gone back from to, if nobody says otherwise: the highest sequence below it that completed its
/// rollout (or never had one) and is still good.
pub fn rollback_target(product: &ProductReleases, from: u64, now: Timestamp) -> Option<&Release> {
    let mut completed = good(product, now, move |rollout| rollout.completed_at().is_some_and(|at| at <= now));
    completed.find(|release| release.sequence < from)
}

/// Releases that are good by `has_passed`, highest sequence first.
fn good<'a>(
    product: &'a ProductReleases,
    now: Timestamp,
    has_passed: impl Fn(&Rollout) -> bool + 'a,
) -> impl Iterator<Item = &'a Release> {
    let releases = product.releases().iter().rev().map(AsRef::as_ref);
    releases.filter(move |release| {
        let mut forward = product
            .rollouts_of(release.sequence)
            .filter(|rollout| rollout.planned.at <= now && !matches!(rollout.kind, RolloutKind::Rollback { .. }))
            .peekable();
        let is_unstaged = forward.peek().is_none();
        // A rollout that was begun anew takes the place of the one before; an emergency's halt counts beside it.
        let (mut any_passed, mut is_bad, mut is_emergency_bad) = (false, false, false);
        for rollout in forward {
            any_passed |= has_passed(rollout);
            match rollout.kind {
                RolloutKind::Expedite { .. } => is_emergency_bad |= was_bad(rollout, now),
                RolloutKind::Release | RolloutKind::Rollback { .. } => is_bad = was_bad(rollout, now),
            }
        }
        let any_bad = is_bad || is_emergency_bad;
        release.state_at(now) == ReleaseState::Published && !any_bad && (is_unstaged || any_passed)
    })
}

/// Whether a rollout was halted and not resumed, even if a newer one has taken its place since, or is gone back from.
fn was_bad(rollout: &Rollout, now: Timestamp) -> bool {
    let is_back = matches!(rollout.ended(), Some((at, End::RolledBack(_))) if at <= now);
    is_back || rollout.stop_at(now).is_some_and(|stop| stop.is_halt)
}

/// The event that plans going back from a halted or completed rollout's release to `target`.
pub fn plan_rollback(
    product: &ProductReleases,
    from: &Rollout,
    target: &Release,
    devices: u64,
    automatic: bool,
    reason: Reason,
) -> Event {
    let rules = from.plan.rollback.clone();
    let ring = from.plan.rings.first().map(|plan| plan.ring.clone());
    let rings = ring.map(|ring| RingPlan { ring, waves: rules.waves.clone(), gate: None, promote: Promote::Automatic });
    let (strategy, watch) = (from.plan.strategy, from.plan.watch);
    let plan = Plan { strategy, rings: rings.into_iter().collect(), watch, rollback: rules };
    Event::RolloutPlanned {
        product: product.product().name.clone(),
        release: target.id,
        rollout: RolloutKind::Rollback { from: from.sequence, groups: BTreeSet::new(), devices, automatic },
        plan,
        salt: format!("rollback {}", from.id),
        reason: Some(reason),
    }
}
