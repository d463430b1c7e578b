//! The keys whose signatures the release gates take.

use std::sync::Arc;

use super::ControlError;
use crate::catalog::Catalog;
use crate::model::{Actor, Event, KeyId, NameGlob, PublicKey, Reason, TrustedKey};

/// The longest name of a key, in characters.
const NAME_CHARS_MAX: usize = 100;
/// The most keys that were ever trusted: each release's signatures are compared with all of them.
const KEYS_MAX: usize = 1000;
/// The most globs of a key.
const GLOBS_MAX: usize = 100;

/// Trusts a key to sign releases of these products; of all where there are none. The very same again changes nothing.
/// Returns after fsync.
pub async fn trust_key(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    key: PublicKey,
    name: String,
    products: Vec<NameGlob>,
) -> Result<TrustedKey, ControlError> {
    let is_short = name.chars().count() <= NAME_CHARS_MAX && !name.trim().is_empty();
    if !is_short || name.chars().any(char::is_control) {
        return Err(ControlError::NotAName { text: name });
    }
    if products.len() > GLOBS_MAX {
        return Err(ControlError::TooMany { what: "a key's products", max: GLOBS_MAX });
    }
    let committed = catalog.commit(actor, |snapshot, _now| {
        if let Some(known) = snapshot.trusted_keys().iter().find(|known| known.key.id == key.id) {
            let (id, called) = (key.id, known.name.clone());
            return match known {
                TrustedKey { revoked: Some(_), .. } => Err(ControlError::KeyRevoked { key: id, name: called }),
                same if same.key == key && same.name == name && same.products == products => Ok(Vec::new()),
                _ => Err(ControlError::KeyKnown { key: id, name: called }),
            };
        }
        if snapshot.trusted_keys().len() >= KEYS_MAX {
            return Err(ControlError::TooMany { what: "trusted keys, the revoked ones included", max: KEYS_MAX });
        }
        Ok(vec![Event::KeyTrusted { key, name: name.clone(), products: products.clone() }])
    });
    find(committed.await?.snapshot.trusted_keys(), key.id)
}

/// Revokes a trusted key from the next publication on; what it signed before stays published. Again changes nothing.
/// Returns after fsync.
pub async fn revoke_key(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    key: KeyId,
    reason: Reason,
) -> Result<TrustedKey, ControlError> {
    let committed = catalog.commit(actor, |snapshot, _now| {
        let known = find(snapshot.trusted_keys(), key)?;
        match known.revoked {
            Some(_) => Ok(Vec::new()),
            None => Ok::<_, ControlError>(vec![Event::KeyRevoked { key, reason }]),
        }
    });
    find(committed.await?.snapshot.trusted_keys(), key)
}

fn find(keys: &[TrustedKey], key: KeyId) -> Result<TrustedKey, ControlError> {
    keys.iter().find(|known| known.key.id == key).cloned().ok_or(ControlError::UnknownKey(key))
}
