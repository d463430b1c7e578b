//! Approving and withdrawing releases.

use std::sync::Arc;

use super::ControlError;
use crate::catalog::{Catalog, Committed};
use crate::model::{
    Actor, ApprovalRule, Event, ProductName, Reason, Release, ReleaseId, ReleaseState, Snapshot, Version,
};
use crate::policy::rollout::Publication;

/// Approves a draft and publishes it. Approving what is published already changes nothing. `expected` is the manifest
/// digest the approver looked at; another one is refused. Returns after fsync.
pub async fn approve_release(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    product: &ProductName,
    version: &Version,
    expected: Option<ReleaseId>,
) -> Result<Arc<Release>, ControlError> {
    let committed = catalog.commit(actor, |snapshot, now| {
        let release = find(snapshot, product, version)?;
        if let Some(expected) = expected.filter(|expected| *expected != release.id) {
            let (product, version) = (product.clone(), version.clone());
            return Err(ControlError::OtherRelease { product, version, expected, found: release.id });
        }
        let releases = snapshot.product(product).ok_or_else(|| ControlError::UnknownProduct(product.clone()))?;
        let publication = |before| Publication { snapshot, product: releases, release: release.id, before, now };
        match release.state_at(now) {
            ReleaseState::Published => Ok(Vec::new()),
            ReleaseState::Approved => Ok(publication(0).events()),
            ReleaseState::Withdrawn => Err(wrong_state(release, ReleaseState::Withdrawn, "approved")),
            ReleaseState::Draft if release.approval == ApprovalRule::Other && release.added.by == *actor => {
                let (product, version) = (product.clone(), version.clone());
                Err(ControlError::OwnRelease { product, version, publisher: actor.clone() })
            }
            ReleaseState::Draft => {
                let mut events = vec![Event::ReleaseApproved { product: product.clone(), release: release.id }];
                events.extend(publication(events.len()).events());
                Ok(events)
            }
        }
    });
    found_in(committed.await?, product, version)
}

/// Takes a release back for good: no device sees it or can download it from the next request on. Again changes nothing.
/// Returns after fsync.
pub async fn withdraw_release(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    product: &ProductName,
    version: &Version,
    reason: Reason,
) -> Result<Arc<Release>, ControlError> {
    let committed = catalog.commit(actor, |snapshot, now| {
        let release = find(snapshot, product, version)?;
        if release.state_at(now) == ReleaseState::Withdrawn {
            return Ok(Vec::new());
        }
        Ok(vec![Event::ReleaseWithdrawn { product: product.clone(), release: release.id, reason }])
    });
    found_in(committed.await?, product, version)
}

fn find<'a>(
    snapshot: &'a Snapshot,
    product: &ProductName,
    version: &Version,
) -> Result<&'a Arc<Release>, ControlError> {
    let releases = snapshot.product(product).ok_or_else(|| ControlError::UnknownProduct(product.clone()))?;
    let unknown = || ControlError::UnknownRelease { product: product.clone(), version: version.clone() };
    releases.by_version(version).ok_or_else(unknown)
}

fn found_in(committed: Committed, product: &ProductName, version: &Version) -> Result<Arc<Release>, ControlError> {
    find(&committed.snapshot, product, version).cloned()
}

fn wrong_state(release: &Release, state: ReleaseState, wanted: &'static str) -> ControlError {
    let (product, version) = (release.manifest.product.clone(), release.version().clone());
    ControlError::WrongState { product, version, state, wanted }
}
