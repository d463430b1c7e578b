//! Bearer tokens: 32 random bytes, shown once, kept as a keyed hash.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::ControlError;
use crate::catalog::Catalog;
use crate::model::{Actor, Blake3Digest, Event, Token, TokenId, TokenScope};
use crate::sys::random::random_bytes;

/// The key of the keyed hash under which this server keeps tokens: a copy of the journal alone tells nobody whether a
/// guessed secret is one of them. Clones are the same key: a mirror takes over its origin's while it runs.
#[derive(Clone)]
pub struct TokenKey(Arc<ArcSwap<[u8; 32]>>);

impl TokenKey {
    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(bytes)))
    }

    /// Puts another key in its place, in all clones.
    pub fn replace(&self, bytes: [u8; 32]) {
        self.0.store(Arc::new(bytes));
    }

    /// Its bytes, for a mirror, which has to know the same tokens.
    pub fn expose(&self) -> [u8; 32] {
        **self.0.load()
    }

    /// What the journal keeps of a secret.
    pub fn hash(&self, secret: &Secret) -> Blake3Digest {
        Blake3Digest::from_bytes(*blake3::keyed_hash(&self.0.load(), &secret.0).as_bytes())
    }

    /// What the journal keeps of a secret that is no token: under a key of its own, so that one kind is never another.
    pub(super) fn hash_for(&self, context: &str, secret: &[u8; 32]) -> Blake3Digest {
        let key = blake3::derive_key(context, &**self.0.load());
        Blake3Digest::from_bytes(*blake3::keyed_hash(&key, secret).as_bytes())
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

/// A token's secret: `rf_` and 43 characters of unpadded URL-safe base64. Never logged, never stored by the server.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new one from the system's randomness.
    pub fn random() -> Result<Self, ControlError> {
        random_bytes().map(Self).map_err(ControlError::Random)
    }

    /// Whether it is the same; takes the same time whatever differs.
    pub fn is(&self, other: &Self) -> bool {
        // blake3's comparison is constant-time.
        blake3::Hash::from_bytes(self.0) == blake3::Hash::from_bytes(other.0)
    }

    /// The text that a client sends.
    pub fn expose(&self) -> String {
        format!("rf_{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A text is not a token's secret. It is not repeated here: it may be a mistyped one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is rf_ followed by 43 letters, digits, '-' or '_'")]
pub struct NotASecret;

impl FromStr for Secret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Self, NotASecret> {
        let encoded = text.strip_prefix("rf_").ok_or(NotASecret)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotASecret)?;
        bytes.try_into().map(Self).map_err(|_| NotASecret)
    }
}

/// Creates a token; the secret is returned this once. Returns after fsync.
pub async fn create_token(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    key: &TokenKey,
    scope: TokenScope,
    expires_at: Option<Timestamp>,
) -> Result<(Arc<Token>, Secret), ControlError> {
    let secret = Secret::random()?;
    let hash = key.hash(&secret);
    let committed = catalog.commit(actor, |_snapshot, now| {
        if expires_at.is_some_and(|end| end <= now) {
            return Err(ControlError::EndsInThePast);
        }
        Ok(vec![Event::TokenCreated { scope, hash, expires_at }])
    });
    let committed = committed.await?;
    let id = committed.records.first().map_or(0, |record| record.seq);
    let token = committed.snapshot.token(id).cloned().ok_or(ControlError::UnknownId { what: "token", id })?;
    Ok((token, secret))
}

/// Makes a secret that exists outside (the admin token that `init` wrote) usable, unless it ever was. Returns whether it
/// is new, after fsync. A revoked one stays revoked.
pub async fn adopt_token(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    key: &TokenKey,
    secret: &Secret,
    scope: TokenScope,
) -> Result<bool, ControlError> {
    let hash = key.hash(secret);
    let committed = catalog.commit(actor, |snapshot, _now| match snapshot.token_by_hash(&hash) {
        Some(_) => Ok(Vec::new()),
        None => Ok::<_, ControlError>(vec![Event::TokenCreated { scope, hash, expires_at: None }]),
    });
    Ok(!committed.await?.records.is_empty())
}

/// Revokes a token from the next request on. Returns after fsync.
pub async fn revoke_token(catalog: &Arc<Catalog>, actor: &Actor, id: TokenId) -> Result<Arc<Token>, ControlError> {
    let unknown = || ControlError::UnknownId { what: "token", id };
    let committed = catalog.commit(actor, |snapshot, _now| {
        let token = snapshot.token(id).ok_or_else(unknown)?;
        if token.revoked.is_some() {
            return Err(ControlError::Ended { what: "token", id });
        }
        Ok(vec![Event::TokenRevoked { token: id }])
    });
    committed.await?.snapshot.token(id).cloned().ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_round_trips_and_is_never_printed() {
        let secret = Secret::random().unwrap();
        let text = secret.expose();
        assert_eq!(text.len(), 46);
        assert_eq!(text.parse::<Secret>().unwrap().0, secret.0);
        assert_eq!(format!("{secret:?} {:?}", TokenKey::from_bytes([7; 32])), "Secret(…) TokenKey(…)");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for text in ["", "rf_", "xx_AAAA", "rf_AAAA", "rf_!!!!"] {
            assert!(text.parse::<Secret>().is_err(), "{text}");
        }
    }
}
