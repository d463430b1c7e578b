//! Going faster: asking for an emergency, and approving it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::rollout_in;
use super::start::{check_published, ordinary};
use super::steer::{over, wrong};
use super::{ControlError, RolloutRefusal, changed, find_rollout, plan_in, planned_in, product_in, release_in};
use crate::catalog::Catalog;
use crate::control::policies::check_group;
use crate::model::{Actor, GroupName, ProductName, Reason, Rollout, RolloutChange, RolloutId, RolloutKind, Version};
use crate::policy::rollout::{RolloutState, plan_expedite, standing};

/// The fewest characters that state why something is an emergency.
const CRITERIA_MIN_CHARS: usize = 10;

/// An emergency to be asked for.
#[derive(Debug, Clone)]
pub struct NewExpedite {
    /// The product.
    pub product: ProductName,
    /// The version, which must be published.
    pub version: Version,
    /// Why this is an emergency.
    pub criteria: Reason,
    /// The groups whose pin it beats.
    pub pinned_groups: BTreeSet<GroupName>,
}

/// Asks for an emergency rollout by the policy's emergency plan. Nothing is exposed before enough people have approved
/// it; whoever asks counts only by approving. Returns after fsync.
pub async fn expedite(catalog: &Arc<Catalog>, actor: &Actor, asked: NewExpedite) -> Result<Arc<Rollout>, ControlError> {
    let committed = catalog.commit(actor, |snapshot, now| {
        let NewExpedite { product, version, criteria, pinned_groups } = asked;
        let known = product_in(snapshot, &product)?;
        let release = release_in(known, &version)?;
        check_published(release, now)?;
        let class = known.product().class;
        let (_, plan) = plan_in(snapshot, known, now)?;
        let plan = plan.emergency.as_ref().ok_or(RolloutRefusal::NoEmergency(class))?;
        if criteria.as_str().trim().chars().count() < CRITERIA_MIN_CHARS {
            return Err(RolloutRefusal::ShortCriteria(CRITERIA_MIN_CHARS).into());
        }
        for group in &pinned_groups {
            check_group(snapshot, group, now)?;
        }
        for rollout in known.rollouts_of(release.sequence) {
            let state = standing(known, rollout, now).state;
            if matches!(rollout.kind, RolloutKind::Expedite { .. }) && state.is_live() {
                let remedy = "an emergency for this release exists already";
                return Err(wrong(rollout, state, "asked for again", remedy));
            }
        }
        if let Some(rollout) = ordinary(known, release) {
            let state = standing(known, rollout, now).state;
            if matches!(state, RolloutState::Halted | RolloutState::RolledBack) {
                let remedy = "an emergency never beats a halt or a rollback; resume or start it first";
                return Err(wrong(rollout, state, "expedited", remedy));
            }
        }
        Ok(vec![plan_expedite((&product, class, release.id), plan, criteria, pinned_groups, now)])
    });
    planned_in(&committed.await?)
}

/// Approves an emergency, or a rollback that the policy wants approved; with the last approval that is needed it may
/// start. Returns after fsync.
pub async fn approve_rollout(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    id: RolloutId,
) -> Result<Arc<Rollout>, ControlError> {
    let committed = catalog.commit(actor, |snapshot, now| {
        let (product, rollout) = find_rollout(snapshot, id)?;
        let needed = rollout.approvals_needed() as usize;
        may_approve(rollout, actor)?;
        if rollout.approvers().any(|step| step.by == *actor) {
            return Err(RolloutRefusal::ApprovedTwice(actor.clone()).into());
        }
        if matches!(rollout.kind, RolloutKind::Expedite { expires_at, .. } if expires_at <= now) {
            return Err(RolloutRefusal::Expired(id).into());
        }
        match standing(product, rollout, now).state {
            RolloutState::AwaitingApproval => {}
            state if state.is_live() || state == RolloutState::Completed => {
                return Err(wrong(rollout, state, "approved", "it needs no further approval"));
            }
            state => return Err(over(rollout, state, "approved")),
        }
        let mut events = vec![changed(rollout, RolloutChange::Approved)];
        // The way back begins with the next steps, together with what ends by it.
        let is_rollback = matches!(rollout.kind, RolloutKind::Rollback { .. });
        if !is_rollback && rollout.approvers().count() + 1 >= needed {
            events.push(changed(rollout, RolloutChange::Started));
        }
        Ok(events)
    });
    rollout_in(&committed.await?, id)
}

/// Of an emergency the policy names who may; the way back anyone may approve but whoever began it.
fn may_approve(rollout: &Rollout, actor: &Actor) -> Result<(), RolloutRefusal> {
    match &rollout.kind {
        RolloutKind::Expedite { approvers, .. } if !approvers.contains(actor.as_str()) => {
            let approvers = approvers.iter().cloned().collect::<Vec<_>>().join(", ");
            Err(RolloutRefusal::NotApprover { actor: actor.clone(), approvers })
        }
        RolloutKind::Expedite { .. } => Ok(()),
        _ if rollout.approvals_needed() == 0 => Err(RolloutRefusal::NoApproval(rollout.id)),
        _ if rollout.planned.by == *actor => Err(RolloutRefusal::OwnRollback(actor.clone())),
        _ => Ok(()),
    }
}
