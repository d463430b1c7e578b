//! Setting and removing pins.

use std::sync::Arc;

use super::ControlError;
use super::policies::check_group;
use crate::catalog::Catalog;
use crate::model::{Actor, Event, GroupName, Pin, PinId, ProductName, Reason, Version};

/// A pin to be set.
#[derive(Debug, Clone)]
pub struct NewPin {
    /// The group, which the policy in force must define.
    pub group: GroupName,
    /// The product.
    pub product: ProductName,
    /// The version, which must exist.
    pub version: Version,
    /// Why.
    pub reason: Reason,
}

/// Keeps a group at a version, in place of an earlier pin of the same group and product. Returns after fsync.
pub async fn add_pin(catalog: &Arc<Catalog>, actor: &Actor, pin: NewPin) -> Result<Arc<Pin>, ControlError> {
    let committed = catalog.commit(actor, |snapshot, now| {
        let NewPin { group, product, version, reason } = pin;
        let releases = snapshot.product(&product).ok_or_else(|| ControlError::UnknownProduct(product.clone()))?;
        if releases.by_version(&version).is_none() {
            return Err(ControlError::UnknownRelease { product, version });
        }
        check_group(snapshot, &group, now)?;
        Ok(vec![Event::PinAdded { group, product, version, reason }])
    });
    let committed = committed.await?;
    let id = committed.records.first().map_or(0, |record| record.seq);
    committed.snapshot.pin(id).cloned().ok_or(ControlError::UnknownId { what: "pin", id })
}

/// Ends a pin. Returns after fsync.
pub async fn remove_pin(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    id: PinId,
    reason: Reason,
) -> Result<Arc<Pin>, ControlError> {
    let unknown = || ControlError::UnknownId { what: "pin", id };
    let committed = catalog.commit(actor, |snapshot, now| {
        let pin = snapshot.pin(id).ok_or_else(unknown)?;
        if !pin.is_active_at(now) {
            return Err(ControlError::Ended { what: "pin", id });
        }
        Ok(vec![Event::PinRemoved { pin: id, reason }])
    });
    committed.await?.snapshot.pin(id).cloned().ok_or_else(unknown)
}
