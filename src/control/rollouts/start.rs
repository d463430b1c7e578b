//! Starting the rollout of a release: one that waits for a person, or once more after it ended.

use std::sync::Arc;

use jiff::Timestamp;

use super::{ControlError, RolloutRefusal, changed, plan_in, planned_in, product_in, refuse_frozen, release_in};
use super::{find_rollout, rollout_in};
use crate::catalog::Catalog;
use crate::model::{
    Actor, End, Event, ProductName, ProductReleases, Reason, Release, ReleaseState, Rollout, RolloutChange, RolloutId,
    RolloutKind, Snapshot, Version,
};
use crate::policy::rollout::{RolloutState, plan_release, standing};

/// Starts a release's rollout; its first wave opens within a second. Older rollouts of the product that are halted, and
/// rollbacks that keep this release away, give way to it in the same commit: rolling forward is one step.
/// Returns after fsync.
pub async fn start_rollout(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    product: &ProductName,
    version: &Version,
    reason: Option<Reason>,
) -> Result<Arc<Rollout>, ControlError> {
    let mut waiting = None;
    let committed = catalog.commit(actor, |snapshot, now| {
        let known = product_in(snapshot, product)?;
        let release = release_in(known, version)?;
        check_published(release, now)?;
        let (_, plan) = plan_in(snapshot, known, now)?;
        refuse_frozen(known, now)?;
        waiting = startable(snapshot, known, release, now)?.map(|rollout| rollout.id);
        let mut events = Vec::new();
        if waiting.is_none() {
            let class = known.product().class;
            events.push(plan_release(product, class, release.id, plan, reason, now));
        }
        let id = waiting.unwrap_or(snapshot.seq() + 1);
        events.push(Event::RolloutChanged { product: product.clone(), rollout: id, change: RolloutChange::Started });
        events.extend(give_way(known, release.sequence, id, now));
        Ok(events)
    });
    let committed = committed.await?;
    match waiting {
        Some(id) => rollout_in(&committed, id),
        None => planned_in(&committed),
    }
}

pub(super) fn check_published(release: &Release, now: Timestamp) -> Result<(), ControlError> {
    let (product, version) = (release.manifest.product.clone(), release.version().clone());
    match release.state_at(now) {
        ReleaseState::Published => Ok(()),
        ReleaseState::Draft | ReleaseState::Approved => Err(RolloutRefusal::Draft { product, version }.into()),
        state @ ReleaseState::Withdrawn => {
            Err(ControlError::WrongState { product, version, state, wanted: "rolled out" })
        }
    }
}

/// The last ordinary rollout of a release.
pub(super) fn ordinary<'a>(product: &'a ProductReleases, release: &Release) -> Option<&'a Arc<Rollout>> {
    product.rollouts_of(release.sequence).rfind(|rollout| rollout.kind == RolloutKind::Release)
}

/// The rollout that waits to be started; `None` where a new one has to be planned.
fn startable<'a>(
    snapshot: &Snapshot,
    product: &'a ProductReleases,
    release: &Release,
    now: Timestamp,
) -> Result<Option<&'a Arc<Rollout>>, ControlError> {
    let Some(rollout) = ordinary(product, release) else {
        let (product, version) = (product.product().name.clone(), release.version().clone());
        return Err(RolloutRefusal::Unstaged { product, version }.into());
    };
    let (id, state) = (rollout.id, standing(product, rollout, now).state);
    let remedy = match state {
        RolloutState::Scheduled if rollout.started_at().is_none() => return Ok(Some(rollout)),
        RolloutState::RolledBack | RolloutState::Ended => return Ok(None),
        RolloutState::Superseded => match rollout.ended() {
            Some((_, End::Superseded(by))) if is_bad(snapshot, by, now) => return Ok(None),
            Some((_, End::Superseded(by))) => format!("rollout {by} took its place"),
            _ => "a newer one took its place".to_owned(),
        },
        RolloutState::Halted | RolloutState::Paused => {
            format!("`ringfence rollout resume {id} --reason TEXT` lets it go on")
        }
        RolloutState::Completed => "everyone may have it already".to_owned(),
        RolloutState::AwaitingApproval
        | RolloutState::Scheduled
        | RolloutState::Exposing
        | RolloutState::Baking
        | RolloutState::Evaluating => "it runs already".to_owned(),
    };
    Err(RolloutRefusal::WrongState { rollout: id, state, wanted: "started", remedy }.into())
}

/// Whether a rollout was stopped for good, so that what it replaced may be wanted again.
fn is_bad(snapshot: &Snapshot, id: RolloutId, now: Timestamp) -> bool {
    find_rollout(snapshot, id).is_ok_and(|(product, rollout)| {
        matches!(standing(product, rollout, now).state, RolloutState::Halted | RolloutState::RolledBack)
    })
}

/// What makes room for the rollout `by` of the release with this sequence: older ones that are halted, and ways back
/// from it.
fn give_way(product: &ProductReleases, sequence: u64, by: RolloutId, now: Timestamp) -> Vec<Event> {
    let running = product.rollouts().iter().filter(|rollout| rollout.ended().is_none());
    let old = running.filter(|rollout| match rollout.kind {
        RolloutKind::Release => {
            rollout.sequence < sequence && standing(product, rollout, now).state == RolloutState::Halted
        }
        RolloutKind::Rollback { from, .. } => rollout.sequence < sequence && sequence <= from,
        RolloutKind::Expedite { .. } => false,
    });
    old.map(|rollout| changed(rollout, RolloutChange::Superseded { by })).collect()
}
