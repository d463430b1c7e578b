//! The inventory: importing and removing devices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ControlError;
use crate::catalog::Catalog;
use crate::model::{Actor, Device, DeviceId, Event, Snapshot};

/// The most devices one event carries: a journal line stays of bounded length.
pub const DEVICES_PER_EVENT: usize = 1_000;
/// The most devices one call takes.
const DEVICES_PER_CALL: usize = 100_000;

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// Devices that are new or changed.
    pub imported: usize,
    /// Devices that were known just so.
    pub unchanged: usize,
}

/// Puts devices into the inventory, replacing what was known of the same ids; of an id that comes twice the last counts.
/// Devices that are not named stay. Returns after fsync.
pub async fn import_devices(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    devices: Vec<Device>,
) -> Result<Imported, ControlError> {
    check_count(devices.len())?;
    let devices: BTreeMap<DeviceId, Device> = devices.into_iter().map(|device| (device.id.clone(), device)).collect();
    let named = devices.len();
    let committed = catalog.commit(actor, |snapshot, _now| {
        let is_change = |device: &Device| known(snapshot, &device.id) != Some(device);
        let changed = devices.into_values().filter(is_change);
        Ok::<_, ControlError>(chunks(changed).map(|devices| Event::DevicesImported { devices }).collect())
    });
    let committed = committed.await?;
    let imported = committed.records.iter().map(|record| match &record.event {
        Event::DevicesImported { devices } => devices.len(),
        _ => 0,
    });
    let imported = imported.sum();
    Ok(Imported { imported, unchanged: named - imported })
}

/// Takes devices out of the inventory; all of them must be in it. Returns how many, each counted once, after fsync.
pub async fn remove_devices(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    devices: Vec<DeviceId>,
) -> Result<usize, ControlError> {
    check_count(devices.len())?;
    let devices: BTreeSet<DeviceId> = devices.into_iter().collect();
    let count = devices.len();
    let committed = catalog.commit(actor, |snapshot, _now| {
        if let Some(unknown) = devices.iter().find(|id| known(snapshot, id).is_none()) {
            return Err(ControlError::UnknownDevice(unknown.clone()));
        }
        Ok(chunks(devices).map(|devices| Event::DevicesRemoved { devices }).collect())
    });
    committed.await?;
    Ok(count)
}

fn known<'a>(snapshot: &'a Snapshot, id: &DeviceId) -> Option<&'a Device> {
    snapshot.device(id).and_then(|history| history.latest()).map(|device| &**device)
}

fn check_count(count: usize) -> Result<(), ControlError> {
    if count <= DEVICES_PER_CALL {
        Ok(())
    } else {
        Err(ControlError::TooMany { what: "devices", max: DEVICES_PER_CALL })
    }
}

fn chunks<T>(items: impl IntoIterator<Item = T>) -> impl Iterator<Item = Vec<T>> {
    let mut items = items.into_iter().peekable();
    std::iter::from_fn(move || {
        items.peek()?;
        Some(items.by_ref().take(DEVICES_PER_EVENT).collect())
    })
}
