//! What monitoring systems and incidents say of a rollout, and the reset of a frozen product.

use std::sync::Arc;

use super::rollout_in;
use super::steer::{over, wrong};
use super::{ControlError, RolloutRefusal, changed, find_rollout, freeze_of, in_round, known_of, product_in};
use crate::catalog::Catalog;
use crate::model::{
    Actor, Event, Freeze, GateSignal, HaltCause, ProductName, Reason, Rollout, RolloutChange, RolloutId, RolloutKind,
};
use crate::policy::rollout::{Census, RolloutState, halt, standing};

/// The longest name of a source.
const SOURCE_MAX_CHARS: usize = 100;

/// Records what a monitoring system or an incident says. A pass stands in for the open wave's gate, unless devices say
/// otherwise; a failure halts at once. Returns after fsync.
pub async fn signal_rollout(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    id: RolloutId,
    (signal, source): (GateSignal, String),
    reason: Reason,
) -> Result<Arc<Rollout>, ControlError> {
    let is_printable = !source.trim().is_empty() && !source.chars().any(char::is_control);
    if !is_printable || source.chars().count() > SOURCE_MAX_CHARS {
        return Err(RolloutRefusal::BadSource.into());
    }
    let committed = catalog.commit(actor, |snapshot, now| {
        let (product, rollout) = find_rollout(snapshot, id)?;
        if matches!(rollout.kind, RolloutKind::Rollback { .. }) {
            return Err(RolloutRefusal::NoGate(id).into());
        }
        let state = standing(product, rollout, now).state;
        match state {
            RolloutState::AwaitingApproval | RolloutState::Scheduled => {
                return Err(wrong(rollout, state, "judged by a signal", "nothing of it is open yet"));
            }
            RolloutState::Superseded | RolloutState::RolledBack | RolloutState::Ended => {
                return Err(over(rollout, state, "judged by a signal"));
            }
            _ => {}
        }
        let said = RolloutChange::Signalled { signal, source: source.clone(), reason: reason.clone() };
        let mut events = vec![changed(rollout, said)];
        if signal == GateSignal::Fail && state != RolloutState::Halted {
            events.extend(in_round((catalog, snapshot, &Census::default()), product, now, |round| {
                let evidence = known_of(round, rollout, format!("{source} says that it fails"));
                halt(round, rollout, HaltCause::Signal { source: source.clone() }, reason.clone(), evidence)
            })?);
        }
        Ok(events)
    });
    rollout_in(&committed.await?, id)
}

/// Ends the freeze of a product: its rollouts go on from where they stood. Returns after fsync.
pub async fn reset_product(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    product: &ProductName,
    reason: Reason,
) -> Result<Arc<Freeze>, ControlError> {
    let not_frozen = || RolloutRefusal::NotFrozen(product.clone());
    let committed = catalog.commit(actor, |snapshot, now| {
        freeze_of(product_in(snapshot, product)?, now).ok_or_else(not_frozen)?;
        Ok::<_, ControlError>(vec![Event::ProductReset { product: product.clone(), reason }])
    });
    let committed = committed.await?;
    let freezes = product_in(&committed.snapshot, product)?.freezes();
    Ok(freezes.iter().rfind(|freeze| freeze.reset.is_some()).cloned().ok_or_else(not_frozen)?)
}
