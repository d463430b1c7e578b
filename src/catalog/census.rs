//! How many devices are where, kept until the policy or the inventory changes.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::commit::Catalog;
use crate::model::Snapshot;
use crate::model::policy::Policy;
use crate::policy::rollout::Census;

/// What a census was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CensusKey {
    policy_seq: u64,
    inventory_seq: u64,
}

impl CensusKey {
    /// What a census of this state at `now` would be made of; `None` without a policy.
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> Option<Self> {
        let policy = snapshot.policy_at(now)?;
        Some(Self { policy_seq: policy.seq, inventory_seq: snapshot.inventory_seq() })
    }
}

#[derive(Default)]
pub(super) struct CensusCache(Mutex<Option<(CensusKey, Arc<Census>)>>);

impl Catalog {
    /// The devices of the inventory by group under the policy in force. Counts them all where either has changed since
    /// the last time, which takes seconds for millions: call it outside the runtime's threads.
    pub fn census(&self, snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Arc<Census> {
        let key = CensusKey::of(snapshot, now);
        let mut cache = self.census.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, census)) = &*cache
            && Some(*known) == key
        {
            return census.clone();
        }
        let census = Arc::new(Census::count(policy, snapshot, now));
        *cache = key.map(|key| (key, census.clone()));
        census
    }
}
