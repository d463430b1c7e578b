//! Which group a device is in, remembered: with hundreds of groups that is the dearest part of a decision.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::model::policy::Group;
use crate::model::{DeviceId, Snapshot};
use crate::policy::{Requester, group_of};

const SHARDS: usize = 16;
/// Entries of one shard; a full one starts anew. About 100 bytes each, so at most some 13 MB in all.
const SHARD_MAX: usize = 8192;

/// The last group found of each device, good for one snapshot and one address.
#[derive(Debug, Default)]
pub(super) struct GroupCache {
    hasher: RandomState,
    shards: [Mutex<HashMap<DeviceId, Entry>>; SHARDS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    snapshot_seq: u64,
    address: Option<IpAddr>,
    /// Its place in the policy in force; `None` for no group.
    group: Option<usize>,
}

impl GroupCache {
    /// The requester's group under the policy in force. `now` must be the present: not before the snapshot's newest
    /// event.
    pub(super) fn group<'a>(&self, snapshot: &'a Snapshot, who: &Requester<'_>, now: Timestamp) -> Option<&'a Group> {
        let groups = snapshot.policy_at(now)?.policy().ok()?.groups();
        // Without an identity there is nothing to search.
        let Some(device) = who.device else { return group_of(snapshot, who, now) };
        let shard = usize::try_from(self.hasher.hash_one(device) % SHARDS as u64).unwrap_or(0);
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let (snapshot_seq, address) = (snapshot.seq(), who.address);
        if let Some(entry) = shard.get(device)
            && (entry.snapshot_seq, entry.address) == (snapshot_seq, address)
        {
            return entry.group.and_then(|index| groups.get(index));
        }
        let found = group_of(snapshot, who, now);
        let group = found.and_then(|found| groups.iter().position(|group| std::ptr::eq(group, found)));
        if shard.len() >= SHARD_MAX {
            shard.clear();
        }
        shard.insert(device.clone(), Entry { snapshot_seq, address, group });
        found
    }
}
