//! Whether a bundle is from an origin that is trusted: the signature first, over the bytes, before anything in them is
//! believed.

use serde::Deserialize;

use super::manifest::{BundleManifest, MANIFEST_MAX_BYTES, ManifestError};
use crate::model::{BundleId, KeyId, PublicKey, Reason};
use crate::signing::{BadSignature, KEYS_MAX, KeysDocument, Signature};

/// Whose bundles are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginTrust {
    /// The origin's keys that are trusted. Each vouches for those that it introduces, directly or through each other.
    pub keys: Vec<PublicKey>,
    /// Keys that count no more, whoever introduces them, and why where that is known.
    pub retired: Vec<(KeyId, Option<Reason>)>,
}

/// Why a bundle is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleRefusal {
    /// There is no signature.
    #[error(
        "the bundle is not signed: there is no BUNDLE.sig, which an export writes last; it was stopped, or the file was lost, so export again"
    )]
    Unsigned,
    /// Nobody is trusted.
    #[error("no key of the origin is trusted here: give the one that `ringfence key show` prints at the origin")]
    NoKeys,
    /// The signature is none, or does not fit.
    #[error("BUNDLE.json is not what the origin signed: {0}")]
    Signature(#[from] BadSignature),
    /// A key signed that nobody trusted vouches for.
    #[error(
        "the bundle is signed by key {by}, which is not trusted here, and for which no trusted key vouches ({trusted})"
    )]
    Stranger {
        /// Who signed.
        by: KeyId,
        /// The keys that are trusted, for people.
        trusted: String,
    },
    /// A key signed that counts no more.
    #[error("the bundle is signed by key {by}, which the origin retired{}", because(.why))]
    Retired {
        /// Who signed.
        by: KeyId,
        /// Why it was retired, where that is known.
        why: Option<Reason>,
    },
    /// None of the trusted keys counts any more.
    #[error(
        "key {0} was retired by the origin, and what it vouches for does not count: trust the origin's present key, which `ringfence key show` prints there"
    )]
    PinRetired(KeyId),
    /// It names another issuer than the one that signed it.
    #[error("the bundle says to be by key {said}, and is signed by {by}")]
    OtherIssuer {
        /// What it says.
        said: KeyId,
        /// Who signed.
        by: KeyId,
    },
    /// It is signed, and cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

fn because(why: &Option<Reason>) -> String {
    why.as_ref().map_or_else(String::new, |why| format!(": {why}"))
}

impl OriginTrust {
    /// Trust in these keys, and in those that they vouch for.
    pub fn in_keys(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self { keys: keys.into_iter().collect(), retired: Vec::new() }
    }

    /// Whose bundles are taken after this one, which [`verify`] took: its signer's, and those of keys that the signer
    /// vouches for. Who has seen a newer key never goes back to an older one.
    pub fn after(&self, manifest: &BundleManifest, signer: &PublicKey) -> Self {
        let keys = &manifest.issuer_keys;
        let mut retired = self.retired.clone();
        for entry in keys.keys.iter().filter(|entry| entry.is_retired(manifest.created)) {
            if retired.len() < 4 * KEYS_MAX && !retired.iter().any(|(id, _)| *id == entry.key.id) {
                retired.push((entry.key.id, None));
            }
        }
        let mut trusted = keys.trusted_from(signer, manifest.created);
        trusted.retain(|key| !retired.iter().any(|(id, _)| *id == key.id));
        Self { keys: trusted, retired }
    }

    fn retired(&self, id: KeyId) -> Option<&Option<Reason>> {
        self.retired.iter().find(|(retired, _)| *retired == id).map(|(_, why)| why)
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.keys.iter().take(8).map(|key| key.id.to_string()).collect();
        names.join(", ")
    }

    /// The keys that count by what a document tells of them, which nobody has verified yet: only introductions and
    /// retirements are taken from it, and introductions are signed.
    fn counting(&self, told: &Told) -> Vec<PublicKey> {
        let keys = KeysDocument { keys: told.issuer_keys.keys.iter().take(KEYS_MAX).cloned().collect() };
        let mut counting = Vec::new();
        for anchor in self.keys.iter().take(KEYS_MAX).filter(|key| self.retired(key.id).is_none()) {
            // What a retired key vouches for does not count, so it is taken out of the chain, not only off its end.
            let mut chain = keys.clone();
            chain.keys.retain(|entry| self.retired(entry.key.id).is_none());
            counting.extend(chain.trusted_from(anchor, told.created));
        }
        counting
    }
}

/// What has to be read of a manifest to find the key that signed it.
#[derive(Deserialize)]
struct Told {
    created: jiff::Timestamp,
    issuer_keys: KeysDocument,
}

/// Verifies `BUNDLE.json` by `BUNDLE.sig`, then reads it: the manifest, its id, and the key that signed it.
///
/// A key that signed may be retired by the trust, or by the manifest as of the time when it was made: no clock is asked.
///
/// # Errors
/// Why it is not believed. Nothing in it is then to be shown as anything but a claim.
pub fn verify(
    text: &[u8],
    signature: Option<&str>,
    trust: &OriginTrust,
) -> Result<(BundleManifest, BundleId, PublicKey), BundleRefusal> {
    let signature = Signature::parse(signature.ok_or(BundleRefusal::Unsigned)?)?;
    if text.len() > MANIFEST_MAX_BYTES {
        return Err(ManifestError::TooLong { bytes: text.len() }.into());
    }
    if trust.keys.is_empty() {
        return Err(BundleRefusal::NoKeys);
    }
    let by = signature.key();
    if let Some(why) = trust.retired(by) {
        return Err(BundleRefusal::Retired { by, why: why.clone() });
    }
    let signer = signer(text, &signature, trust)?;
    let text = std::str::from_utf8(text).map_err(|_| ManifestError::Malformed { why: "it is no text".to_owned() })?;
    let (manifest, id) = BundleManifest::parse(text)?;
    let told = manifest.issuer_keys.entry(by);
    if told.is_some_and(|entry| entry.is_retired(manifest.created)) {
        return Err(BundleRefusal::Retired { by, why: None });
    }
    if manifest.issuer != by || told.is_none_or(|entry| entry.key != signer) {
        return Err(BundleRefusal::OtherIssuer { said: manifest.issuer, by });
    }
    Ok((manifest, id, signer))
}

/// The key that counts and made the signature.
fn signer(text: &[u8], signature: &Signature, trust: &OriginTrust) -> Result<PublicKey, BundleRefusal> {
    let by = signature.key();
    let pinned: Vec<PublicKey> = trust.keys.iter().filter(|key| key.id == by).copied().collect();
    if !pinned.is_empty() {
        return verified(text, signature, &pinned);
    }
    // Signed by a newer key: who vouches for it is told by the manifest.
    let stranger = || BundleRefusal::Stranger { by, trusted: trust.names() };
    let told: Told = serde_json::from_slice(text).map_err(|_| stranger())?;
    let vouched: Vec<PublicKey> = trust.counting(&told).into_iter().filter(|key| key.id == by).collect();
    if !vouched.is_empty() {
        return verified(text, signature, &vouched);
    }
    if let Some(entry) = told.issuer_keys.entry(by).filter(|entry| entry.is_retired(told.created)) {
        return Err(BundleRefusal::Retired { by: entry.key.id, why: None });
    }
    let is_retired = |key: &&PublicKey| {
        let entry = told.issuer_keys.entry(key.id);
        trust.retired(key.id).is_some() || entry.is_some_and(|entry| entry.is_retired(told.created))
    };
    match trust.keys.iter().filter(|key| !is_retired(key)).count() {
        0 => Err(BundleRefusal::PinRetired(trust.keys[0].id)),
        _ => Err(stranger()),
    }
}

/// The one of these keys, which have the same id, that made the signature.
fn verified(text: &[u8], signature: &Signature, keys: &[PublicKey]) -> Result<PublicKey, BundleRefusal> {
    let mut wrong = BadSignature::Wrong { by: signature.key() };
    for key in keys {
        match signature.verify(key, text) {
            Ok(()) => return Ok(*key),
            Err(error) => wrong = error,
        }
    }
    Err(wrong.into())
}
