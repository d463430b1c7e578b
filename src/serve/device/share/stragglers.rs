//! Who is in the midst of reading a set of files while the share switches.
//!
//! Files of a set come in several requests. A reader that had an index just before a switch asks for the payload just
//! after it, and would get one that the index does not know. So for a short grace it is given the version that it began
//! with. What is remembered is only the version a reader last got of a set, and it never goes back: a reader that has
//! got something new gets nothing older any more.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::model::{DeviceId, ShareName};

const SHARDS: usize = 16;
/// Readers of one generation of a shard. There are two, so at most 65,536 readers of sets in all, about 5 MB; a full
/// generation replaces the one before it, whose readers have not come for longest.
const GENERATION_MAX: usize = 2_048;

/// Who reads: a device, or whatever is at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::serve::device) enum Reader<'a> {
    Device(&'a DeviceId),
    Address(IpAddr),
}

/// A reader of a set, as a keyed hash: two of them meeting in one could not be foreseen, and would cost one of them a
/// few seconds' delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ReaderKey(u64);

/// The versions that readers of sets have last got.
#[derive(Debug)]
pub(in crate::serve::device) struct Stragglers {
    grace: SignedDuration,
    reach: SignedDuration,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    young: HashMap<ReaderKey, Entry>,
    old: HashMap<ReaderKey, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The switch that was in effect.
    version_at: Timestamp,
    read_at: Timestamp,
}

impl Stragglers {
    /// A reader is given the version before a switch for `grace` after it, if it has read from that version within
    /// `reach` before it: one that last came hours ago is not in the midst of anything.
    pub(in crate::serve::device) fn new(grace: SignedDuration, reach: SignedDuration) -> Self {
        Self { grace, reach, hasher: RandomState::new(), shards: Default::default() }
    }

    /// Names a reader of a set.
    pub(super) fn key(&self, share: &ShareName, set: &str, reader: Reader<'_>) -> ReaderKey {
        ReaderKey(self.hasher.hash_one((share, set, reader)))
    }

    /// Whether anyone can still be behind the switch at `switched_at`.
    pub(super) fn is_in_grace(&self, switched_at: Timestamp, now: Timestamp) -> bool {
        switched_at <= now && now < switched_at.checked_add(self.grace).unwrap_or(Timestamp::MAX)
    }

    /// Whether the last version that the reader got is the one before the switch at `switched_at`, within reach. A file
    /// that has been at its path since `since` must have been in that version.
    pub(super) fn is_behind(&self, key: ReaderKey, switched_at: Timestamp, since: Timestamp) -> bool {
        let reached = switched_at.checked_sub(self.reach).unwrap_or(Timestamp::MIN);
        let entry = self.shard(key).get(key);
        entry.is_some_and(|entry| {
            entry.version_at < switched_at && entry.version_at >= since && entry.read_at >= reached
        })
    }

    /// The reader gets something of the version that the switch at `version_at` made.
    pub(super) fn note(&self, key: ReaderKey, version_at: Timestamp, now: Timestamp) {
        if self.grace.is_positive() {
            self.shard(key).note(key, Entry { version_at, read_at: now });
        }
    }

    fn shard(&self, key: ReaderKey) -> MutexGuard<'_, Shard> {
        let shard = usize::try_from(key.0 % SHARDS as u64).unwrap_or(0);
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn get(&self, key: ReaderKey) -> Option<Entry> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    /// Two requests of one reader may come in any order, so the later version and time stay.
    fn note(&mut self, key: ReaderKey, entry: Entry) {
        let known = self.get(key).unwrap_or(entry);
        let entry =
            Entry { version_at: entry.version_at.max(known.version_at), read_at: entry.read_at.max(known.read_at) };
        if self.young.len() >= GENERATION_MAX && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn stragglers(grace_s: i64) -> Stragglers {
        Stragglers::new(SignedDuration::from_secs(grace_s), SignedDuration::from_secs(900))
    }

    fn key(stragglers: &Stragglers, share: &str, set: &str, device: &str) -> ReaderKey {
        let device = device.parse().unwrap();
        stragglers.key(&share.parse().unwrap(), set, Reader::Device(&device))
    }

    #[test]
    fn the_grace_begins_with_the_switch_and_ends() {
        let stragglers = stragglers(15);
        let in_grace = |second| stragglers.is_in_grace(at(0), at(second));
        assert_eq!([-1, 0, 14, 15, 1000].map(in_grace), [false, true, true, false, false]);
        assert!(!self::stragglers(0).is_in_grace(at(0), at(0)));
    }

    #[test]
    fn only_who_has_the_version_before_is_behind() {
        let stragglers = stragglers(15);
        let reader = key(&stragglers, "s", "a", "pc-1");
        assert!(!stragglers.is_behind(reader, at(0), at(-500)), "it has read nothing");
        stragglers.note(reader, at(-400), at(-3));
        assert!(stragglers.is_behind(reader, at(0), at(-500)));
        assert!(stragglers.is_behind(reader, at(0), at(-400)));
        assert!(!stragglers.is_behind(reader, at(0), at(-399)), "that file came after what it has read");
        for other in [("t", "a", "pc-1"), ("s", "b", "pc-1"), ("s", "a", "pc-2")] {
            let other = key(&stragglers, other.0, other.1, other.2);
            assert!(!stragglers.is_behind(other, at(0), at(-500)));
        }
        stragglers.note(reader, at(0), at(2));
        assert!(!stragglers.is_behind(reader, at(0), at(-500)), "it has got something new");
        stragglers.note(reader, at(-400), at(3));
        assert!(!stragglers.is_behind(reader, at(0), at(-500)), "and does not go back");
    }

    #[test]
    fn who_last_came_long_ago_is_not_behind() {
        let stragglers = stragglers(15);
        let reader = key(&stragglers, "s", "a", "pc-1");
        stragglers.note(reader, at(-4000), at(-901));
        assert!(!stragglers.is_behind(reader, at(0), at(-5000)));
        stragglers.note(reader, at(-4000), at(-900));
        assert!(stragglers.is_behind(reader, at(0), at(-5000)));
    }

    #[test]
    fn those_who_came_last_are_remembered_and_the_table_is_bounded() {
        let stragglers = stragglers(15);
        let keys: Vec<ReaderKey> = (0..200_000).map(|n| key(&stragglers, "s", "a", &format!("pc-{n}"))).collect();
        for key in &keys {
            stragglers.note(*key, at(-400), at(-3));
        }
        let count = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap();
            shard.young.len() + shard.old.len()
        };
        let remembered: usize = stragglers.shards.iter().map(count).sum();
        assert!((SHARDS * GENERATION_MAX..=65_536).contains(&remembered), "{remembered}");
        assert!(keys[199_000..].iter().all(|key| stragglers.is_behind(*key, at(0), at(-500))));
        assert!(!stragglers.is_behind(keys[0], at(0), at(-500)));
    }
}
