//! Whose bundles this site takes: by its configuration, and by what the last bundle said of the origin's keys.

use super::{Brought, ImportError, ImportOptions};
use crate::bundle::{BundleManifest, OriginTrust, verify};
use crate::model::{BundleId, PublicKey, Snapshot};

/// A manifest whose signature is good, and whose bundles are taken once it is applied.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) manifest: BundleManifest,
    pub(super) id: BundleId,
    pub(super) next: OriginTrust,
    /// Whether a journal that was set back is accepted.
    pub(super) accepts_restored: bool,
}

/// Checks the signature before anything else of the manifest is believed. A key that is brought along counts only where
/// none is known yet.
pub(super) fn verified(
    options: &ImportOptions,
    snapshot: &Snapshot,
    brought: &Brought,
) -> Result<Verified, ImportError> {
    if brought.accepts_restored && !brought.may_bind {
        return Err(ImportError::NotYours("the origin is said to be restored".to_owned()));
    }
    let trust = trust_of(options, snapshot, brought)?;
    let signature = Some(brought.signature.as_str()).filter(|text| !text.is_empty());
    let (manifest, id, signer) = verify(brought.manifest.as_bytes(), signature, &trust)?;
    let next = trust.after(&manifest, &signer);
    if let Some(key) = brought.key {
        let is_known = |known: &[PublicKey]| known.contains(&key);
        if !is_known(&trust.keys) && !is_known(&next.keys) {
            return Err(ImportError::OtherOrigin(key.id));
        }
    }
    Ok(Verified { manifest, id, next, accepts_restored: brought.accepts_restored })
}

fn trust_of(options: &ImportOptions, snapshot: &Snapshot, brought: &Brought) -> Result<OriginTrust, ImportError> {
    let applied = snapshot.applied_bundle();
    let mut keys = options.keys.clone();
    for key in applied.iter().flat_map(|applied| &applied.keys) {
        if !keys.contains(key) {
            keys.push(*key);
        }
    }
    match brought.key {
        None if keys.is_empty() => return Err(ImportError::NoKey),
        Some(_) if keys.is_empty() && !brought.may_bind => {
            return Err(ImportError::NotYours("a key was given".to_owned()));
        }
        Some(key) if keys.is_empty() => keys.push(key),
        Some(_) | None => {}
    }
    Ok(OriginTrust { keys, retired: applied.map(|applied| applied.retired.clone()).unwrap_or_default() })
}
