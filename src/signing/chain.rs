//! Which keys count, for somebody who trusts one of them: each next key is vouched for by one that counts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Signature, introduction};
use crate::model::{KeyId, PublicKey};

/// The most keys that an origin tells of, and that are looked at.
pub const KEYS_MAX: usize = 64;

/// One key of an origin, as the origin tells of it. Only the introduction is proof of anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// The key.
    pub key: PublicKey,
    /// When it was added: the time in its introduction.
    pub added_at: Timestamp,
    /// The key that vouches for it; none for the first one, and for one that replaces a lost one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduced_by: Option<KeyId>,
    /// That key's signature over [`introduction`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduction: Option<String>,
    /// From when on nothing that it signed is to be believed; may lie ahead, at the end of an overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
}

impl KeyEntry {
    /// Whether nothing that it signed is to be believed at `now`.
    pub fn is_retired(&self, now: Timestamp) -> bool {
        self.retired_at.is_some_and(|retired_at| retired_at <= now)
    }
}

/// All keys of an origin, in order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysDocument {
    /// The keys.
    pub keys: Vec<KeyEntry>,
}

impl KeysDocument {
    /// The keys that count at `now` for somebody who trusts `anchor`: that one, and all that it vouches for, directly or
    /// through each other, but for those that are retired. Keys before the anchor do not count: who has seen a newer
    /// key never goes back to an older one.
    pub fn trusted_from(&self, anchor: &PublicKey, now: Timestamp) -> Vec<PublicKey> {
        let entries = &self.keys[..self.keys.len().min(KEYS_MAX)];
        let is_retired = |key: &PublicKey| entries.iter().any(|entry| entry.key == *key && entry.is_retired(now));
        if is_retired(anchor) {
            return Vec::new();
        }
        let mut trusted = vec![*anchor];
        for entry in entries {
            let is_vouched_for = trusted.iter().any(|by| vouches(by, entry));
            if is_vouched_for && !entry.is_retired(now) && !trusted.contains(&entry.key) {
                trusted.push(entry.key);
            }
        }
        trusted
    }

    /// What is said of a key.
    pub fn entry(&self, id: KeyId) -> Option<&KeyEntry> {
        self.keys.iter().take(KEYS_MAX).find(|entry| entry.key.id == id)
    }
}

/// Whether `by` has signed the introduction of this key.
fn vouches(by: &PublicKey, entry: &KeyEntry) -> bool {
    let signature = entry.introduction.as_ref().filter(|_| entry.introduced_by == Some(by.id));
    let signature = signature.and_then(|text| Signature::parse(text).ok());
    let text = introduction(&entry.key, by.id, entry.added_at);
    signature.is_some_and(|signature| signature.verify(by, text.as_bytes()).is_ok())
}
