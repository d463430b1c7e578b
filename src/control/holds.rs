//! Adding and lifting holds.

use std::sync::Arc;

use jiff::Timestamp;

use super::ControlError;
use super::policies::{check_group, check_ring};
use crate::catalog::Catalog;
use crate::model::{Actor, Event, Hold, HoldId, HoldScope, ProductName, Reason, Version};

/// A hold to be added.
#[derive(Debug, Clone)]
pub struct NewHold {
    /// The product.
    pub product: ProductName,
    /// The version, which must exist; the whole product, releases to come included, where absent.
    pub version: Option<Version>,
    /// From whom.
    pub scope: HoldScope,
    /// Why.
    pub reason: Reason,
    /// Until when, if it ends by itself; in the future.
    pub expires_at: Option<Timestamp>,
}

/// Withholds. In force from the next request on. Returns after fsync.
pub async fn add_hold(catalog: &Arc<Catalog>, actor: &Actor, hold: NewHold) -> Result<Arc<Hold>, ControlError> {
    let committed = catalog.commit(actor, |snapshot, now| {
        let NewHold { product, version, scope, reason, expires_at } = hold;
        let releases = snapshot.product(&product).ok_or_else(|| ControlError::UnknownProduct(product.clone()))?;
        if let Some(version) = version.as_ref().filter(|version| releases.by_version(version).is_none()) {
            return Err(ControlError::UnknownRelease { product, version: version.clone() });
        }
        match &scope {
            HoldScope::Group(group) => check_group(snapshot, group, now)?,
            HoldScope::Ring(ring) => check_ring(snapshot, ring, now)?,
            HoldScope::Everyone | HoldScope::Devices(_) => {}
        }
        if expires_at.is_some_and(|end| end <= now) {
            return Err(ControlError::EndsInThePast);
        }
        Ok(vec![Event::HoldAdded { product, version, scope, reason, expires_at }])
    });
    let committed = committed.await?;
    let id = committed.records.first().map_or(0, |record| record.seq);
    committed.snapshot.hold(id).cloned().ok_or(ControlError::UnknownId { what: "hold", id })
}

/// Ends a hold. In force from the next request on. Returns after fsync.
pub async fn lift_hold(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    id: HoldId,
    reason: Reason,
) -> Result<Arc<Hold>, ControlError> {
    let unknown = || ControlError::UnknownId { what: "hold", id };
    let committed = catalog.commit(actor, |snapshot, now| {
        let hold = snapshot.hold(id).ok_or_else(unknown)?;
        if hold.ends_at().is_some_and(|end| end <= now) {
            return Err(ControlError::Ended { what: "hold", id });
        }
        Ok(vec![Event::HoldLifted { hold: id, reason }])
    });
    committed.await?.snapshot.hold(id).cloned().ok_or_else(unknown)
}
