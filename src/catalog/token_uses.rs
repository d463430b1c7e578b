//! When each token was last used: noted in memory by every request, written to the index once in a while.
//!
//! It is no event: a journal line for every request would be. The index keeps it, and the journal cannot give it back:
//! an index that is lost takes it along.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;

use super::error::CatalogError;
use crate::model::{TokenId, TokenListener, TokenUse};

/// Last uses, by token. Never more than there are tokens.
pub struct TokenUses {
    tree: sled::Tree,
    slots: RwLock<HashMap<TokenId, Slot>>,
}

/// Both as a minute since 1970 times four, plus the listener.
#[derive(Default)]
struct Slot {
    latest: AtomicU64,
    written: AtomicU64,
}

const LISTENERS: [TokenListener; 3] = [TokenListener::Device, TokenListener::Admin, TokenListener::Socket];

impl TokenUses {
    /// Those that the tree holds. What is none is passed over: nothing hangs on it.
    pub(super) fn load(tree: sled::Tree) -> Result<Self, CatalogError> {
        let mut slots = HashMap::new();
        for entry in &tree {
            let (key, value) = entry?;
            let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
            if let (Some(token), Some(packed)) = (number(&key), number(&value)) {
                slots.insert(token, Slot { latest: packed.into(), written: packed.into() });
            }
        }
        Ok(Self { tree, slots: RwLock::new(slots) })
    }

    /// Notes a use, to the minute. The token must exist. Never waits on the disk.
    pub fn note(&self, token: TokenId, listener: TokenListener, at: Timestamp) {
        let packed = pack(listener, at);
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&token) {
            // Within a minute nothing is written, so that cores do not fight over it.
            if slot.latest.load(Ordering::Relaxed) / 4 < packed / 4 {
                slot.latest.fetch_max(packed, Ordering::Relaxed);
            }
            return;
        }
        drop(slots);
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.entry(token).or_default().latest.fetch_max(packed, Ordering::Relaxed);
    }

    /// When it was last used, and where.
    pub fn last(&self, token: TokenId) -> Option<TokenUse> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        unpack(slots.get(&token)?.latest.load(Ordering::Relaxed))
    }

    /// Writes what has changed since the last time to the index. Returns how many.
    pub fn write(&self) -> Result<usize, CatalogError> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Vec::new();
        for (token, slot) in slots.iter() {
            let latest = slot.latest.load(Ordering::Relaxed);
            if slot.written.swap(latest, Ordering::Relaxed) != latest {
                changed.push((*token, latest));
            }
        }
        drop(slots);
        let mut batch = sled::Batch::default();
        for (token, packed) in &changed {
            batch.insert(&token.to_be_bytes(), &packed.to_be_bytes());
        }
        self.tree.apply_batch(batch)?;
        Ok(changed.len())
    }
}

fn pack(listener: TokenListener, at: Timestamp) -> u64 {
    let minute = u64::try_from(at.as_second().div_euclid(60)).unwrap_or(0);
    let listener = LISTENERS.iter().position(|known| *known == listener).unwrap_or(0) as u64;
    minute * 4 + listener
}

fn unpack(packed: u64) -> Option<TokenUse> {
    let listener = *LISTENERS.get(usize::try_from(packed % 4).ok()?)?;
    let at = i64::try_from(packed / 4).ok()?.checked_mul(60)?;
    Some(TokenUse { at: Timestamp::from_second(at).ok()?, listener })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_minute_counts_and_outlives_a_restart() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let open = || TokenUses::load(db.open_tree("token-uses").unwrap()).unwrap();
        let uses = open();
        assert_eq!(uses.last(7), None);
        uses.note(7, TokenListener::Admin, at("2026-07-20T14:00:59Z"));
        uses.note(7, TokenListener::Device, at("2026-07-20T14:00:01Z"));
        uses.note(9, TokenListener::Socket, at("2026-07-20T13:00:00Z"));
        assert_eq!(uses.write().unwrap(), 2);
        assert_eq!(uses.write().unwrap(), 0, "nothing has changed");
        uses.note(7, TokenListener::Device, at("2026-07-20T14:02:10Z"));
        uses.note(7, TokenListener::Admin, at("2026-07-20T09:00:00Z"));
        assert_eq!(uses.write().unwrap(), 1);
        for uses in [uses, open()] {
            let expected = TokenUse { at: at("2026-07-20T14:02:00Z"), listener: TokenListener::Device };
            assert_eq!(uses.last(7), Some(expected));
            let expected = TokenUse { at: at("2026-07-20T13:00:00Z"), listener: TokenListener::Socket };
            assert_eq!(uses.last(9), Some(expected));
        }
    }

    #[test]
    fn what_is_no_use_is_passed_over() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let tree = db.open_tree("token-uses").unwrap();
        tree.insert(b"x", b"y").unwrap();
        tree.insert(3_u64.to_be_bytes(), &u64::MAX.to_be_bytes()).unwrap();
        let uses = TokenUses::load(tree).unwrap();
        assert_eq!(uses.last(3), None);
    }
}
