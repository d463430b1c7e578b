//! A table of what peers have used lately, of bounded size: a peer that is not in it has used nothing.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Enough that requests of different peers rarely wait for the same lock.
const SHARDS: usize = 16;
/// How often a full shard is looked through for entries that say nothing.
const SWEEP_EVERY_NS: u64 = 1_000_000_000;
/// How many entries are compared when one has to go though all of them say something.
const SAMPLE: usize = 32;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    interval_ns: u64,
    full_ns: u64,
}

impl Rate {
    /// `count` in each `per`, and `burst` at once; none of them is zero.
    pub(super) fn new(count: u32, per: Duration, burst: u64) -> Self {
        let per_ns = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        let interval_ns = (per_ns / u64::from(count.max(1))).max(1);
        Self { interval_ns, full_ns: interval_ns.saturating_mul(burst.max(1)) }
    }
}

/// A token bucket, kept as the moment at which it will be full again. Moments are nanoseconds of the caller's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// Takes `cost` if at least one is in it, else says when one will be. A cost above what is in it is owed: what comes
    /// in one piece is taken in one piece, and the average holds all the same.
    pub(super) fn take(&mut self, rate: Rate, cost: u64, now: u64) -> Result<(), Duration> {
        let full_at = self.full_at.max(now);
        let after_one = full_at - now + rate.interval_ns;
        if after_one > rate.full_ns {
            return Err(Duration::from_nanos(after_one - rate.full_ns));
        }
        self.full_at = full_at.saturating_add(rate.interval_ns.saturating_mul(cost));
        Ok(())
    }
}

/// What one peer has used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    pub(super) requests: Bucket,
    pub(super) reports: Bucket,
    pub(super) running: u32,
}

impl Usage {
    fn free_at(&self) -> u64 {
        self.requests.full_at.max(self.reports.full_at)
    }

    /// It says no more than an absent entry would.
    fn is_idle(&self, now: u64) -> bool {
        self.running == 0 && self.free_at() <= now
    }
}

/// Peers are kept by a keyed hash of 64 bits: an entry has one small size whatever names a peer, and nobody can aim at
/// the entry of another.
#[derive(Debug)]
pub(super) struct Table {
    hasher: RandomState,
    shard_max: usize,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    usages: HashMap<u64, Usage>,
    swept_at: u64,
}

impl Table {
    /// Holds at most `entries_max`.
    pub(super) fn new(entries_max: usize) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { hasher: RandomState::new(), shard_max: (entries_max / SHARDS).max(1), shards }
    }

    pub(super) fn key(&self, peer: &impl Hash) -> u64 {
        self.hasher.hash_one(peer)
    }

    /// Looks at what a peer has used, and may add to it. `None` if there is no room for the peer: every entry that could
    /// make way belongs to a request that is running.
    pub(super) fn with<T>(&self, key: u64, now: u64, look: impl FnOnce(&mut Usage) -> T) -> Option<T> {
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = shard.usages.get_mut(&key) {
            return Some(look(usage));
        }
        if shard.usages.len() >= self.shard_max && !shard.make_room(self.shard_max, now) {
            return None;
        }
        Some(look(shard.usages.entry(key).or_default()))
    }

    /// Changes the entry of a peer if it is there.
    pub(super) fn with_known(&self, key: u64, change: impl FnOnce(&mut Usage)) {
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = shard.usages.get_mut(&key) {
            change(usage);
        }
    }

    fn shard(&self, key: u64) -> &Mutex<Shard> {
        // The map below hashes the key once more, so these bits are not used twice.
        let place = (key % SHARDS as u64) as usize;
        &self.shards[place]
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().usages.len()).sum()
    }
}

impl Shard {
    /// Idle entries go first; if none is, the one of a few that would be idle soonest.
    fn make_room(&mut self, max: usize, now: u64) -> bool {
        // Looking through all of them for each newcomer would make a flood of addresses expensive for everyone.
        if now >= self.swept_at.saturating_add(SWEEP_EVERY_NS) || self.swept_at == 0 {
            self.swept_at = now.max(1);
            self.usages.retain(|_, usage| !usage.is_idle(now));
            if self.usages.len() < max {
                return true;
            }
        }
        let some = self.usages.iter().take(SAMPLE).filter(|(_, usage)| usage.running == 0);
        let Some(soonest) = some.min_by_key(|(_, usage)| usage.free_at()).map(|(key, _)| *key) else { return false };
        self.usages.remove(&soonest);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_bucket_gives_its_burst_and_then_the_rate() {
        let rate = Rate::new(50, Duration::from_secs(1), 500);
        let mut bucket = Bucket::default();
        let taken = (0..1000).filter(|_| bucket.take(rate, 1, SECOND).is_ok()).count();
        assert_eq!(taken, 500);
        assert_eq!(bucket.take(rate, 1, SECOND), Err(Duration::from_millis(20)));
        let taken = (0..1000).filter(|_| bucket.take(rate, 1, 2 * SECOND).is_ok()).count();
        assert_eq!(taken, 50);
        let taken = (0..1000).filter(|_| bucket.take(rate, 1, 3600 * SECOND).is_ok()).count();
        assert_eq!(taken, 500, "an idle hour earns no more than the burst");
    }

    #[test]
    fn a_large_cost_is_owed() {
        let rate = Rate::new(600, Duration::from_secs(60), 600);
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(rate, 1000, SECOND), Ok(()));
        let wait = bucket.take(rate, 1, SECOND).unwrap_err();
        assert!((40.0..41.0).contains(&wait.as_secs_f64()), "{wait:?}");
        assert_eq!(bucket.take(rate, 1000, SECOND + 42 * SECOND), Ok(()));
    }

    #[test]
    fn the_table_never_grows_beyond_its_bound_and_idle_entries_go_first() {
        let table = Table::new(1600);
        let rate = Rate::new(1, Duration::from_secs(1), 100);
        let busy: Vec<u64> = (0..40_u32).map(|peer| table.key(&("busy", peer))).collect();
        for key in &busy {
            table.with(*key, SECOND, |usage| usage.requests.take(rate, 90, SECOND)).unwrap().unwrap();
        }
        for peer in 0..100_000_u32 {
            let key = table.key(&peer);
            table.with(key, SECOND, |usage| usage.requests.take(rate, 1, SECOND)).unwrap().unwrap();
        }
        assert!(table.len() <= 1600, "{}", table.len());
        for key in &busy {
            let full_at = table.with(*key, SECOND, |usage| usage.requests.full_at).unwrap();
            assert_eq!(full_at, 91 * SECOND, "who has used the most is remembered the longest");
        }
    }

    #[test]
    fn what_is_running_is_never_forgotten() {
        let table = Table::new(SHARDS);
        let mut kept = 0;
        for peer in 0..1000_u32 {
            let key = table.key(&peer);
            kept += usize::from(table.with(key, SECOND, |usage| usage.running += 1).is_some());
        }
        assert_eq!((kept, table.len()), (SHARDS, SHARDS));
    }
}
