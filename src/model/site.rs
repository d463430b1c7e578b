//! Offline sites: what a bundle brings to one, what its receipts say, and what either side remembers of the other.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Blake3Digest, DigestError, Freeze, GroupName, Hold, KeyId, Pin, Product, ProductName, PublicKey, Reason, Release,
    ReleaseId, RingName, Rollout, RolloutId, Sha256Digest, SiteName, Stamp, Version,
};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Blake3Digest);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// A bundle: BLAKE3 of its manifest's canonical body.
    BundleId
);
id!(
    /// A receipt: BLAKE3 of its canonical body.
    ReceiptId
);

/// A body by both of its digests and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    /// The digest that names it in a store.
    pub blake3: Blake3Digest,
    /// The digest that other tools check.
    pub sha256: Sha256Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// What an increment starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BundleBase {
    /// Nothing: everything is in the bundle.
    Full,
    /// What a receipt of the site proved that it holds.
    Proven {
        /// The receipt.
        receipt: ReceiptId,
        /// The bundle that it acknowledged.
        bundle: BundleId,
        /// The root of the set that the site held then.
        root: Sha256Digest,
    },
    /// What an earlier bundle would have brought, acknowledged by nobody.
    Assumed {
        /// That bundle.
        bundle: BundleId,
        /// The root that it promised.
        root: Sha256Digest,
    },
}

/// A place in an origin's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalPlace {
    /// The last event's number.
    pub sequence: u64,
    /// Its hash.
    pub head: Blake3Digest,
}

/// Everything that an origin decides for a site: it takes the place of whatever the site knew of it before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteContent {
    /// The policy in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<SitePolicy>,
    /// The products, in order of name.
    pub products: Vec<SiteProduct>,
    /// Holds on them, in order of id.
    pub holds: Vec<Hold>,
    /// Pins, in order of id.
    pub pins: Vec<Pin>,
    /// Rollouts, in order of id.
    pub rollouts: Vec<Rollout>,
    /// Freezes, in order of id, each with its product.
    pub freezes: Vec<(ProductName, Freeze)>,
}

/// A policy as a site is given it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SitePolicy {
    /// Its number at the origin.
    pub seq: u64,
    /// Since when it is in force, and by whom.
    pub applied: Stamp,
    /// BLAKE3 of the text.
    pub digest: Blake3Digest,
    /// The text.
    pub text: String,
}

/// A product as a site is given it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteProduct {
    /// The product.
    pub product: Product,
    /// Those of its releases that the site needs, lowest sequence first; sequences may be missing.
    pub releases: Vec<Release>,
    /// Releases among them whose bytes are not at the site: they only count where releases are counted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub absent: BTreeSet<ReleaseId>,
}

/// A bundle that was written for a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The bundle.
    pub bundle: BundleId,
    /// Its place among the site's bundles, from 1.
    pub sequence: u64,
    /// What it starts from.
    pub base: BundleBase,
    /// The root that the site reaches with it.
    pub root: Sha256Digest,
    /// The object that holds its content.
    pub state: ObjectRef,
    /// The groups whose decisions it carries.
    pub groups: Vec<GroupName>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it may be imported.
    pub expires_at: Timestamp,
    /// How many objects are in it.
    pub objects: u64,
    /// How many bytes its volumes have.
    pub bytes: u64,
}

/// How an import ended, as a receipt says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptOutcome {
    /// The site is at the promised root.
    Applied,
    /// Some objects are there, others are not; nothing of it is visible.
    Partial,
    /// Nothing was taken.
    Refused,
}

impl ReceiptOutcome {
    /// The word in JSON and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Partial => "partial",
            Self::Refused => "refused",
        }
    }
}

/// What the devices of one place said of one rollout in one ring: the whole sum so far, not what is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RingTally {
    /// The product.
    pub product: ProductName,
    /// The rollout, by the origin's number.
    pub rollout: RolloutId,
    /// The ring.
    pub ring: RingName,
    /// Devices that were offered the release.
    pub offered: u64,
    /// Those that got at least as far as having its bytes.
    pub fetched: u64,
    /// Those that had it installed at least once.
    pub installed: u64,
    /// Those that last said they are healthy.
    pub healthy: u64,
    /// Those that last said they failed.
    pub failed: u64,
    /// Those that last said they went back.
    pub rolled_back: u64,
    /// Those that have yet to conclude.
    pub pending: u64,
    /// Those of them whose deadline has passed.
    pub silent: u64,
}

/// Which version a group of a site sees of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteVersion {
    /// The product.
    pub product: ProductName,
    /// The group.
    pub group: GroupName,
    /// The version; none where the group sees nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

/// A receipt that the origin took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenReceipt {
    /// The receipt.
    pub receipt: ReceiptId,
    /// Its place among the site's receipts, from 1.
    pub number: u64,
    /// The receipt before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ReceiptId>,
    /// The key that signed it.
    pub key: PublicKey,
    /// How the import ended.
    pub outcome: ReceiptOutcome,
    /// Why it was not applied; the short form does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The bundle that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleId>,
    /// That bundle's sequence.
    pub sequence: u64,
    /// The bundle whose content the site serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<BundleId>,
    /// The root of the set that the site holds.
    pub root: Sha256Digest,
    /// The highest time that the site has seen.
    pub trusted_time: Timestamp,
    /// What its groups see.
    pub versions: Vec<SiteVersion>,
    /// What its devices said.
    pub tallies: Vec<RingTally>,
}

/// What an origin knows of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteRecord {
    /// Its name.
    pub name: SiteName,
    /// The key of its receipts, once one was taken.
    pub key: Option<PublicKey>,
    /// The bundles that were written for it, oldest first; of those before what is proven only the newest are kept.
    pub exports: Vec<Export>,
    /// The highest sequence that is known of.
    pub sequence: u64,
    /// The last receipt, and when it was taken.
    pub receipt: Option<(TakenReceipt, Timestamp)>,
    /// The export that the site has proven to hold, and by which receipt.
    pub proven: Option<(BundleId, ReceiptId)>,
    /// Why the next bundle has to be a full one, where it has to.
    pub astray: Option<String>,
}

/// A receipt that this server gave as an offline site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenReceipt {
    /// The receipt.
    pub receipt: ReceiptId,
    /// Its place among the site's receipts, from 1.
    pub number: u64,
    /// What it says of an import.
    pub outcome: ReceiptOutcome,
    /// The bundle that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleId>,
    /// The receipt, as it stands in its file.
    pub text: String,
    /// Its signature, as minisign writes it.
    pub signature: String,
}

/// The bundle that an offline site serves from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedBundle {
    /// The bundle.
    pub bundle: BundleId,
    /// Its place among the site's bundles.
    pub sequence: u64,
    /// The root that was promised and reached.
    pub root: Sha256Digest,
    /// The object that holds its content.
    pub state: ObjectRef,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it could be imported.
    pub expires_at: Timestamp,
    /// Where the origin's journal stood.
    pub journal: JournalPlace,
    /// The origin's key that signed it.
    pub issuer: KeyId,
    /// The keys whose bundles are taken from now on.
    pub keys: Vec<PublicKey>,
    /// Keys of the origin that count no more, and why where that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<(KeyId, Option<Reason>)>,
    /// The groups whose decisions it carries.
    pub groups: Vec<GroupName>,
}

/// What this server knows of itself as an offline site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnSite {
    /// Its name.
    pub name: SiteName,
    /// The bundle that it serves from, and when it was applied; none before the first.
    pub applied: Option<(AppliedBundle, Timestamp)>,
    /// The last receipt that it gave.
    pub receipt: Option<GivenReceipt>,
}

impl OwnSite {
    /// A site without bundles.
    pub fn new(name: SiteName) -> Self {
        Self { name, applied: None, receipt: None }
    }
}

impl SiteRecord {
    /// How many exports before the proven one are kept: media that come late are recognised by them.
    const EXPORTS_KEPT: usize = 64;

    /// A site that nothing was written for yet.
    pub fn new(name: SiteName) -> Self {
        Self { name, key: None, exports: Vec::new(), sequence: 0, receipt: None, proven: None, astray: None }
    }

    /// An export by its bundle.
    pub fn export(&self, bundle: &BundleId) -> Option<&Export> {
        self.exports.iter().find(|export| export.bundle == *bundle)
    }

    /// What the site has proven to hold: the export, and the receipt that acknowledged it.
    pub fn proven_export(&self) -> Option<(&Export, ReceiptId)> {
        let (bundle, receipt) = self.proven?;
        self.export(&bundle).map(|export| (export, receipt))
    }

    pub(super) fn add_export(&mut self, export: Export) {
        self.sequence = self.sequence.max(export.sequence);
        if matches!(export.base, BundleBase::Full) {
            self.astray = None;
        }
        self.exports.push(export);
        let is_kept = |known: &Export| self.proven.is_some_and(|(proven, _)| proven == known.bundle);
        while self.exports.len() > Self::EXPORTS_KEPT {
            let Some(oldest) = self.exports.iter().position(|known| !is_kept(known)) else { break };
            self.exports.remove(oldest);
        }
    }

    pub(super) fn take_receipt(&mut self, receipt: TakenReceipt, at: Timestamp, astray: Option<String>) {
        self.sequence = self.sequence.max(receipt.sequence);
        self.key = Some(receipt.key);
        if astray.is_some() {
            self.proven = None;
        } else if let Some(applied) = receipt.applied.filter(|applied| self.export(applied).is_some()) {
            self.proven = Some((applied, receipt.receipt));
        }
        self.astray = astray;
        self.receipt = Some((receipt, at));
    }
}
