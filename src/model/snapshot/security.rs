//! Who is shut out, who may enrol, and whose signatures count.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Snapshot;
use crate::model::{
    Blake3Digest, Denial, DeviceId, Enrolment, EnrolmentId, Event, EventRecord, KeyId, OriginKey, Stamp, TrustedKey,
};

/// The parts of a snapshot that are about trust.
#[derive(Debug, Clone, Default)]
pub(super) struct Security {
    denials: Arc<BTreeMap<DeviceId, Arc<Denial>>>,
    enrolments: Arc<BTreeMap<EnrolmentId, Arc<Enrolment>>>,
    enrolments_by_hash: Arc<HashMap<Blake3Digest, EnrolmentId>>,
    trusted_keys: Arc<Vec<TrustedKey>>,
    origin_keys: Arc<Vec<OriginKey>>,
}

impl Snapshot {
    /// The devices that get nothing now, in order of id.
    pub fn denials(&self) -> impl ExactSizeIterator<Item = &Arc<Denial>> {
        self.security.denials.values()
    }

    /// Whether, and why, a device gets nothing now. Unlike a decision this knows no past: a request is made now.
    pub fn denial(&self, device: &DeviceId) -> Option<&Arc<Denial>> {
        self.security.denials.get(device)
    }

    /// The enrolments that were not used yet, in order of id; some of them may have expired.
    pub fn enrolments(&self) -> impl ExactSizeIterator<Item = &Arc<Enrolment>> {
        self.security.enrolments.values()
    }

    /// One enrolment that was not used yet.
    pub fn enrolment(&self, id: EnrolmentId) -> Option<&Arc<Enrolment>> {
        self.security.enrolments.get(&id)
    }

    /// The unused enrolment whose code has this keyed hash.
    pub fn enrolment_by_hash(&self, hash: &Blake3Digest) -> Option<&Arc<Enrolment>> {
        self.security.enrolments_by_hash.get(hash).and_then(|id| self.security.enrolments.get(id))
    }

    /// Every key that was ever trusted to sign releases, in order of time.
    pub fn trusted_keys(&self) -> &[TrustedKey] {
        &self.security.trusted_keys
    }

    /// Every key that the origin ever signed with, in order of time.
    pub fn origin_keys(&self) -> &[OriginKey] {
        &self.security.origin_keys
    }

    pub(super) fn apply_security_event(&mut self, record: &EventRecord, stamp: Stamp) -> Result<(), String> {
        match &record.event {
            Event::EnrolmentCreated { device, hash, expires_at, forgotten } => {
                if self.security.enrolments_by_hash.contains_key(hash) {
                    return Err("another enrolment has the same code".into());
                }
                let unknown = forgotten.iter().find(|id| self.enrolment(**id).is_none());
                if let Some(id) = unknown {
                    return Err(format!("there is no enrolment {id}"));
                }
                forgotten.iter().for_each(|id| self.forget_enrolment(*id));
                let (id, device) = (record.seq, device.clone());
                let expires_at = *expires_at;
                self.set_enrolment(Enrolment { id, device, hash: *hash, created: stamp, expires_at });
            }
            Event::EnrolmentUsed { enrolment, .. } => {
                self.enrolment(*enrolment).ok_or_else(|| format!("there is no enrolment {enrolment}"))?;
                self.forget_enrolment(*enrolment);
            }
            Event::DeviceDenied { device, reason } => {
                self.set_denial(Denial { device: device.clone(), denied: stamp, reason: reason.clone() });
            }
            Event::DeviceAllowed { device, .. } => {
                self.denial(device).ok_or_else(|| format!("device {device} is not denied"))?;
                Arc::make_mut(&mut self.security.denials).remove(device);
            }
            Event::KeyTrusted { .. } | Event::KeyRevoked { .. } => self.apply_trust(record, stamp)?,
            Event::OriginKeyAdded { .. } | Event::OriginKeyRetired { .. } => self.apply_origin_key(record, stamp)?,
            other => return Err(format!("{} is no event of trust", other.name())),
        }
        Ok(())
    }

    fn apply_trust(&mut self, record: &EventRecord, stamp: Stamp) -> Result<(), String> {
        let position = |id: KeyId| self.trusted_keys().iter().rposition(|known| known.key.id == id);
        match &record.event {
            Event::KeyTrusted { key, name, products } => {
                if position(key.id).is_some() {
                    return Err(format!("key {} was trusted before", key.id));
                }
                let (key, name, products) = (*key, name.clone(), products.clone());
                let key = TrustedKey { key, name, products, trusted: stamp, revoked: None };
                Arc::make_mut(&mut self.security.trusted_keys).push(key);
            }
            Event::KeyRevoked { key, reason } => {
                let at = position(*key).ok_or_else(|| format!("there is no trusted key {key}"))?;
                Arc::make_mut(&mut self.security.trusted_keys)[at].revoked = Some((stamp, reason.clone()));
            }
            _ => {}
        }
        Ok(())
    }

    fn apply_origin_key(&mut self, record: &EventRecord, stamp: Stamp) -> Result<(), String> {
        let position = |id: KeyId| self.origin_keys().iter().rposition(|known| known.key.id == id);
        match &record.event {
            Event::OriginKeyAdded { key, introduced_by, introduction } => {
                if position(key.id).is_some() {
                    return Err(format!("the origin has a key {} already", key.id));
                }
                if let Some(id) = introduced_by.filter(|id| position(*id).is_none()) {
                    return Err(format!("the origin has no key {id}"));
                }
                let (introduced_by, introduction) = (*introduced_by, introduction.clone());
                let key = OriginKey { key: *key, added: stamp, introduced_by, introduction, retired_at: None };
                Arc::make_mut(&mut self.security.origin_keys).push(key);
            }
            Event::OriginKeyRetired { key, .. } => {
                let at = position(*key).ok_or_else(|| format!("the origin has no key {key}"))?;
                Arc::make_mut(&mut self.security.origin_keys)[at].retired_at = Some(stamp.at);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn set_denial(&mut self, denial: Denial) {
        Arc::make_mut(&mut self.security.denials).insert(denial.device.clone(), Arc::new(denial));
    }

    pub(super) fn set_enrolment(&mut self, enrolment: Enrolment) {
        Arc::make_mut(&mut self.security.enrolments_by_hash).insert(enrolment.hash, enrolment.id);
        Arc::make_mut(&mut self.security.enrolments).insert(enrolment.id, Arc::new(enrolment));
    }

    fn forget_enrolment(&mut self, id: EnrolmentId) {
        if let Some(enrolment) = Arc::make_mut(&mut self.security.enrolments).remove(&id) {
            Arc::make_mut(&mut self.security.enrolments_by_hash).remove(&enrolment.hash);
        }
    }

    pub(super) fn set_keys(&mut self, trusted: Vec<TrustedKey>, origin: Vec<OriginKey>) {
        self.security.trusted_keys = Arc::new(trusted);
        self.security.origin_keys = Arc::new(origin);
    }
}
