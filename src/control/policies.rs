//! Applying policies.

use std::sync::Arc;

use jiff::Timestamp;

use super::ControlError;
use crate::catalog::Catalog;
use crate::model::policy::Policy;
use crate::model::{Actor, Blake3Digest, Event, GroupName, RingName, Snapshot};
use crate::share::read_policy;

/// What applying did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedOutcome {
    /// The number under which the policy came into force.
    pub seq: u64,
    /// Whether this call put it in force; not if the same text was in force already.
    pub is_change: bool,
}

/// Puts a policy in force from the next request on. `expected` is the number of the policy that the caller's plan was
/// made against (0 for none); another one is refused. Returns after fsync.
pub async fn apply_policy(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    text: String,
    expected: Option<u64>,
) -> Result<AppliedOutcome, ControlError> {
    read_policy(&text)?;
    let digest = Blake3Digest::of(text.as_bytes());
    let mut unchanged = 0;
    let committed = catalog.commit(actor, |snapshot, _now| {
        let in_force = snapshot.policies().last();
        let found = in_force.map_or(0, |policy| policy.seq);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(ControlError::OtherPolicy { expected, found });
        }
        if in_force.is_some_and(|policy| policy.digest == digest) {
            unchanged = found;
            return Ok(Vec::new());
        }
        Ok(vec![Event::PolicyApplied { digest, text }])
    });
    let committed = committed.await?;
    // Not the snapshot's last one: another may have been applied since.
    let applied = committed.records.first().map(|record| record.seq);
    Ok(AppliedOutcome { seq: applied.unwrap_or(unchanged), is_change: applied.is_some() })
}

fn policy_at(snapshot: &Snapshot, now: Timestamp) -> Option<&Arc<Policy>> {
    snapshot.policy_at(now).and_then(|applied| applied.policy().ok())
}

pub(super) fn check_group(snapshot: &Snapshot, group: &GroupName, now: Timestamp) -> Result<(), ControlError> {
    let is_known = policy_at(snapshot, now).is_some_and(|policy| policy.group(group).is_some());
    if is_known { Ok(()) } else { Err(ControlError::UnknownGroup(group.clone())) }
}

pub(super) fn check_ring(snapshot: &Snapshot, ring: &RingName, now: Timestamp) -> Result<(), ControlError> {
    let is_known =
        policy_at(snapshot, now).is_some_and(|policy| policy.rings().iter().any(|known| known.name() == ring));
    if is_known { Ok(()) } else { Err(ControlError::UnknownRing(ring.clone())) }
}
