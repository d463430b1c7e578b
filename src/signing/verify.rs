//! Whether what an origin, or whoever stands in between, has answered is what the origin means now.
//!
//! Nothing here asks anybody: in go a key that is trusted, what was seen before, and the answers; out comes what to
//! remember, or why the answers are not to be believed.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{BadSignature, Freshness, KeysDocument, NotAManifest, NotAStatement, Signature, parse_manifest, view_of};
use crate::model::{
    Artifact, Blake3Digest, DeviceId, KeyId, Platform, ProductName, PublicKey, ReleaseId, ReleaseManifest,
    Sha256Digest, TargetName, Version,
};

/// How far two clocks may be apart.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// A text and its signature, as the origin answers them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The text.
    #[serde(alias = "statement", alias = "manifest")]
    pub text: String,
    /// The signature, as minisign writes it.
    pub signature: String,
}

/// What was verified before; kept so that nothing older is believed later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The key that was pinned.
    pub pinned: PublicKey,
    /// The newest key that has signed: none before it is believed any more.
    pub newest: PublicKey,
    /// For whom the statements were.
    pub view: Blake3Digest,
    /// The highest sequence seen.
    pub sequence: u64,
    /// The latest time of a statement.
    pub at: Timestamp,
}

/// What was asked, by whom and when.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The product.
    pub product: &'a ProductName,
    /// The platform, if one was named.
    pub platform: Option<&'a Platform>,
    /// The version that the asker has.
    pub current: Option<&'a Version>,
    /// Who the asker is to the origin, if it knows.
    pub device: Option<&'a DeviceId>,
    /// The asker's clock.
    pub now: Timestamp,
}

/// An artifact as an offer names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedArtifact {
    /// Its path inside the release.
    pub target: TargetName,
    /// What it runs on.
    pub platform: Platform,
    /// Its length in bytes.
    pub size: u64,
    /// Its BLAKE3 digest.
    pub blake3: Blake3Digest,
    /// Its SHA-256 digest.
    pub sha256: Sha256Digest,
}

/// An offer, as far as it says what is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The product.
    pub product: ProductName,
    /// The version.
    pub version: Version,
    /// The digest of the release's manifest.
    pub release: ReleaseId,
    /// The release's place among the product's.
    pub sequence: u64,
    /// Its files.
    pub artifacts: Vec<OfferedArtifact>,
}

/// All that was answered to one question.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The origin's keys.
    pub keys: KeysDocument,
    /// The freshness statement.
    pub freshness: Signed,
    /// The offer and the manifest of its release; none where there is nothing to fetch.
    pub offer: Option<(Offer, Signed)>,
}

/// Why answers are not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// A signature is not one, or does not fit.
    #[error("the {what} is not what the origin signed: {cause}")]
    Signature {
        /// Of what.
        what: &'static str,
        /// How.
        cause: BadSignature,
    },
    /// There is none.
    #[error("there is no signed {0}: the origin is older than signed answers, or somebody in between keeps it back")]
    Missing(&'static str),
    /// The pinned key does not count any more.
    #[error("key {0} was retired by the origin: pin its present key, which `ringfence key show` prints there")]
    PinRetired(KeyId),
    /// A key signed that is known to be retired.
    #[error("the {what} is signed by key {by}, which the origin has retired")]
    Retired {
        /// What.
        what: &'static str,
        /// By which key.
        by: KeyId,
    },
    /// A key signed that nobody trusted vouches for.
    #[error("the {what} is signed by key {by}, for which key {trusted} does not vouch")]
    Stranger {
        /// What.
        what: &'static str,
        /// By which key.
        by: KeyId,
        /// The newest key that is trusted.
        trusted: KeyId,
    },
    /// It is signed, and no statement.
    #[error("the freshness statement cannot be read: {0}")]
    Statement(#[from] NotAStatement),
    /// It is signed, and no manifest.
    #[error("the manifest cannot be read: {0}")]
    Manifest(#[from] NotAManifest),
    /// The statement names another key than the one that signed it.
    #[error("the freshness statement says to be by key {said}, and is signed by {by}")]
    OtherOrigin {
        /// What it says.
        said: KeyId,
        /// Who signed.
        by: KeyId,
    },
    /// Somebody keeps newer statements back.
    #[error("the freshness statement has expired at {0}: newer ones are kept back, or this clock is ahead")]
    Expired(Timestamp),
    /// The statement is not valid yet.
    #[error("the freshness statement is of {0}, which lies ahead: this clock is behind")]
    Ahead(Timestamp),
    /// Older than what was seen.
    #[error(
        "the origin's journal stood at {seen} before, and stands at {found} now: it was set back, or this is an old answer"
    )]
    RolledBack {
        /// The highest sequence seen.
        seen: u64,
        /// That of this statement.
        found: u64,
    },
    /// Made before what was seen.
    #[error("a freshness statement of {seen} was seen before, and this one is of {found}: it is an old answer")]
    Older {
        /// The latest time seen.
        seen: Timestamp,
        /// That of this statement.
        found: Timestamp,
    },
    /// It is for somebody else.
    #[error("the freshness statement is for another device than this one")]
    OtherView,
    /// It is for another platform.
    #[error("the freshness statement is for platform {found}, not for {asked}")]
    OtherPlatform {
        /// What was asked for.
        asked: Platform,
        /// What it says; `-` for none.
        found: String,
    },
    /// The offer is not what the statement says.
    #[error("the offer of {product} {version} is not the one that the origin signed for this device")]
    OtherOffer {
        /// The product.
        product: ProductName,
        /// The offered version.
        version: Version,
    },
    /// Something is kept back.
    #[error("nothing is offered, but the origin signed an offer of {product} {version} for this device")]
    Withheld {
        /// The product.
        product: ProductName,
        /// The version in the statement.
        version: Version,
    },
    /// The manifest is that of another release.
    #[error("the manifest is not the one of release {0}")]
    OtherManifest(ReleaseId),
    /// The offer's files are not the manifest's.
    #[error("the files of the offer are not the files of the manifest that the origin signed")]
    OtherArtifacts,
}

/// Answers that are what the origin means now.
#[derive(Debug, Clone)]
pub struct Verified {
    /// To be kept, and shown at the next time.
    pub remembered: Remembered,
    /// What the statement says.
    pub freshness: Freshness,
    /// The manifest of the offered release.
    pub manifest: Option<ReleaseManifest>,
}

/// Verifies all answers to one question.
pub fn verify(
    pinned: &PublicKey,
    remembered: Option<&Remembered>,
    asked: &Asked<'_>,
    answers: &Answers,
) -> Result<Verified, Untrusted> {
    // Who pins another key starts from that one; what was seen still counts.
    let newest = remembered.filter(|known| known.pinned == *pinned).map_or(*pinned, |known| known.newest);
    let trust = Trust { keys: &answers.keys, trusted: answers.keys.trusted_from(&newest, asked.now), newest, asked };
    if trust.trusted.is_empty() {
        return Err(Untrusted::PinRetired(newest.id));
    }
    let by = trust.signer("freshness statement", &answers.freshness)?;
    let freshness = Freshness::parse(&answers.freshness.text)?;
    if freshness.origin != by.id {
        return Err(Untrusted::OtherOrigin { said: freshness.origin, by: by.id });
    }
    check_time(&freshness, asked.now)?;
    if let Some(known) = remembered {
        check_order(&freshness, known)?;
    }
    check_view(&freshness, remembered.filter(|known| known.pinned == *pinned), asked)?;
    let manifest = check_offer(&trust, &freshness, answers.offer.as_ref())?;
    let Freshness { view, sequence, at, .. } = freshness;
    let remembered = Remembered { pinned: *pinned, newest: by, view, sequence, at };
    Ok(Verified { remembered, freshness, manifest })
}

struct Trust<'a> {
    keys: &'a KeysDocument,
    trusted: Vec<PublicKey>,
    newest: PublicKey,
    asked: &'a Asked<'a>,
}

impl Trust<'_> {
    /// The trusted key that has signed.
    fn signer(&self, what: &'static str, signed: &Signed) -> Result<PublicKey, Untrusted> {
        let bad = |cause| Untrusted::Signature { what, cause };
        if signed.text.is_empty() && signed.signature.is_empty() {
            return Err(Untrusted::Missing(what));
        }
        let signature = Signature::parse(&signed.signature).map_err(bad)?;
        let by = signature.key();
        let Some(key) = self.trusted.iter().find(|key| key.id == by) else {
            let is_retired = self.keys.entry(by).is_some_and(|entry| entry.is_retired(self.asked.now));
            return Err(if is_retired {
                Untrusted::Retired { what, by }
            } else {
                Untrusted::Stranger { what, by, trusted: self.newest.id }
            });
        };
        signature.verify(key, signed.text.as_bytes()).map_err(bad)?;
        Ok(*key)
    }
}

fn check_time(freshness: &Freshness, now: Timestamp) -> Result<(), Untrusted> {
    let latest = freshness.expires.checked_add(CLOCK_TOLERANCE).unwrap_or(Timestamp::MAX);
    let earliest = freshness.at.checked_sub(CLOCK_TOLERANCE).unwrap_or(Timestamp::MIN);
    if now > latest {
        return Err(Untrusted::Expired(freshness.expires));
    }
    if now < earliest { Err(Untrusted::Ahead(freshness.at)) } else { Ok(()) }
}

fn check_order(freshness: &Freshness, known: &Remembered) -> Result<(), Untrusted> {
    if freshness.sequence < known.sequence {
        return Err(Untrusted::RolledBack { seen: known.sequence, found: freshness.sequence });
    }
    if freshness.at < known.at { Err(Untrusted::Older { seen: known.at, found: freshness.at }) } else { Ok(()) }
}

/// A device that says who it is must be meant; one that does not must be the same as before.
fn check_view(freshness: &Freshness, known: Option<&Remembered>, asked: &Asked<'_>) -> Result<(), Untrusted> {
    let expected = asked.device.map(|device| view_of(Some(device))).or(known.map(|known| known.view));
    if expected.is_some_and(|view| view != freshness.view) {
        return Err(Untrusted::OtherView);
    }
    match (asked.platform, &freshness.platform) {
        (Some(asked), found) if found.as_ref() != Some(asked) => Err(Untrusted::OtherPlatform {
            asked: asked.clone(),
            found: found.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        }),
        _ => Ok(()),
    }
}

fn check_offer(
    trust: &Trust<'_>,
    freshness: &Freshness,
    offered: Option<&(Offer, Signed)>,
) -> Result<Option<ReleaseManifest>, Untrusted> {
    let line = freshness.offer(trust.asked.product);
    let Some((offer, signed)) = offered else {
        return match line.filter(|line| trust.asked.current != Some(&line.version)) {
            Some(line) => Err(Untrusted::Withheld { product: line.product.clone(), version: line.version.clone() }),
            None => Ok(None),
        };
    };
    let says = |line: &&super::OfferLine| {
        (&line.product, &line.version, line.sequence, line.release)
            == (&offer.product, &offer.version, offer.sequence, offer.release)
    };
    if line.filter(says).is_none() {
        let (product, version) = (offer.product.clone(), offer.version.clone());
        return Err(Untrusted::OtherOffer { product, version });
    }
    trust.signer("manifest", signed)?;
    if ReleaseId(Blake3Digest::of(signed.text.as_bytes())) != offer.release {
        return Err(Untrusted::OtherManifest(offer.release));
    }
    let manifest = parse_manifest(&signed.text)?;
    if (&manifest.product, &manifest.version) != (&offer.product, &offer.version) {
        return Err(Untrusted::OtherManifest(offer.release));
    }
    let fitting = manifest.artifacts.iter().filter(|artifact| artifact.platform.fits(freshness.platform.as_ref()));
    if fitting.map(offered_as).ne(offer.artifacts.iter().cloned()) {
        return Err(Untrusted::OtherArtifacts);
    }
    Ok(Some(manifest))
}

fn offered_as(artifact: &Artifact) -> OfferedArtifact {
    let Artifact { target, platform, size, blake3, sha256, media_type: _ } = artifact.clone();
    OfferedArtifact { target, platform, size, blake3, sha256 }
}
