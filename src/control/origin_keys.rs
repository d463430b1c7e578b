//! The origin's own keys: which one signs, how the next one takes over, and which ones count no more.
//!
//! The order of a rotation makes every crash harmless: the next key is durable beside the present one before the
//! journal names it, and takes its place afterwards. A start that finds a key beside the present one asks the journal
//! whether it was named.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};

use super::ControlError;
use crate::catalog::Catalog;
use crate::model::{Actor, Event, KeyId, OriginKey, PublicKey, Reason, Snapshot};
use crate::signing::{KEYS_MAX, KeyEntry, KeysDocument, SecretKey, Signed, introduction};
use crate::sys::random::random_bytes;

/// Statements of the same few seconds have the same time, so that those that say the same are signed once.
const STATEMENT_EVERY_S: i64 = 5;

/// Why nothing was done to an origin's key.
#[derive(Debug, thiserror::Error)]
pub enum OriginKeyRefusal {
    /// There is no such key.
    #[error("this origin has no key {0}; `ringfence key list` shows them")]
    Unknown(KeyId),
    /// It was retired before.
    #[error("key {0} is retired already")]
    Retired(KeyId),
    /// It signs.
    #[error("key {0} is the one that signs: `ringfence key rotate` first, then retire it")]
    InUse(KeyId),
    /// The key that should sign counts no more.
    #[error(
        "the signing key {0} was retired: put the present one back from a backup, or remove the file for a new one"
    )]
    Unusable(KeyId),
    /// Another key of the same id is known.
    #[error("another key with the id {0} is in the journal: the signing key's file is damaged or not this origin's")]
    OtherKey(KeyId),
    /// The key is one that the server cannot write.
    #[error(
        "the signing key is a systemd credential, which the server cannot change: rename its file to \
         origin.key.previous, put a new one in its place (`ringfence init` makes one in an empty directory), load both \
         with LoadCredential=, and restart; the old key then vouches for the new one"
    )]
    Credential,
    /// The file cannot be written.
    #[error("{}: the next key cannot be written: {cause}", path.display())]
    NotWritten {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
}

/// Where the secret key is kept. Blocks.
pub trait KeyPlace: Send + Sync + 'static {
    /// Makes the next key durable beside the present one.
    fn stage(&self, next: &SecretKey) -> Result<(), OriginKeyRefusal>;
    /// Puts the staged key in the place of the present one, which is kept as the previous one.
    fn take_over(&self, next: &SecretKey) -> Result<(), OriginKeyRefusal>;
}

/// How long what is signed, and what it is signed with, may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningRules {
    /// For a statement, from the moment it was made.
    pub statement_valid_for: SignedDuration,
    /// For a key, from the moment the next one was added.
    pub key_overlap: SignedDuration,
}

/// The key that signs, and the others.
pub struct OriginKeys {
    present: ArcSwap<SecretKey>,
    place: Box<dyn KeyPlace>,
    rules: SigningRules,
    /// One rotation at a time.
    turn: tokio::sync::Mutex<()>,
}

impl fmt::Debug for OriginKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OriginKeys({})", self.key().public().id)
    }
}

impl OriginKeys {
    /// Signs with `present`, whatever the journal says of it.
    pub fn new(present: SecretKey, place: Box<dyn KeyPlace>, rules: SigningRules) -> Self {
        Self { present: ArcSwap::from_pointee(present), place, rules, turn: tokio::sync::Mutex::new(()) }
    }

    /// Journals the key if the journal does not know it; `previous` vouches for it if that one signed until now.
    pub async fn make_known(&self, catalog: &Arc<Catalog>, previous: Option<&SecretKey>) -> Result<(), ControlError> {
        let present = self.key();
        let key = present.public();
        let system = Actor::system();
        let committed = catalog.commit(&system, |snapshot, now| {
            let last = snapshot.origin_keys().last();
            let Some(known) = snapshot.origin_keys().iter().find(|known| known.key.id == key.id) else {
                let signed_until_now = |previous: &&SecretKey| {
                    last.is_some_and(|last| last.key == previous.public() && last.retired_at.is_none())
                };
                return Ok(vec![added(key, previous.filter(signed_until_now), now)]);
            };
            if known.key != key {
                return Err(ControlError::OriginKey(OriginKeyRefusal::OtherKey(key.id)));
            }
            if known.retired_at.is_some() {
                return Err(ControlError::OriginKey(OriginKeyRefusal::Unusable(key.id)));
            }
            if last.is_some_and(|last| last.key.id != key.id) {
                tracing::warn!(key = %key.id, "the signing key is not the newest one: clients that have seen a newer key refuse what it signs");
            }
            Ok(Vec::new())
        });
        for record in committed.await?.records {
            if let Event::OriginKeyAdded { introduced_by, .. } = &record.event {
                let by = introduced_by.map_or_else(|| "nobody".to_owned(), |by| by.to_string());
                tracing::info!(key = %key.id, introduced_by = %by, "answers are signed with a key that is new");
            }
        }
        Ok(())
    }

    /// The key that signs now.
    pub fn key(&self) -> Arc<SecretKey> {
        self.present.load_full()
    }

    /// When a statement made at `now` is said to be made, and when it expires. It never seems newer than it is.
    pub fn times(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let second = now.as_second() - now.as_second().rem_euclid(STATEMENT_EVERY_S);
        let at = Timestamp::from_second(second).unwrap_or(now);
        (at, at.checked_add(self.rules.statement_valid_for).unwrap_or(Timestamp::MAX))
    }

    /// Every key, as clients are told of it: a key that was replaced is retired at the end of its overlap.
    pub fn document(&self, snapshot: &Snapshot) -> KeysDocument {
        told(snapshot, Some(self.rules.key_overlap))
    }

    /// Every key, as offline sites are told of it: only what a person retired is retired. The overlap is long over when
    /// the first bundle comes that the next key signed, and the key that the site knows must vouch for that one still.
    pub fn document_for_sites(&self, snapshot: &Snapshot) -> KeysDocument {
        told(snapshot, None)
    }

    /// Makes a new key, lets the present one vouch for it, and signs with it from then on. Returns after fsync of key
    /// and journal; goes on if the caller stops waiting.
    pub async fn rotate(self: &Arc<Self>, catalog: &Arc<Catalog>, actor: &Actor) -> Result<PublicKey, ControlError> {
        let (keys, catalog, actor) = (self.clone(), catalog.clone(), actor.clone());
        let rotation = tokio::spawn(async move { keys.rotate_to_end(&catalog, &actor).await });
        rotation.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    async fn rotate_to_end(self: &Arc<Self>, catalog: &Arc<Catalog>, actor: &Actor) -> Result<PublicKey, ControlError> {
        let _turn = self.turn.lock().await;
        let random = || Ok((random_bytes()?, random_bytes()?));
        let (seed, id) = random().map_err(ControlError::Random)?;
        let next = Arc::new(SecretKey::from_random(seed, id));
        self.in_place(&next, |place, next| place.stage(next)).await?;
        let present = self.key();
        let key = next.public();
        let committed =
            catalog.commit(actor, |_snapshot, now| Ok::<_, ControlError>(vec![added(key, Some(&present), now)]));
        committed.await?;
        self.present.store(next.clone());
        if let Err(error) = self.in_place(&next, |place, next| place.take_over(next)).await {
            // It is durable beside the old one, and the next start puts it in place.
            tracing::error!(%error, key = %key.id, "the new signing key is in use, and its file is not in its place yet");
        }
        tracing::info!(key = %key.id, before = %present.public().id, "answers are signed with a new key");
        Ok(key)
    }

    async fn in_place(
        self: &Arc<Self>,
        key: &Arc<SecretKey>,
        work: fn(&dyn KeyPlace, &SecretKey) -> Result<(), OriginKeyRefusal>,
    ) -> Result<(), ControlError> {
        let (keys, key) = (self.clone(), key.clone());
        let done = tokio::task::spawn_blocking(move || work(&*keys.place, &key)).await;
        let done = done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        done.map_err(ControlError::OriginKey)
    }

    /// From now on nothing that this key signed is to be believed. Returns after fsync.
    pub async fn retire(
        &self,
        catalog: &Arc<Catalog>,
        actor: &Actor,
        id: KeyId,
        reason: Reason,
    ) -> Result<(), ControlError> {
        let _turn = self.turn.lock().await;
        let committed = catalog.commit(actor, |snapshot, _now| {
            let known = snapshot.origin_keys().iter().find(|known| known.key.id == id);
            let refusal = match known {
                None => OriginKeyRefusal::Unknown(id),
                Some(known) if known.retired_at.is_some() => OriginKeyRefusal::Retired(id),
                Some(_) if id == self.key().public().id => OriginKeyRefusal::InUse(id),
                Some(_) => return Ok(vec![Event::OriginKeyRetired { key: id, reason }]),
            };
            Err(ControlError::OriginKey(refusal))
        });
        committed.await.map(drop).map_err(ControlError::from)
    }
}

/// Signs a text with a key.
pub fn sign(key: &SecretKey, text: String, trusted_comment: &str) -> Signed {
    let signature = key.sign(text.as_bytes(), trusted_comment);
    Signed { text, signature }
}

/// Every key; one that was replaced is retired once the overlap is over, where there is one.
fn told(snapshot: &Snapshot, overlap: Option<SignedDuration>) -> KeysDocument {
    let keys = snapshot.origin_keys();
    let entry = |(place, known): (usize, &OriginKey)| {
        let replaced = keys.get(place + 1).map(|next| next.added.at);
        let ends = replaced.zip(overlap).map(|(at, left)| at.checked_add(left).unwrap_or(Timestamp::MAX));
        KeyEntry {
            key: known.key,
            added_at: known.added.at,
            introduced_by: known.introduced_by,
            introduction: known.introduction.clone(),
            retired_at: [known.retired_at, ends].into_iter().flatten().min(),
        }
    };
    let all = keys.iter().enumerate().skip(keys.len().saturating_sub(KEYS_MAX));
    KeysDocument { keys: all.map(entry).collect() }
}

fn added(key: PublicKey, by: Option<&SecretKey>, now: Timestamp) -> Event {
    let introduced_by = by.map(|by| by.public().id);
    let introduction = by.map(|by| {
        let id = by.public().id;
        by.sign(introduction(&key, id, now).as_bytes(), &format!("key {} after {id}", key.id))
    });
    Event::OriginKeyAdded { key, introduced_by, introduction }
}
