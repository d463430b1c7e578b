//! What people do with rollouts: start, pause, resume, halt, promote, go back, go faster, approve, signal, reset.
//!
//! Each is one function that builds its events against the newest state inside the commit, and returns after fsync what
//! is now true. What this module deliberately does not do: it takes no step that time or a gate takes, and computes no
//! share, state or verdict; those are the `policy` room's.

mod back;
mod emergency;
mod ignored;
mod refusal;
mod signal;
mod start;
mod steer;
#[cfg(test)]
mod tests;

pub use back::{NewRollback, PlannedRollback, look_at_rollback, rollback};
pub use emergency::{NewExpedite, approve_rollout, expedite};
pub use refusal::RolloutRefusal;
pub use signal::{reset_product, signal_rollout};
pub use start::start_rollout;
pub use steer::{halt_rollout, pause_rollout, promote_rollout, resume_rollout};

use std::sync::Arc;

use jiff::Timestamp;

use super::ControlError;
use crate::catalog::{Catalog, Committed};
use crate::model::policy::{ClassPlan, Policy};
use crate::model::{
    Event, Evidence, Freeze, ProductName, ProductReleases, Release, Rollout, RolloutChange, RolloutId, Snapshot,
    Version,
};
use crate::policy::rollout::{Census, Round};

/// A rollout and its product, by the rollout's number.
///
/// # Errors
/// There is none of that number.
pub fn find_rollout(
    snapshot: &Snapshot,
    id: RolloutId,
) -> Result<(&Arc<ProductReleases>, &Arc<Rollout>), ControlError> {
    let found = snapshot.products().find_map(|product| Some((product, product.rollout(id)?)));
    found.ok_or(ControlError::UnknownId { what: "rollout", id })
}

fn rollout_in(committed: &Committed, id: RolloutId) -> Result<Arc<Rollout>, ControlError> {
    find_rollout(&committed.snapshot, id).map(|(_, rollout)| rollout.clone())
}

/// The rollout that the first of the commit's planning events made.
fn planned_in(committed: &Committed) -> Result<Arc<Rollout>, ControlError> {
    let planned = committed.records.iter().find(|record| matches!(record.event, Event::RolloutPlanned { .. }));
    rollout_in(committed, planned.map_or(0, |record| record.seq))
}

fn product_in<'a>(snapshot: &'a Snapshot, product: &ProductName) -> Result<&'a Arc<ProductReleases>, ControlError> {
    snapshot.product(product).ok_or_else(|| ControlError::UnknownProduct(product.clone()))
}

fn release_in<'a>(product: &'a ProductReleases, version: &Version) -> Result<&'a Arc<Release>, ControlError> {
    product.by_version(version).ok_or_else(|| {
        let (product, version) = (product.product().name.clone(), version.clone());
        ControlError::UnknownRelease { product, version }
    })
}

/// The policy in force and its plan for the product's class.
fn plan_in<'a>(
    snapshot: &'a Snapshot,
    product: &ProductReleases,
    now: Timestamp,
) -> Result<(&'a Arc<Policy>, &'a ClassPlan), ControlError> {
    let class = product.product().class;
    let policy = policy_in(snapshot, now);
    let plan = policy.and_then(|policy| Some((policy, policy.plan(class)?)));
    Ok(plan.ok_or_else(|| RolloutRefusal::NoPlan { product: product.product().name.clone(), class })?)
}

fn policy_in(snapshot: &Snapshot, now: Timestamp) -> Option<&Arc<Policy>> {
    snapshot.policy_at(now).and_then(|applied| applied.policy().ok())
}

/// Looks at a product as the ticker does. A policy that this build cannot read is as good as none.
fn in_round<T>(
    (catalog, snapshot, census): (&Catalog, &Snapshot, &Census),
    product: &ProductReleases,
    now: Timestamp,
    look: impl FnOnce(&Round<'_>) -> T,
) -> Result<T, ControlError> {
    let class = product.product().class;
    let no_plan = || RolloutRefusal::NoPlan { product: product.product().name.clone(), class };
    let policy = policy_in(snapshot, now).ok_or_else(no_plan)?;
    Ok(catalog.with_health(&product.product().name, |health| look(&Round { product, policy, health, census, now })))
}

/// The freeze in force.
fn freeze_of(product: &ProductReleases, now: Timestamp) -> Option<&Arc<Freeze>> {
    product.freezes().iter().rfind(|freeze| freeze.is_active_at(now))
}

fn refuse_frozen(product: &ProductReleases, now: Timestamp) -> Result<(), ControlError> {
    let Some(freeze) = freeze_of(product, now) else { return Ok(()) };
    let (product, reason) = (product.product().name.clone(), freeze.reason.clone());
    Err(RolloutRefusal::Frozen { product, reason }.into())
}

fn changed(rollout: &Rollout, change: RolloutChange) -> Event {
    Event::RolloutChanged { product: rollout.product.clone(), rollout: rollout.id, change }
}

/// What is known of all rings of a rollout.
fn known_of(round: &Round<'_>, rollout: &Rollout, detail: String) -> Evidence {
    let counts = round.health.total(rollout.id, round.now);
    Evidence {
        offered: counts.offered,
        fetched: counts.fetched,
        installed: counts.installed,
        healthy: counts.healthy,
        failed: counts.failed,
        rolled_back: counts.rolled_back,
        silent: counts.silent,
        detail,
    }
}

/// The devices of the inventory by group, counted before the commit: nobody else waits for it.
async fn census_of(catalog: &Arc<Catalog>) -> Arc<Census> {
    let (snapshot, now, catalog) = (catalog.snapshot(), catalog.now(), catalog.clone());
    let counting = tokio::task::spawn_blocking(move || {
        policy_in(&snapshot, now).map(|policy| catalog.census(&snapshot, policy, now)).unwrap_or_default()
    });
    counting.await.unwrap_or_default()
}
