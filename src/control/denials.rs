//! Shutting devices out, and letting them in again.

use std::sync::Arc;

use super::ControlError;
use crate::catalog::Catalog;
use crate::model::{Actor, Denial, DeviceId, Event, Reason};

/// Denies a device everything, whatever credential it comes with, from the next request on. It need not be in the
/// inventory. One that is denied already gets the new reason. Returns after fsync.
pub async fn deny_device(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    device: DeviceId,
    reason: Reason,
) -> Result<Arc<Denial>, ControlError> {
    let committed = catalog.commit(actor, |snapshot, _now| {
        if snapshot.denial(&device).is_some_and(|denial| denial.reason == reason) {
            return Ok(Vec::new());
        }
        Ok::<_, ControlError>(vec![Event::DeviceDenied { device: device.clone(), reason }])
    });
    // Only somebody who allowed it in the same moment leaves nothing to show.
    committed.await?.snapshot.denial(&device).cloned().ok_or(ControlError::NotDenied(device))
}

/// Ends a denial, from the next request on. Returns after fsync.
pub async fn allow_device(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    device: &DeviceId,
    reason: Reason,
) -> Result<(), ControlError> {
    let committed = catalog.commit(actor, |snapshot, _now| {
        if snapshot.denial(device).is_none() {
            return Err(ControlError::NotDenied(device.clone()));
        }
        Ok(vec![Event::DeviceAllowed { device: device.clone(), reason }])
    });
    committed.await?;
    Ok(())
}
