//! Tokens of an identity provider (OpenID Connect): signed JSON web tokens, verified against keys from a file.
//!
//! What this module deliberately does not do: it fetches nothing (somebody puts the provider's key set into the file and
//! replaces it when keys change), takes no algorithm that shares a secret, and gives nobody a reach.

mod claims;
mod jwks;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::model::{Actor, Role};
use jwks::{Keys, Stamp};

pub use jwks::JwksError;
pub use verify::IdTokenRefusal;

/// Whose tokens are taken, and what in them says who somebody is.
#[derive(Debug, Clone)]
pub struct OidcOptions {
    /// What `iss` must be, to the letter.
    pub issuer: String,
    /// What `aud` must be or contain.
    pub audience: String,
    /// The file with the provider's key set (RFC 7517).
    pub jwks_file: PathBuf,
    /// The claim with the name under which changes are journaled.
    pub name_claim: String,
    /// The claim with the roles; dots lead into objects.
    pub roles_claim: Option<String>,
    /// The role that each value of it stands for.
    pub roles: BTreeMap<String, Role>,
    /// Whether a token without `nbf` is refused.
    pub is_nbf_required: bool,
}

/// Whom a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) name: Actor,
    /// The role that its claim stands for, if it stands for one.
    pub(super) role: Option<Role>,
}

/// An identity provider whose tokens are taken.
pub struct Oidc {
    options: OidcOptions,
    keys: ArcSwap<Keys>,
    /// The file as it was when it was last read, whether it was taken or not.
    seen: Mutex<Option<Stamp>>,
}

impl Oidc {
    /// Reads the keys.
    ///
    /// # Errors
    /// The file cannot be read, or has a key that nobody should trust.
    pub fn open(options: OidcOptions) -> Result<Self, JwksError> {
        let (keys, stamp) = jwks::read(&options.jwks_file)?;
        Ok(Self { options, keys: ArcSwap::from_pointee(keys), seen: Mutex::new(Some(stamp)) })
    }

    /// Reads the keys again, at once. What was in force stays where they are refused. Returns how many there are.
    ///
    /// # Errors
    /// As [`Oidc::open`].
    pub fn reload(&self) -> Result<usize, JwksError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = jwks::stamp(&self.options.jwks_file).ok();
        let (keys, stamp) = jwks::read(&self.options.jwks_file)?;
        *seen = Some(stamp);
        let count = keys.len();
        self.keys.store(Arc::new(keys));
        Ok(count)
    }

    /// Reads them again if the file is another one than the last time; a file that was refused is not read twice.
    ///
    /// # Errors
    /// As [`Oidc::open`].
    pub fn reload_if_changed(&self) -> Result<Option<usize>, JwksError> {
        let now = jwks::stamp(&self.options.jwks_file).ok();
        let is_seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner) == now;
        if is_seen { Ok(None) } else { self.reload().map(Some) }
    }
}
