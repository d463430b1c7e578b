//! Pausing, resuming, halting and promoting.

use std::sync::Arc;

use jiff::Timestamp;

use super::rollout_in;
use super::{ControlError, RolloutRefusal, census_of, changed, find_rollout, in_round, known_of, refuse_frozen};
use crate::catalog::Catalog;
use crate::model::{Actor, HaltCause, ProductReleases, Reason, Rollout, RolloutChange, RolloutId, RolloutKind};
use crate::policy::rollout::{Census, RolloutState, halt, promote, standing};

/// Admits no further device until it is resumed; those that have the release keep it. Returns after fsync.
pub async fn pause_rollout(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    id: RolloutId,
    reason: Reason,
) -> Result<Arc<Rollout>, ControlError> {
    let committed = catalog.commit(actor, |snapshot, now| {
        let (product, rollout) = find_rollout(snapshot, id)?;
        use RolloutState as S;
        let state = standing(product, rollout, now).state;
        match state {
            S::Scheduled | S::Exposing | S::Baking | S::Evaluating => {}
            S::AwaitingApproval => return Err(wrong(rollout, state, "paused", "nothing happens until it is approved")),
            S::Paused | S::Halted => return Err(wrong(rollout, state, "paused", "it admits nobody already")),
            S::Completed => {
                return Err(wrong(rollout, state, "paused", "everyone may have it; halt it to take it back"));
            }
            S::Superseded | S::RolledBack | S::Ended => return Err(over(rollout, state, "paused")),
        }
        Ok(vec![changed(rollout, RolloutChange::Paused { reason })])
    });
    rollout_in(&committed.await?, id)
}

/// Lets a paused rollout go on; of a halted one the halt was a false alarm, so every rollout of its release that is
/// halted goes on. Returns after fsync.
pub async fn resume_rollout(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    id: RolloutId,
    reason: Reason,
) -> Result<Arc<Rollout>, ControlError> {
    let committed = catalog.commit(actor, |snapshot, now| {
        let (product, rollout) = find_rollout(snapshot, id)?;
        let state = standing(product, rollout, now).state;
        let resumed = |rollout: &Rollout| changed(rollout, RolloutChange::Resumed { reason: reason.clone() });
        match state {
            RolloutState::Paused => Ok(vec![resumed(rollout)]),
            RolloutState::Halted if matches!(rollout.kind, RolloutKind::Rollback { .. }) => Ok(vec![resumed(rollout)]),
            RolloutState::Halted => {
                let same = product.rollouts_of(rollout.sequence).filter(|same| is_halted(product, same, now));
                Ok(same.map(|same| resumed(same)).collect())
            }
            state if state.is_live() || state == RolloutState::Completed => {
                Err(wrong(rollout, state, "resumed", "it is neither paused nor halted"))
            }
            state => Err(over(rollout, state, "resumed")),
        }
    });
    rollout_in(&committed.await?, id)
}

/// Takes a release away from everyone who does not have it, at once, with all that the policy lets follow: a frozen
/// product, the way back. Of a rollback it stops the way back alone. Returns after fsync.
pub async fn halt_rollout(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    id: RolloutId,
    reason: Reason,
) -> Result<Arc<Rollout>, ControlError> {
    let committed = catalog.commit(actor, |snapshot, now| {
        let (product, rollout) = find_rollout(snapshot, id)?;
        let state = standing(product, rollout, now).state;
        match state {
            RolloutState::Halted => return Err(wrong(rollout, state, "halted again", "nobody gets it")),
            RolloutState::Superseded | RolloutState::RolledBack | RolloutState::Ended => {
                return Err(over(rollout, state, "halted"));
            }
            _ => {}
        }
        in_round((catalog, snapshot, &Census::default()), product, now, |round| {
            let evidence = known_of(round, rollout, format!("{actor} halted it"));
            let (cause, reason) = (HaltCause::Person, reason.clone());
            if matches!(rollout.kind, RolloutKind::Rollback { .. }) {
                return vec![changed(rollout, RolloutChange::Halted { cause, reason, evidence })];
            }
            halt(round, rollout, cause, reason, evidence)
        })
    });
    rollout_in(&committed.await?, id)
}

/// Passes the open wave now, whatever is left of its bake time and whatever its gate says, and opens what comes next: a
/// wave, or a ring, even one that waits for a person. Returns after fsync.
pub async fn promote_rollout(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    id: RolloutId,
    reason: Reason,
) -> Result<Arc<Rollout>, ControlError> {
    let census = census_of(catalog).await;
    let committed = catalog.commit(actor, |snapshot, now| {
        let (product, rollout) = find_rollout(snapshot, id)?;
        use RolloutState as S;
        let state = standing(product, rollout, now).state;
        let remedy = match state {
            S::Exposing | S::Baking | S::Evaluating => None,
            S::Scheduled if rollout.started_at().is_some() => None,
            S::Scheduled => Some("start it first, with `ringfence rollout start`".to_owned()),
            S::AwaitingApproval => Some(format!("people must approve it, with `ringfence rollout approve {id}`")),
            S::Paused | S::Halted => Some(format!("`ringfence rollout resume {id} --reason TEXT` first")),
            S::Completed => Some("everyone may have it already".to_owned()),
            S::Superseded | S::RolledBack | S::Ended => return Err(over(rollout, state, "promoted")),
        };
        if let Some(remedy) = remedy {
            return Err(wrong(rollout, state, "promoted", &remedy));
        }
        if !matches!(rollout.kind, RolloutKind::Rollback { .. }) {
            refuse_frozen(product, now)?;
        }
        in_round((catalog, snapshot, &census), product, now, |round| promote(round, rollout, &reason))
    });
    rollout_in(&committed.await?, id)
}

pub(super) fn is_halted(product: &ProductReleases, rollout: &Rollout, now: Timestamp) -> bool {
    standing(product, rollout, now).state == RolloutState::Halted
}

pub(super) fn wrong(rollout: &Rollout, state: RolloutState, wanted: &'static str, remedy: &str) -> ControlError {
    RolloutRefusal::WrongState { rollout: rollout.id, state, wanted, remedy: remedy.to_owned() }.into()
}

pub(super) fn over(rollout: &Rollout, state: RolloutState, wanted: &'static str) -> ControlError {
    wrong(rollout, state, wanted, "it is over; `ringfence rollout start` begins anew")
}
