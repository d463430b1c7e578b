//! Releases: immutable versions of a product, named by the digest of their manifest.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Actor, ApprovalRule, Blake3Digest, DigestError, Inspection, Platform, ProductName, Reason, Sha256Digest,
    TargetName, Version,
};

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its path inside the release.
    pub target: TargetName,
    /// What it runs on.
    pub platform: Platform,
    /// Its length in bytes.
    pub size: u64,
    /// The digest that names its body in the store.
    pub blake3: Blake3Digest,
    /// The digest that other tools check.
    pub sha256: Sha256Digest,
    /// Its media type, for example `application/zip`.
    pub media_type: String,
}

/// The digest of a release's manifest: what approvers approve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseId(pub Blake3Digest);

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReleaseId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}

/// What a release consists of, apart from what later happens to it. Its digest is the release's identity: two
/// publications with the same manifest are the same release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseManifest {
    /// The product it belongs to.
    pub product: ProductName,
    /// Its version, unique in the product.
    pub version: Version,
    /// Whether it must be installed before any later release.
    pub barrier: bool,
    /// Its files, in order of (target, platform), at least one, each pair at most once.
    pub artifacts: Vec<Artifact>,
}

impl ReleaseManifest {
    /// The identity of the release: BLAKE3 over [`ReleaseManifest::text`].
    pub fn id(&self) -> ReleaseId {
        ReleaseId(Blake3Digest::of(self.text().as_bytes()))
    }

    /// The manifest's lines, which hold exactly what its fields hold: what the release's identity is taken of, and what
    /// publishers and the origin sign.
    ///
    /// The lines are `ringfence release 1`, `product P`, `version V`, `barrier true|false`, then for each artifact
    /// `artifact PLATFORM SIZE BLAKE3 SHA256 MEDIA-TYPE TARGET`, each ended by a line feed. No field can hold a line
    /// feed, and only the last of a line can hold a space.
    pub fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "ringfence release 1\nproduct {}\nversion {}\nbarrier {}\n",
            self.product, self.version, self.barrier
        );
        for artifact in &self.artifacts {
            let Artifact { target, platform, size, blake3, sha256, media_type } = artifact;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "artifact {platform} {size} {blake3} {sha256} {media_type} {target}");
        }
        text
    }
}

/// Who did something to a release, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
}

/// Where a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseState {
    /// Received and stored, waiting for approval; no device sees it.
    Draft,
    /// Approved, not yet published; no device sees it.
    Approved,
    /// Devices see it as the policy decides.
    Published,
    /// Taken back for good; no device sees it.
    Withdrawn,
}

impl ReleaseState {
    /// The word used in JSON and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Published => "published",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// One immutable version of a product, and what has happened to it. Each step keeps its time, so that the state at any
/// past moment can be told from the present record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The digest of the manifest.
    pub id: ReleaseId,
    /// What it consists of.
    pub manifest: ReleaseManifest,
    /// Its place among the product's releases, from 1, in order of publication to the server.
    pub sequence: u64,
    /// When it was received, and from whom.
    pub added: Stamp,
    /// Whose approval it needs, by the policy in force when it was added.
    pub approval: ApprovalRule,
    /// Its approval; by its publisher where the rule is [`ApprovalRule::Auto`].
    pub approved: Option<Stamp>,
    /// When it became visible to decisions.
    pub published_at: Option<Timestamp>,
    /// When it was taken back.
    pub withdrawn: Option<(Stamp, Reason)>,
    /// What the release gates saw in it; absent for one that was published before they looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inspection: Option<Inspection>,
}

impl Release {
    /// Its version.
    pub fn version(&self) -> &Version {
        &self.manifest.version
    }

    /// Where it stood at `at`.
    pub fn state_at(&self, at: Timestamp) -> ReleaseState {
        let past = |time: Timestamp| time <= at;
        if self.withdrawn.as_ref().is_some_and(|(stamp, _)| past(stamp.at)) {
            ReleaseState::Withdrawn
        } else if self.published_at.is_some_and(past) {
            ReleaseState::Published
        } else if self.approved.as_ref().is_some_and(|stamp| past(stamp.at)) {
            ReleaseState::Approved
        } else {
            ReleaseState::Draft
        }
    }

    /// Whether it brings code that runs in the kernel, as far as the gates could see.
    pub fn has_kernel_mode(&self) -> bool {
        self.inspection.as_ref().is_some_and(|inspection| !inspection.kernel_mode.is_empty())
    }

    /// The artifacts that fit a device of this platform, in the manifest's order.
    pub fn artifacts_for(&self, platform: Option<&Platform>) -> impl Iterator<Item = &Artifact> {
        self.manifest.artifacts.iter().filter(move |artifact| artifact.platform.fits(platform))
    }
}
