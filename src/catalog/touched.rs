//! Which of the index's records an event touches.

use std::collections::BTreeMap;

use super::error::CatalogError;
use super::record::{Kind, PolicyRecord, encode, share_path_key};
use crate::model::{DeviceId, Event, EventRecord, ProductName, ReleaseId, ShareName, SiteName, Snapshot, TargetName};

/// Records to be written, by key; nothing where one is to be removed.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Puts what `record` touched as it stands in `snapshot`. Putting it again later, or again after a crash, does no harm.
pub(super) fn put_touched(
    changes: &mut Changes,
    snapshot: &Snapshot,
    record: &EventRecord,
) -> Result<(), CatalogError> {
    match &record.event {
        Event::ProductAdded { product, .. } => {
            if let Some(releases) = snapshot.product(product) {
                changes.insert(Kind::Product.key(product.as_str(), None), Some(encode(releases.product())?));
            }
        }
        Event::ReleaseAdded { release, manifest, .. } => {
            put_release(changes, snapshot, &manifest.product, release)?;
            // A version that was refused before no longer is.
            put_refusals(changes, snapshot, &manifest.product)?;
        }
        Event::ReleaseRefused { product, .. } => put_refusals(changes, snapshot, product)?,
        Event::ReleaseInspected { product, release, .. }
        | Event::ReleaseApproved { product, release }
        | Event::ReleasePublished { product, release }
        | Event::ReleaseWithdrawn { product, release, .. } => put_release(changes, snapshot, product, release)?,
        Event::HoldAdded { .. } => put_hold(changes, snapshot, record.seq)?,
        Event::HoldLifted { hold, .. } => put_hold(changes, snapshot, *hold)?,
        Event::PinAdded { product, .. } => put_pins(changes, snapshot, product)?,
        Event::PinRemoved { pin, .. } => put_pin(changes, snapshot, *pin)?,
        Event::PolicyApplied { .. } => {
            if let Some(policy) = snapshot.policies().iter().find(|policy| policy.seq == record.seq) {
                changes.insert(Kind::Policy.key("", Some(policy.seq)), Some(encode(&PolicyRecord::of(policy))?));
            }
        }
        Event::DevicesImported { devices } => {
            for device in devices {
                put_device(changes, snapshot, &device.id)?;
            }
        }
        Event::DevicesRemoved { devices } => {
            for id in devices {
                put_device(changes, snapshot, id)?;
            }
        }
        Event::RolloutPlanned { product, .. } => put_rollout(changes, snapshot, product, record.seq)?,
        Event::RolloutChanged { product, rollout, .. } => put_rollout(changes, snapshot, product, *rollout)?,
        Event::ProductFrozen { product, .. } | Event::ProductReset { product, .. } => {
            for freeze in snapshot.product(product).into_iter().flat_map(|releases| releases.freezes()) {
                changes.insert(Kind::Freeze.key("", Some(freeze.id)), Some(encode(&(product, freeze))?));
            }
        }
        Event::ShareSwitched { share, put, removed, forgotten, .. } => {
            let put = put.iter().map(|file| &file.path);
            put_share(changes, snapshot, share, put.chain(removed).chain(forgotten))?;
        }
        Event::TokenCreated { .. } => put_token(changes, snapshot, record.seq)?,
        Event::TokenRevoked { token } => put_token(changes, snapshot, *token)?,
        Event::EnrolmentCreated { .. }
        | Event::EnrolmentUsed { .. }
        | Event::DeviceDenied { .. }
        | Event::DeviceAllowed { .. }
        | Event::KeyTrusted { .. }
        | Event::KeyRevoked { .. }
        | Event::OriginKeyAdded { .. }
        | Event::OriginKeyRetired { .. } => put_trust(changes, snapshot, record)?,
        Event::BundleExported { site, .. } | Event::ReceiptTaken { site, .. } => put_site(changes, snapshot, site)?,
        // What a bundle puts in place of everything else is written as a whole: see `Projection::write`.
        Event::BundleApplied { .. } | Event::ReceiptGiven { .. } => put_own_site(changes, snapshot)?,
    }
    Ok(())
}

/// Enrolments, denials and keys.
fn put_trust(changes: &mut Changes, snapshot: &Snapshot, record: &EventRecord) -> Result<(), CatalogError> {
    match &record.event {
        Event::EnrolmentCreated { forgotten, .. } => {
            for id in forgotten.iter().chain([&record.seq]) {
                put_enrolment(changes, snapshot, *id)?;
            }
        }
        Event::EnrolmentUsed { enrolment, .. } => put_enrolment(changes, snapshot, *enrolment)?,
        Event::DeviceDenied { device, .. } | Event::DeviceAllowed { device, .. } => {
            let value = snapshot.denial(device).map(encode).transpose()?;
            changes.insert(Kind::Denial.key(device.as_str(), None), value);
        }
        _ => {
            let keys = (snapshot.trusted_keys(), snapshot.origin_keys());
            changes.insert(Kind::Keys.key("", None), Some(encode(&keys)?));
        }
    }
    Ok(())
}

fn put_release(
    changes: &mut Changes,
    snapshot: &Snapshot,
    product: &ProductName,
    release: &ReleaseId,
) -> Result<(), CatalogError> {
    if let Some(release) = snapshot.product(product).and_then(|releases| releases.by_id(release)) {
        changes.insert(Kind::Release.key(product.as_str(), Some(release.sequence)), Some(encode(release)?));
    }
    Ok(())
}

fn put_rollout(changes: &mut Changes, snapshot: &Snapshot, product: &ProductName, id: u64) -> Result<(), CatalogError> {
    if let Some(rollout) = snapshot.product(product).and_then(|releases| releases.rollout(id)) {
        changes.insert(Kind::Rollout.key("", Some(id)), Some(encode(rollout)?));
    }
    Ok(())
}

fn put_share<'a>(
    changes: &mut Changes,
    snapshot: &Snapshot,
    name: &ShareName,
    paths: impl Iterator<Item = &'a TargetName>,
) -> Result<(), CatalogError> {
    let Some(share) = snapshot.share(name) else { return Ok(()) };
    changes.insert(Kind::Share.key(name.as_str(), None), Some(encode(share)?));
    for path in paths {
        let value = share.paths().get(path).map(|known| encode(&(path, known))).transpose()?;
        changes.insert(share_path_key(name, path), value);
    }
    Ok(())
}

fn put_pin(changes: &mut Changes, snapshot: &Snapshot, id: u64) -> Result<(), CatalogError> {
    if let Some(pin) = snapshot.pin(id) {
        changes.insert(Kind::Pin.key("", Some(id)), Some(encode(pin)?));
    }
    Ok(())
}

fn put_site(changes: &mut Changes, snapshot: &Snapshot, name: &SiteName) -> Result<(), CatalogError> {
    if let Some(site) = snapshot.site(name) {
        changes.insert(Kind::Site.key(name.as_str(), None), Some(encode(site)?));
    }
    Ok(())
}

fn put_own_site(changes: &mut Changes, snapshot: &Snapshot) -> Result<(), CatalogError> {
    if let Some(own) = snapshot.own_site() {
        changes.insert(Kind::OwnSite.key("", None), Some(encode(own)?));
    }
    Ok(())
}

/// A new pin may have replaced an older one, so all of the product's are put.
fn put_pins(changes: &mut Changes, snapshot: &Snapshot, product: &ProductName) -> Result<(), CatalogError> {
    for pin in snapshot.product(product).into_iter().flat_map(|releases| releases.pins()) {
        changes.insert(Kind::Pin.key("", Some(pin.id)), Some(encode(pin)?));
    }
    Ok(())
}

fn put_hold(changes: &mut Changes, snapshot: &Snapshot, id: u64) -> Result<(), CatalogError> {
    if let Some(hold) = snapshot.hold(id) {
        changes.insert(Kind::Hold.key("", Some(id)), Some(encode(hold)?));
    }
    Ok(())
}

fn put_device(changes: &mut Changes, snapshot: &Snapshot, id: &DeviceId) -> Result<(), CatalogError> {
    if let Some(history) = snapshot.device(id) {
        changes.insert(Kind::Device.key(id.as_str(), None), Some(encode(history)?));
    }
    Ok(())
}

fn put_token(changes: &mut Changes, snapshot: &Snapshot, id: u64) -> Result<(), CatalogError> {
    if let Some(token) = snapshot.token(id) {
        changes.insert(Kind::Token.key("", Some(id)), Some(encode(token)?));
    }
    Ok(())
}

fn put_enrolment(changes: &mut Changes, snapshot: &Snapshot, id: u64) -> Result<(), CatalogError> {
    let value = snapshot.enrolment(id).map(encode).transpose()?;
    changes.insert(Kind::Enrolment.key("", Some(id)), value);
    Ok(())
}

fn put_refusals(changes: &mut Changes, snapshot: &Snapshot, product: &ProductName) -> Result<(), CatalogError> {
    let refusals =
        snapshot.product(product).map(|releases| releases.refusals()).filter(|refusals| !refusals.is_empty());
    let value = refusals.map(|refusals| encode(&(product, refusals))).transpose()?;
    changes.insert(Kind::Refusals.key(product.as_str(), None), value);
    Ok(())
}
