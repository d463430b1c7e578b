//! An origin's key for tests: always the same one, and never replaced.

use std::sync::Arc;

use jiff::SignedDuration;

use super::{KeyPlace, OriginKeyRefusal, OriginKeys, SigningRules};
use crate::signing::SecretKey;

/// The key.
pub(crate) fn origin_key() -> SecretKey {
    SecretKey::from_random([5; 32], [5; 8])
}

/// What signs with it.
pub(crate) fn origin() -> Arc<OriginKeys> {
    let rules = SigningRules {
        statement_valid_for: SignedDuration::from_mins(15),
        key_overlap: SignedDuration::from_hours(24),
    };
    Arc::new(OriginKeys::new(origin_key(), Box::new(Nowhere), rules))
}

struct Nowhere;

impl KeyPlace for Nowhere {
    fn stage(&self, _: &SecretKey) -> Result<(), OriginKeyRefusal> {
        Err(OriginKeyRefusal::Credential)
    }

    fn take_over(&self, _: &SecretKey) -> Result<(), OriginKeyRefusal> {
        Err(OriginKeyRefusal::Credential)
    }
}
