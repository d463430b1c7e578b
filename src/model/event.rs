//! Events: everything that ever changed, as the journal keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Actor, AppliedBundle, ApprovalRule, Blake3Digest, Class, Device, DeviceId, EnrolmentId, Export, GateFinding,
    GivenReceipt, GroupName, HoldId, HoldScope, Inspection, KeyId, LayoutName, NameGlob, PinId, Plan, ProductName,
    PublicKey, Reason, ReleaseId, ReleaseManifest, RolloutChange, RolloutId, RolloutKind, ShareFile, ShareName, Shown,
    SiteContent, SiteName, TakenReceipt, TargetName, TokenId, TokenScope, Version,
};

/// One line of the journal. `hash` covers every field before it, `prev` is the `hash` of the line before: the journal
/// is a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRecord {
    /// Its place in the journal, from 1, without gaps.
    pub seq: u64,
    /// When it was appended; never before the line before it.
    pub time: Timestamp,
    /// Who made the change.
    pub actor: Actor,
    /// The change.
    pub event: Event,
    /// The hash of the line before; 64 zeros on the first.
    pub prev: Blake3Digest,
    /// BLAKE3 of this line's bytes up to and excluding `,"hash":`.
    pub hash: Blake3Digest,
}

/// A change. The names and fields are a file format: they are only ever added to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A product exists.
    ProductAdded {
        /// Its name.
        product: ProductName,
        /// Its class.
        class: Class,
    },
    /// A release and all its blobs are stored; it is a draft.
    ReleaseAdded {
        /// The digest of the manifest.
        release: ReleaseId,
        /// Its place among the product's releases.
        sequence: u64,
        /// What it consists of.
        manifest: ReleaseManifest,
        /// Whose approval it needs.
        approval: ApprovalRule,
    },
    /// What the gates saw in a release that was just added.
    ReleaseInspected {
        /// The product.
        product: ProductName,
        /// The release.
        release: ReleaseId,
        /// What they saw.
        inspection: Inspection,
    },
    /// The gates turned a publication down; nothing of it was kept.
    ReleaseRefused {
        /// The product.
        product: ProductName,
        /// The version that was to be published.
        version: Version,
        /// Everything they found.
        findings: Vec<GateFinding>,
    },
    /// A draft is approved.
    ReleaseApproved {
        /// The product.
        product: ProductName,
        /// What was approved, byte for byte.
        release: ReleaseId,
    },
    /// An approved release is visible to decisions from this event's time on.
    ReleasePublished {
        /// The product.
        product: ProductName,
        /// The release.
        release: ReleaseId,
    },
    /// A release is taken back for good.
    ReleaseWithdrawn {
        /// The product.
        product: ProductName,
        /// The release.
        release: ReleaseId,
        /// Why.
        reason: Reason,
    },
    /// Something is withheld. The hold's id is this event's `seq`.
    HoldAdded {
        /// The product.
        product: ProductName,
        /// The version; all of them where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Version>,
        /// From whom.
        scope: HoldScope,
        /// Why.
        reason: Reason,
        /// Until when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// A hold ends.
    HoldLifted {
        /// Which.
        hold: HoldId,
        /// Why.
        reason: Reason,
    },
    /// A group is kept at a version. The pin's id is this event's `seq`; it replaces an earlier one of the same group
    /// and product.
    PinAdded {
        /// The group.
        group: GroupName,
        /// The product.
        product: ProductName,
        /// The version.
        version: Version,
        /// Why.
        reason: Reason,
    },
    /// A pin ends.
    PinRemoved {
        /// Which.
        pin: PinId,
        /// Why.
        reason: Reason,
    },
    /// A policy is in force from this event's time on.
    PolicyApplied {
        /// BLAKE3 of the text.
        digest: Blake3Digest,
        /// The file as it was written, comments and all.
        text: String,
    },
    /// Devices are in the inventory, new or changed. At most 1,000 an event.
    DevicesImported {
        /// Their records, replacing earlier ones of the same id.
        devices: Vec<Device>,
    },
    /// Devices are no longer in the inventory. At most 1,000 an event.
    DevicesRemoved {
        /// Which.
        devices: Vec<DeviceId>,
    },
    /// A release is to be rolled out. The rollout's id is this event's `seq`.
    RolloutPlanned {
        /// The product.
        product: ProductName,
        /// The release; for a rollback the one that is gone back to.
        release: ReleaseId,
        /// What it is for.
        rollout: RolloutKind,
        /// The plan as it was then.
        plan: Plan,
        /// What the buckets of devices are drawn with.
        salt: String,
        /// Why, where a person said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
    },
    /// A rollout took a step.
    RolloutChanged {
        /// The product.
        product: ProductName,
        /// Which.
        rollout: RolloutId,
        /// The step.
        change: RolloutChange,
    },
    /// No new exposure of anything of a product. The freeze's id is this event's `seq`.
    ProductFrozen {
        /// Which.
        product: ProductName,
        /// Why.
        reason: Reason,
    },
    /// A freeze ends.
    ProductReset {
        /// The product.
        product: ProductName,
        /// Why.
        reason: Reason,
    },
    /// A share shows something else from `at` on. The switch's number is this event's `seq`.
    ShareSwitched {
        /// Which.
        share: ShareName,
        /// When it takes effect, for all files at once: a whole second, later than that of every switch before.
        at: Timestamp,
        /// How the files are arranged.
        layout: LayoutName,
        /// The releases that it shows from then on.
        shows: Vec<Shown>,
        /// The files that are new or have other bytes.
        put: Vec<ShareFile>,
        /// The paths that are gone.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<TargetName>,
        /// Paths that have been gone for so long that nobody asks for them any more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        forgotten: Vec<TargetName>,
    },
    /// A token may be used. Its id is this event's `seq`.
    TokenCreated {
        /// Whom it speaks for.
        scope: TokenScope,
        /// Keyed BLAKE3 of its secret.
        hash: Blake3Digest,
        /// Until when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// A token may no longer be used.
    TokenRevoked {
        /// Which.
        token: TokenId,
    },
    /// A device may enrol with a code. The enrolment's id is this event's `seq`.
    EnrolmentCreated {
        /// Whom it is for.
        device: DeviceId,
        /// Keyed BLAKE3 of the code.
        hash: Blake3Digest,
        /// Until when the code is taken.
        expires_at: Timestamp,
        /// Enrolments that ended unused and are no longer kept.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        forgotten: Vec<EnrolmentId>,
    },
    /// A device enrolled; a token for it follows, unless it was a certificate.
    EnrolmentUsed {
        /// Which.
        enrolment: EnrolmentId,
        /// SHA-256 of the certificate that was signed, in hexadecimal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
    },
    /// A device gets nothing from now on, whatever it proves.
    DeviceDenied {
        /// Which.
        device: DeviceId,
        /// Why.
        reason: Reason,
    },
    /// A denial ends.
    DeviceAllowed {
        /// Which.
        device: DeviceId,
        /// Why.
        reason: Reason,
    },
    /// Signatures by a key are taken from now on.
    KeyTrusted {
        /// The key.
        key: PublicKey,
        /// What people call it.
        name: String,
        /// Globs over the products that it may sign; all of them where empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        products: Vec<NameGlob>,
    },
    /// Signatures by a key are no longer taken; what it signed before stays published.
    KeyRevoked {
        /// Which.
        key: KeyId,
        /// Why.
        reason: Reason,
    },
    /// The origin signs with a key from now on.
    OriginKeyAdded {
        /// The key.
        key: PublicKey,
        /// The key that vouches for it, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        introduced_by: Option<KeyId>,
        /// That key's signature over the introduction, as minisign writes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        introduction: Option<String>,
    },
    /// Nothing that a key of the origin signed is to be believed any more.
    OriginKeyRetired {
        /// Which.
        key: KeyId,
        /// Why.
        reason: Reason,
    },
    /// A bundle was signed for an offline site; its medium may still be on its way, or lost.
    BundleExported {
        /// The site.
        site: SiteName,
        /// The bundle.
        export: Box<Export>,
    },
    /// A receipt of an offline site was taken.
    ReceiptTaken {
        /// The site.
        site: SiteName,
        /// What it says.
        receipt: Box<TakenReceipt>,
        /// Why the site is not where this origin thought it to be, where it is not: the next bundle is a full one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        astray: Option<String>,
    },
    /// This server, an offline site, serves from a bundle from now on: its content takes the place of what was there.
    BundleApplied {
        /// The site.
        site: SiteName,
        /// The bundle.
        bundle: Box<AppliedBundle>,
        /// What the origin decides for the site.
        content: Box<SiteContent>,
    },
    /// This server, an offline site, signed a receipt.
    ReceiptGiven {
        /// The site.
        site: SiteName,
        /// The receipt.
        receipt: Box<GivenReceipt>,
    },
}
