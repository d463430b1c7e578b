//! Whose bundles a site takes, and what it remembers of the origin's keys.

use jiff::Timestamp;

use super::{Brought, ImportError, ImportOptions};
use crate::bundle::{BundleManifest, ManifestError};
use crate::model::{AppliedBundle, BundleId, KeyId, PublicKey, Reason, Snapshot};
use crate::signing::Signature;

/// The keys that a site goes by.
#[derive(Debug, Clone, Default)]
pub(super) struct Trust {
    /// Keys whose bundles are taken, and those of keys that they vouch for.
    pub(super) keys: Vec<PublicKey>,
    /// Keys that count no more, whoever vouches for them.
    pub(super) retired: Vec<(KeyId, Option<Reason>)>,
}

/// A manifest whose signature is good, and what follows for the next one.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) manifest: BundleManifest,
    pub(super) id: BundleId,
    pub(super) trust: Trust,
}

impl Trust {
    /// What the configuration and the last bundle say; the key that is brought along where those say nothing.
    pub(super) fn of(options: &ImportOptions, snapshot: &Snapshot, brought: &Brought) -> Result<Self, ImportError> {
        let applied = snapshot.applied_bundle();
        let retired = applied.map(|applied| applied.retired.clone()).unwrap_or_default();
        let mut keys = options.keys.clone();
        keys.extend(applied.iter().flat_map(|AppliedBundle { keys, .. }| keys));
        match brought.key {
            None if keys.is_empty() => return Err(ImportError::NoKey),
            None => {}
            Some(_) if !keys.is_empty() => {}
            Some(_) if !brought.may_bind => {
                return Err(ImportError::NotYours("--key binds it to an origin".to_owned()));
            }
            Some(key) => keys.push(key),
        }
        keys.retain(|key| !retired.iter().any(|(id, _)| *id == key.id));
        Ok(Self { keys, retired })
    }

    /// Checks the signature over the manifest before anything else of it is believed.
    pub(super) fn verify(&self, brought: &Brought, now: Timestamp) -> Result<Verified, ImportError> {
        let unsigned = |why: String| ImportError::Unsigned(why);
        let signature = Signature::parse(&brought.signature)
            .map_err(|error| unsigned(format!("BUNDLE.sig is no signature: {error}; copy it again from the origin")))?;
        let (manifest, id) = match BundleManifest::parse(&brought.manifest) {
            Ok(parsed) => parsed,
            // Another format may have other keys: by those that are known, it is signed or it is not.
            Err(error @ ManifestError::OtherFormat { .. }) => {
                self.signed_by(&self.keys, &signature, brought)?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let mut keys: Vec<PublicKey> = Vec::new();
        for anchor in &self.keys {
            for key in manifest.issuer_keys.trusted_from(anchor, now) {
                if !keys.contains(&key) && !self.retired.iter().any(|(id, _)| *id == key.id) {
                    keys.push(key);
                }
            }
        }
        self.signed_by(&keys, &signature, brought)?;
        if let Some(key) = brought.key.filter(|key| !keys.contains(key)) {
            return Err(ImportError::OtherOrigin(key.id));
        }
        let mut retired = self.retired.clone();
        let fresh = manifest.issuer_keys.keys.iter().filter(|entry| entry.is_retired(now)).map(|entry| entry.key.id);
        for id in fresh {
            if !retired.iter().any(|(known, _)| *known == id) {
                retired.push((id, None));
            }
        }
        Ok(Verified { manifest, id, trust: Self { keys, retired } })
    }

    fn signed_by(&self, keys: &[PublicKey], signature: &Signature, brought: &Brought) -> Result<(), ImportError> {
        let by = signature.key();
        if self.retired.iter().any(|(id, _)| *id == by) {
            let why = format!("the bundle is signed by key {by}, which the origin has retired: export it again");
            return Err(ImportError::Unsigned(why));
        }
        let Some(key) = keys.iter().find(|key| key.id == by) else {
            let why = format!(
                "the bundle is signed by key {by}, which is none of this site's origin: it is another origin's, or its \
                 key is not known here"
            );
            return Err(ImportError::Unsigned(why));
        };
        signature.verify(key, brought.manifest.as_bytes()).map_err(|error| {
            ImportError::Unsigned(format!("{error}: BUNDLE.json or BUNDLE.sig was changed, or they are of two bundles"))
        })
    }
}
