//! The signature gate: publishers' signatures by trusted keys, over a release's manifest or over an artifact's bytes.

use std::collections::BTreeSet;

use crate::model::{KeyId, ProductName, Reason, SignatureRule, TargetName, TrustedKey, VerifiedSignature};
use crate::signing::{BadSignature, Signature};

/// The most signatures of one release.
pub const SIGNATURES_MAX: usize = 2000;

/// A signature that came with a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSignature {
    /// The artifact whose bytes it covers; where absent the manifest, or the one artifact there is.
    pub target: Option<TargetName>,
    /// The signature file's text.
    pub text: String,
}

/// What is wrong with a release's signatures.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFinding {
    /// The policy wants one.
    #[error(
        "{}no trusted key has signed it, and the policy requires that; sign the text that `ringfence release manifest` \
         prints, and publish with --signature", of(target.as_ref())
    )]
    Missing {
        /// The artifact that is not covered, where others are.
        target: Option<TargetName>,
    },
    /// More than anybody needs.
    #[error("a release has at most {SIGNATURES_MAX} signatures, this one has {count}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// No artifact is called that.
    #[error("a signature is for {target}, and the release has no such artifact")]
    UnknownTarget {
        /// What the signature is for.
        target: TargetName,
    },
    /// The text is no signature.
    #[error("{}{source}", of(target.as_ref()))]
    Malformed {
        /// What it is for.
        target: Option<TargetName>,
        /// What is wrong.
        source: BadSignature,
    },
    /// Nobody trusts the key.
    #[error("{}it is signed by key {key}, which is not trusted; `ringfence key list` shows those that are", of(target.as_ref()))]
    UnknownKey {
        /// What was signed.
        target: Option<TargetName>,
        /// Who signed.
        key: KeyId,
    },
    /// The key is trusted no more.
    #[error("{}it is signed by key {key} ({name}), which was revoked: {reason}", of(target.as_ref()))]
    Revoked {
        /// What was signed.
        target: Option<TargetName>,
        /// Who signed.
        key: KeyId,
        /// What the key is called.
        name: String,
        /// Why it was revoked.
        reason: Reason,
    },
    /// The key is trusted for other products.
    #[error("{}it is signed by key {key} ({name}), which is not trusted for {product}", of(target.as_ref()))]
    OtherProduct {
        /// What was signed.
        target: Option<TargetName>,
        /// Who signed.
        key: KeyId,
        /// What the key is called.
        name: String,
        /// The product.
        product: ProductName,
    },
    /// The key did not sign these bytes.
    #[error("{}the signature by key {key} ({name}) does not fit {}", of(target.as_ref()), covered(target.as_ref()))]
    Wrong {
        /// What it is for.
        target: Option<TargetName>,
        /// The key that it names.
        key: KeyId,
        /// What the key is called.
        name: String,
    },
}

fn of(target: Option<&TargetName>) -> String {
    target.map(|target| format!("{target}: ")).unwrap_or_default()
}

fn covered(target: Option<&TargetName>) -> &'static str {
    if target.is_some() { "its bytes" } else { "the release's manifest, nor a single artifact" }
}

impl SignatureFinding {
    /// The artifact that it concerns.
    pub fn target(&self) -> Option<&TargetName> {
        match self {
            Self::Missing { target }
            | Self::Malformed { target, .. }
            | Self::UnknownKey { target, .. }
            | Self::Revoked { target, .. }
            | Self::OtherProduct { target, .. }
            | Self::Wrong { target, .. } => target.as_ref(),
            Self::UnknownTarget { target } => Some(target),
            Self::TooMany { .. } => None,
        }
    }
}

/// An artifact's bytes, as signatures may cover them.
pub struct CoveredBody<'b> {
    /// Its path.
    pub target: &'b TargetName,
    /// Its bytes.
    pub bytes: &'b [u8],
}

/// What the signatures of a release are measured by.
pub struct Signatures<'s> {
    /// The product.
    pub product: &'s ProductName,
    /// What the policy wants.
    pub rule: SignatureRule,
    /// Every key that was ever trusted.
    pub keys: &'s [TrustedKey],
    /// The manifest's text.
    pub manifest: &'s str,
    /// The artifacts.
    pub bodies: &'s [CoveredBody<'s>],
}

/// Verifies every signature: those that are good, and everything that is wrong.
pub fn check_signatures(
    signatures: &[NewSignature],
    by: &Signatures<'_>,
) -> (Vec<VerifiedSignature>, Vec<SignatureFinding>) {
    let (mut verified, mut findings) = (Vec::new(), Vec::new());
    if signatures.len() > SIGNATURES_MAX {
        return (verified, vec![SignatureFinding::TooMany { count: signatures.len() }]);
    }
    // The artifacts whose bytes somebody signed, and whether somebody signed them all.
    let (mut covered, mut is_whole) = (BTreeSet::new(), false);
    for signature in signatures {
        match by.check(signature) {
            Ok((good, places)) => {
                is_whole |= good.target.is_none();
                covered.extend(places);
                verified.push(good);
            }
            Err(finding) => findings.push(finding),
        }
    }
    if by.rule == SignatureRule::Required && !is_whole && findings.is_empty() {
        if covered.is_empty() {
            findings.push(SignatureFinding::Missing { target: None });
        } else {
            let open = (0..by.bodies.len()).filter(|place| !covered.contains(place));
            let target = |place: usize| Some(by.bodies[place].target.clone());
            findings.extend(open.map(|place| SignatureFinding::Missing { target: target(place) }));
        }
    }
    (verified, findings)
}

type Good = (VerifiedSignature, Vec<usize>);

impl Signatures<'_> {
    /// The signature and the places of the bodies that it covers.
    fn check(&self, new: &NewSignature) -> Result<Good, SignatureFinding> {
        let target = new.target.clone();
        let is_named = |body: &&CoveredBody<'_>| target.as_ref() == Some(body.target);
        if let Some(unknown) = target.clone().filter(|_| !self.bodies.iter().any(|body| is_named(&body))) {
            return Err(SignatureFinding::UnknownTarget { target: unknown });
        }
        let signature = Signature::parse(&new.text);
        let signature = signature.map_err(|source| SignatureFinding::Malformed { target: target.clone(), source })?;
        let trusted = self.trusted(&signature, &target)?;
        let fits = |bytes: &[u8]| signature.verify(&trusted.key, bytes).is_ok();
        let verified = |target| {
            let (key, comment) = (trusted.key.id, signature.trusted_comment().to_owned());
            VerifiedSignature { target, key, comment }
        };
        if target.is_none() && fits(self.manifest.as_bytes()) {
            return Ok((verified(None), Vec::new()));
        }
        // One path may stand for several platforms, each with bytes of its own.
        let places = self.bodies.iter().enumerate().filter(|(_, body)| match &target {
            Some(target) => body.target == target,
            None => self.bodies.len() == 1,
        });
        let places: Vec<usize> = places.filter(|(_, body)| fits(body.bytes)).map(|(place, _)| place).collect();
        match places.first() {
            Some(first) => Ok((verified(Some(self.bodies[*first].target.clone())), places)),
            None => Err(SignatureFinding::Wrong { target, key: trusted.key.id, name: trusted.name.clone() }),
        }
    }

    fn trusted(&self, signature: &Signature, target: &Option<TargetName>) -> Result<&TrustedKey, SignatureFinding> {
        let (key, target) = (signature.key(), target.clone());
        let Some(trusted) = self.keys.iter().rfind(|known| known.key.id == key) else {
            return Err(SignatureFinding::UnknownKey { target, key });
        };
        let name = trusted.name.clone();
        if let Some((_, reason)) = &trusted.revoked {
            return Err(SignatureFinding::Revoked { target, key, name, reason: reason.clone() });
        }
        if !trusted.may_sign(self.product) {
            return Err(SignatureFinding::OtherProduct { target, key, name, product: self.product.clone() });
        }
        Ok(trusted)
    }
}

#[cfg(test)]
mod tests;
