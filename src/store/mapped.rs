//! The mappings of the blobs served most recently, so that a request costs no system call to find its body.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::BlobBody;
use crate::model::Blake3Digest;

/// Digests are spread evenly, so a shard's lock is seldom contended and its eviction scan stays short.
const SHARDS: usize = 16;

/// A bounded cache of mapped bodies, least recently used out first within a shard.
#[derive(Debug)]
pub(super) struct MappedBodies {
    shards: Vec<Mutex<Shard>>,
    /// Counts [`MappedBodies::forget`] calls: a body opened before one must not be inserted after it.
    forgotten: AtomicU64,
}

#[derive(Debug)]
struct Shard {
    bodies: HashMap<Blake3Digest, Slot>,
    bodies_max: usize,
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    body: BlobBody,
    used: u64,
}

/// The state of the cache before a body was opened; see [`MappedBodies::insert`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch(u64);

impl MappedBodies {
    /// A cache of at least `bodies_max` mappings, rounded up to fill its shards evenly; 0 keeps none.
    pub(super) fn new(bodies_max: usize) -> Self {
        let bodies_max = bodies_max.div_ceil(SHARDS);
        let shard = || Mutex::new(Shard { bodies: HashMap::new(), bodies_max, clock: 0 });
        Self { shards: std::iter::repeat_with(shard).take(SHARDS).collect(), forgotten: AtomicU64::new(0) }
    }

    fn shard(&self, digest: &Blake3Digest) -> MutexGuard<'_, Shard> {
        // The last byte: the first two already choose the directory, and tests make digests that share them.
        let shard = usize::from(digest.as_bytes()[31]) % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body, if it is mapped.
    pub(super) fn get(&self, digest: &Blake3Digest) -> Option<BlobBody> {
        let mut shard = self.shard(digest);
        shard.clock += 1;
        let now = shard.clock;
        let slot = shard.bodies.get_mut(digest)?;
        slot.used = now;
        Some(slot.body.clone())
    }

    /// To be taken before the file is opened.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.forgotten.load(Ordering::SeqCst))
    }

    /// Keeps a body that was opened after `epoch`, unless anything was forgotten since: the file may have been
    /// quarantined while it was being opened.
    pub(super) fn insert(&self, digest: Blake3Digest, body: BlobBody, epoch: Epoch) {
        let mut shard = self.shard(&digest);
        if shard.bodies_max == 0 || self.forgotten.load(Ordering::SeqCst) != epoch.0 {
            return;
        }
        if shard.bodies.len() >= shard.bodies_max
            && let Some(oldest) = shard.bodies.iter().min_by_key(|(_, slot)| slot.used).map(|(digest, _)| *digest)
        {
            shard.bodies.remove(&oldest);
        }
        shard.clock += 1;
        let used = shard.clock;
        shard.bodies.insert(digest, Slot { body, used });
    }

    /// Drops the mapping of a blob that has lost its name. Bodies already handed out stay readable.
    pub(super) fn forget(&self, digest: &Blake3Digest) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.shard(digest).bodies.remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn digest(number: u8) -> Blake3Digest {
        let mut bytes = [0; 32];
        bytes[0] = number;
        Blake3Digest::from_bytes(bytes)
    }

    fn body(number: u8) -> BlobBody {
        BlobBody::from_bytes(Bytes::from(vec![number]))
    }

    #[test]
    fn the_least_recently_used_body_leaves_first() {
        // All of these fall into one shard, which holds two.
        let cache = MappedBodies::new(2 * SHARDS);
        cache.insert(digest(1), body(1), cache.epoch());
        cache.insert(digest(2), body(2), cache.epoch());
        assert!(cache.get(&digest(1)).is_some());
        cache.insert(digest(3), body(3), cache.epoch());
        assert!(cache.get(&digest(2)).is_none());
        assert_eq!(cache.get(&digest(1)).unwrap().bytes, [1][..]);
        assert_eq!(cache.get(&digest(3)).unwrap().bytes, [3][..]);
    }

    #[test]
    fn what_was_opened_before_a_forget_is_not_kept() {
        let cache = MappedBodies::new(SHARDS);
        let epoch = cache.epoch();
        cache.forget(&digest(1));
        cache.insert(digest(1), body(1), epoch);
        assert!(cache.get(&digest(1)).is_none());
    }

    #[test]
    fn a_cache_of_none_keeps_none() {
        let cache = MappedBodies::new(0);
        cache.insert(digest(1), body(1), cache.epoch());
        assert!(cache.get(&digest(1)).is_none());
    }
}
