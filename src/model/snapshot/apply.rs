//! Applying one event to a snapshot.

use std::sync::Arc;

use super::{AppliedPolicy, ProductReleases, Snapshot};
use crate::model::{
    ApprovalRule, Blake3Digest, Class, Device, DeviceHistory, DeviceId, Event, EventRecord, GroupName, Hold, Pin,
    PinId, Product, ProductName, Reason, Refusal, Release, ReleaseId, ReleaseManifest, Stamp, Token, Version,
};

/// Why an event does not fit the snapshot it was to be applied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} ({event}) does not fit what comes before it: {why}")]
pub struct ApplyError {
    /// The event's sequence.
    pub seq: u64,
    /// The event's type.
    pub event: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Snapshot {
    /// Applies the next event. On an error the snapshot is unchanged.
    pub fn apply(&mut self, record: &EventRecord) -> Result<(), ApplyError> {
        let error = |why: String| ApplyError { seq: record.seq, event: record.event.name(), why };
        if record.seq == self.seq + 1 && record.prev != self.head() {
            return Err(error("its prev is not the hash of the event before".into()));
        }
        self.apply_draft(record)?;
        self.settle(record.hash);
        Ok(())
    }

    /// Applies an event whose place in the chain is not known yet: the `hash` and `prev` it will be journaled with are
    /// not looked at. [`Snapshot::settle`] gives the snapshot its true head afterwards.
    pub fn apply_draft(&mut self, record: &EventRecord) -> Result<(), ApplyError> {
        let error = |why: String| ApplyError { seq: record.seq, event: record.event.name(), why };
        if record.seq != self.seq + 1 {
            return Err(error(format!("event {} was expected", self.seq + 1)));
        }
        self.apply_event(record).map_err(error)?;
        self.seq = record.seq;
        // A bundle may have brought a later time than that of any clock here.
        self.time = self.time.max(Some(record.time));
        Ok(())
    }

    /// Sets the head to the hash under which the last drafted event was journaled.
    pub fn settle(&mut self, head: Blake3Digest) {
        self.head = Some(head);
    }

    fn apply_event(&mut self, record: &EventRecord) -> Result<(), String> {
        let stamp = Stamp { at: record.time, by: record.actor.clone() };
        match &record.event {
            Event::ProductAdded { product, class } => self.add_product(product, *class, stamp)?,
            Event::ReleaseAdded { .. }
            | Event::ReleaseInspected { .. }
            | Event::ReleaseRefused { .. }
            | Event::ReleaseApproved { .. }
            | Event::ReleasePublished { .. }
            | Event::ReleaseWithdrawn { .. } => self.apply_release_event(record, stamp)?,
            Event::HoldAdded { product, version, scope, reason, expires_at } => self.set_hold(Hold {
                id: record.seq,
                product: product.clone(),
                version: version.clone(),
                scope: scope.clone(),
                reason: reason.clone(),
                author: stamp.by,
                added_at: stamp.at,
                expires_at: *expires_at,
                lifted: None,
            })?,
            Event::HoldLifted { hold, reason } => {
                let hold = self.holds.get(hold).ok_or_else(|| format!("there is no hold {hold}"))?;
                let lifted = Some((stamp, reason.clone()));
                self.set_hold(Hold { lifted, ..Hold::clone(hold) })?;
            }
            Event::PinAdded { group, product, version, reason } => {
                self.add_pin(record.seq, group, product, version, reason, stamp)?;
            }
            Event::PinRemoved { pin, reason: _ } => {
                let pin = self.pins.get(pin).ok_or_else(|| format!("there is no pin {pin}"))?;
                self.set_pin(Pin { removed: Some(stamp), ..Pin::clone(pin) })?;
            }
            Event::PolicyApplied { digest, text } => self.add_policy(record.seq, *digest, text, stamp)?,
            Event::DevicesImported { devices } => {
                self.inventory_seq = record.seq;
                for device in devices {
                    self.set_device(&device.id, record, Some(Arc::new(Device::clone(device))));
                }
            }
            Event::DevicesRemoved { devices } => {
                self.inventory_seq = record.seq;
                for id in devices {
                    self.set_device(id, record, None);
                }
            }
            Event::RolloutPlanned { .. }
            | Event::RolloutChanged { .. }
            | Event::ProductFrozen { .. }
            | Event::ProductReset { .. } => self.apply_rollout_event(record, stamp)?,
            Event::ShareSwitched { .. } => self.apply_share_event(record)?,
            Event::TokenCreated { .. } | Event::TokenRevoked { .. } => self.apply_token_event(record, stamp)?,
            Event::EnrolmentCreated { .. }
            | Event::EnrolmentUsed { .. }
            | Event::DeviceDenied { .. }
            | Event::DeviceAllowed { .. }
            | Event::KeyTrusted { .. }
            | Event::KeyRevoked { .. }
            | Event::OriginKeyAdded { .. }
            | Event::OriginKeyRetired { .. } => self.apply_security_event(record, stamp)?,
            Event::BundleExported { .. }
            | Event::ReceiptTaken { .. }
            | Event::BundleApplied { .. }
            | Event::ReceiptGiven { .. } => self.apply_site_event(record)?,
        }
        Ok(())
    }

    fn apply_token_event(&mut self, record: &EventRecord, stamp: Stamp) -> Result<(), String> {
        match &record.event {
            Event::TokenCreated { scope, hash, expires_at } => {
                let (id, scope, hash, expires_at) = (record.seq, scope.clone(), *hash, *expires_at);
                self.set_token(Token { id, scope, hash, created: stamp, expires_at, revoked: None });
            }
            Event::TokenRevoked { token } => {
                let token = self.tokens.get(token).ok_or_else(|| format!("there is no token {token}"))?;
                self.set_token(Token { revoked: Some(stamp), ..Token::clone(token) });
            }
            other => return Err(format!("{} is no event of a token", other.name())),
        }
        Ok(())
    }

    fn apply_release_event(&mut self, record: &EventRecord, stamp: Stamp) -> Result<(), String> {
        match &record.event {
            Event::ReleaseAdded { release, sequence, manifest, approval } => {
                self.add_release(*release, *sequence, manifest, *approval, stamp)?;
            }
            Event::ReleaseInspected { product, release, inspection } => {
                self.release_mut(product, release, record)?.inspection = Some(inspection.clone());
            }
            Event::ReleaseRefused { product, version, findings } => {
                let (version, findings) = (version.clone(), findings.clone());
                self.product_mut(product)?.refuse(Refusal { version, refused: stamp, findings });
            }
            Event::ReleaseApproved { product, release } => {
                self.release_mut(product, release, record)?.approved = Some(stamp);
            }
            Event::ReleasePublished { product, release } => {
                self.release_mut(product, release, record)?.published_at = Some(stamp.at);
            }
            Event::ReleaseWithdrawn { product, release, reason } => {
                self.release_mut(product, release, record)?.withdrawn = Some((stamp, reason.clone()));
            }
            other => return Err(format!("{} is no event of a release", other.name())),
        }
        Ok(())
    }

    fn add_product(&mut self, name: &ProductName, class: Class, added: Stamp) -> Result<(), String> {
        if self.products.contains_key(name) {
            return Err(format!("product {name} exists already"));
        }
        let product = Product { name: name.clone(), class, added_at: added.at, added_by: added.by };
        Arc::make_mut(&mut self.products).insert(name.clone(), Arc::new(ProductReleases::new(product)));
        Ok(())
    }

    fn add_release(
        &mut self,
        id: ReleaseId,
        sequence: u64,
        manifest: &ReleaseManifest,
        approval: ApprovalRule,
        added: Stamp,
    ) -> Result<(), String> {
        let releases = self.product_mut(&manifest.product)?;
        let expected = releases.next_sequence();
        if sequence != expected {
            return Err(format!("sequence {sequence} where {expected} comes next"));
        }
        if manifest.id() != id {
            return Err("the manifest does not have the release's digest".into());
        }
        if releases.by_version(&manifest.version).is_some() {
            return Err(format!("version {} exists already", manifest.version));
        }
        let manifest = manifest.clone();
        let (approved, published_at, withdrawn, inspection) = (None, None, None, None);
        releases.push(Release {
            id,
            manifest,
            sequence,
            added,
            approval,
            approved,
            published_at,
            withdrawn,
            inspection,
        });
        Ok(())
    }

    fn add_pin(
        &mut self,
        id: PinId,
        group: &GroupName,
        product: &ProductName,
        version: &Version,
        reason: &Reason,
        added: Stamp,
    ) -> Result<(), String> {
        let mut pins = self.product_mut(product)?.pins().iter();
        let replaced = pins.rfind(|pin| pin.group == *group && pin.removed.is_none()).cloned();
        if let Some(pin) = replaced {
            self.set_pin(Pin { removed: Some(added.clone()), ..Pin::clone(&pin) })?;
        }
        let (group, product, version, reason) = (group.clone(), product.clone(), version.clone(), reason.clone());
        self.set_pin(Pin { id, group, product, version, reason, author: added.by, added_at: added.at, removed: None })
    }

    fn add_policy(&mut self, seq: u64, digest: Blake3Digest, text: &str, applied: Stamp) -> Result<(), String> {
        if Blake3Digest::of(text.as_bytes()) != digest {
            return Err("the policy's text does not have its digest".into());
        }
        Arc::make_mut(&mut self.policies).push(AppliedPolicy::new(seq, applied, digest, text.into()));
        Ok(())
    }

    pub(super) fn product_mut(&mut self, name: &ProductName) -> Result<&mut ProductReleases, String> {
        // Looked up first, so that an unknown name copies nothing.
        if !self.products.contains_key(name) {
            return Err(format!("there is no product {name}"));
        }
        let releases = Arc::make_mut(&mut self.products).get_mut(name);
        releases.map(Arc::make_mut).ok_or_else(|| format!("there is no product {name}"))
    }

    fn release_mut(
        &mut self,
        product: &ProductName,
        release: &ReleaseId,
        record: &EventRecord,
    ) -> Result<&mut Release, String> {
        let releases = self.product_mut(product)?;
        releases.change(release, record.time).ok_or_else(|| format!("there is no release {release} of {product}"))
    }

    pub(super) fn set_hold(&mut self, hold: Hold) -> Result<(), String> {
        let hold = Arc::new(hold);
        self.product_mut(&hold.product)?.set_hold(hold.clone());
        Arc::make_mut(&mut self.holds).insert(hold.id, hold);
        Ok(())
    }

    pub(super) fn set_pin(&mut self, pin: Pin) -> Result<(), String> {
        let pin = Arc::new(pin);
        self.product_mut(&pin.product)?.set_pin(pin.clone());
        Arc::make_mut(&mut self.pins).insert(pin.id, pin);
        Ok(())
    }

    fn set_device(&mut self, id: &DeviceId, record: &EventRecord, device: Option<Arc<Device>>) {
        let devices = Arc::make_mut(&mut self.devices);
        match devices.get_mut(id) {
            Some(history) => {
                history.change(record.time, device);
            }
            None => {
                devices.insert(id.clone(), DeviceHistory::new(record.time, device));
            }
        }
    }

    pub(super) fn set_token(&mut self, token: Token) {
        let token = Arc::new(token);
        Arc::make_mut(&mut self.tokens_by_hash).insert(token.hash, token.clone());
        Arc::make_mut(&mut self.tokens).insert(token.id, token);
    }
}
