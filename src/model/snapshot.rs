//! The state of everything at one point of the journal, as a pure fold over its events.
//!
//! A snapshot keeps history where decisions need it: releases, holds, pins, policies and devices carry the times at
//! which they changed. A decision for a past moment is therefore made from the present snapshot with a past `now`;
//! nothing is replayed. Snapshots are immutable once shared; the parts are reference-counted, so that applying one
//! event copies only the part it touches.

mod apply;
#[cfg(test)]
pub(crate) mod dump;
#[cfg(test)]
pub(crate) mod random;
#[cfg(test)]
mod random_sites;
mod releases;
mod restore;
mod rollouts;
mod security;
mod shares;
mod sites;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use super::policy::{Policy, PolicyError};
use super::{
    Blake3Digest, DeviceHistory, DeviceId, Hold, HoldId, Pin, PinId, ProductName, Share, ShareName, Stamp, Token,
    TokenId,
};
pub use apply::ApplyError;
pub use releases::ProductReleases;
pub use restore::{ShareParts, SnapshotParts};

/// A policy that was in force from `applied.at` until the next one.
#[derive(Debug, Clone)]
pub struct AppliedPolicy {
    /// The journal sequence of its event; the number `policy history` shows.
    pub seq: u64,
    /// Since when, and by whom.
    pub applied: Stamp,
    /// BLAKE3 of the text.
    pub digest: Blake3Digest,
    /// The file as it was written.
    pub text: Arc<str>,
    parsed: Arc<OnceLock<Result<Arc<Policy>, PolicyError>>>,
}

impl AppliedPolicy {
    /// A policy to be parsed when it is first needed: of a long history only the last few ever are.
    pub fn new(seq: u64, applied: Stamp, digest: Blake3Digest, text: Arc<str>) -> Self {
        Self { seq, applied, digest, text, parsed: Arc::default() }
    }

    /// The parsed policy. An error means that this build no longer understands a text that an older one took.
    pub fn policy(&self) -> Result<&Arc<Policy>, &PolicyError> {
        self.parsed.get_or_init(|| Policy::parse(&self.text).map(Arc::new)).as_ref()
    }
}

/// Everything that decisions and use cases need to know, at one point of the journal.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    seq: u64,
    head: Option<Blake3Digest>,
    time: Option<Timestamp>,
    inventory_seq: u64,
    products: Arc<BTreeMap<ProductName, Arc<ProductReleases>>>,
    policies: Arc<Vec<AppliedPolicy>>,
    holds: Arc<BTreeMap<HoldId, Arc<Hold>>>,
    pins: Arc<BTreeMap<PinId, Arc<Pin>>>,
    devices: Arc<HashMap<DeviceId, DeviceHistory>>,
    shares: Arc<BTreeMap<ShareName, Arc<Share>>>,
    tokens: Arc<BTreeMap<TokenId, Arc<Token>>>,
    tokens_by_hash: Arc<HashMap<Blake3Digest, Arc<Token>>>,
    security: security::Security,
    sites: sites::Sites,
}

impl Snapshot {
    /// The sequence of the last event in it; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The hash of the last event in it; zeros before the first.
    pub fn head(&self) -> Blake3Digest {
        self.head.unwrap_or(Blake3Digest::from_bytes([0; 32]))
    }

    /// The time of the last event in it.
    pub fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// The moment at which present decisions are made when the wall clock shows `clock`: never before the last event,
    /// so that a clock set back cannot hide what has just been withdrawn or held.
    pub fn present(&self, clock: Timestamp) -> Timestamp {
        self.time.map_or(clock, |time| time.max(clock))
    }

    /// The sequence of the last event that changed the inventory, or of a later one: what is counted over all devices
    /// holds for as long as this stays the same.
    pub fn inventory_seq(&self) -> u64 {
        self.inventory_seq
    }

    /// All products in order of name.
    pub fn products(&self) -> impl ExactSizeIterator<Item = &Arc<ProductReleases>> {
        self.products.values()
    }

    /// One product with its releases.
    pub fn product(&self, name: &ProductName) -> Option<&Arc<ProductReleases>> {
        self.products.get(name)
    }

    /// Every policy ever applied, oldest first.
    pub fn policies(&self) -> &[AppliedPolicy] {
        &self.policies
    }

    /// The policy in force at `at`.
    pub fn policy_at(&self, at: Timestamp) -> Option<&AppliedPolicy> {
        let later = self.policies.partition_point(|policy| policy.applied.at <= at);
        later.checked_sub(1).map(|index| &self.policies[index])
    }

    /// The first time after `at` at which another policy came into force.
    pub fn next_policy_after(&self, at: Timestamp) -> Option<Timestamp> {
        let later = self.policies.partition_point(|policy| policy.applied.at <= at);
        self.policies.get(later).map(|policy| policy.applied.at)
    }

    /// All holds ever added, in order of id.
    pub fn holds(&self) -> impl ExactSizeIterator<Item = &Arc<Hold>> {
        self.holds.values()
    }

    /// One hold.
    pub fn hold(&self, id: HoldId) -> Option<&Arc<Hold>> {
        self.holds.get(&id)
    }

    /// All pins ever added, in order of id.
    pub fn pins(&self) -> impl ExactSizeIterator<Item = &Arc<Pin>> {
        self.pins.values()
    }

    /// One pin.
    pub fn pin(&self, id: PinId) -> Option<&Arc<Pin>> {
        self.pins.get(&id)
    }

    /// The inventory, in no particular order; removed devices are in it, with their history.
    pub fn devices(&self) -> impl ExactSizeIterator<Item = (&DeviceId, &DeviceHistory)> {
        self.devices.iter()
    }

    /// What the inventory knows of one device.
    pub fn device(&self, id: &DeviceId) -> Option<&DeviceHistory> {
        self.devices.get(id)
    }

    /// Every share that ever showed something, in order of name. Which there are now is the policy's word.
    pub fn shares(&self) -> impl ExactSizeIterator<Item = &Arc<Share>> {
        self.shares.values()
    }

    /// What one share shows and has shown.
    pub fn share(&self, name: &ShareName) -> Option<&Arc<Share>> {
        self.shares.get(name)
    }

    /// All tokens ever created, in order of id.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &Arc<Token>> {
        self.tokens.values()
    }

    /// One token.
    pub fn token(&self, id: TokenId) -> Option<&Arc<Token>> {
        self.tokens.get(&id)
    }

    /// The token whose secret has this keyed hash. The look-up is by the hash of a 32-byte random secret, so its timing
    /// tells nothing that helps to find one.
    pub fn token_by_hash(&self, hash: &Blake3Digest) -> Option<&Arc<Token>> {
        self.tokens_by_hash.get(hash)
    }
}
