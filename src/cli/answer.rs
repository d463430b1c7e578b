//! The server's answers, as far as they are put into words. `--json` prints them whole, so these leave out what no
//! sentence needs, and take answers that say more.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::{
    ApprovalRule, AttributeName, Class, Denial, Device, DeviceId, GateFinding, Hold, Inspection, Pin, Platform,
    ProductName, ReleaseState, ReportEvent, Tag, Token, TokenListener, Version,
};

#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) started_at: Timestamp,
    pub(super) seq: u64,
    #[serde(default)]
    pub(super) head: Option<String>,
    #[serde(default)]
    pub(super) data: Option<String>,
    #[serde(default)]
    pub(super) listeners: BTreeMap<String, Vec<String>>,
    pub(super) products: u64,
    pub(super) releases: u64,
    pub(super) devices: u64,
    #[serde(default)]
    pub(super) site: Option<SiteStatus>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SiteStatus {
    pub(super) name: Option<String>,
    pub(super) bundle: Option<SiteBundle>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SiteBundle {
    pub(super) bundle: String,
    pub(super) sequence: u64,
    pub(super) created_at: Timestamp,
    pub(super) age_s: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Products {
    pub(super) products: Vec<Product>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Product {
    pub(super) name: String,
    pub(super) class: Class,
    pub(super) added_at: Timestamp,
    pub(super) added_by: String,
    #[serde(default)]
    pub(super) releases: u64,
    #[serde(default)]
    pub(super) newest: Option<String>,
    #[serde(default)]
    pub(super) frozen: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Releases {
    pub(super) releases: Vec<AnyRelease>,
}

/// A release, or a version that the gates turned down.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum AnyRelease {
    Refused(Refused),
    Release(Box<Release>),
}

/// A version that the gates turned down.
#[derive(Debug, Deserialize)]
pub(super) struct Refused {
    pub(super) product: String,
    pub(super) version: String,
    pub(super) refused_at: Timestamp,
    pub(super) refused_by: String,
    pub(super) findings: Vec<GateFinding>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Release {
    pub(super) product: String,
    pub(super) version: String,
    pub(super) release: String,
    pub(super) sequence: u64,
    pub(super) state: ReleaseState,
    #[serde(default)]
    pub(super) barrier: bool,
    pub(super) approval: ApprovalRule,
    pub(super) added_at: Timestamp,
    pub(super) added_by: String,
    #[serde(default)]
    pub(super) approved_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) approved_by: Option<String>,
    #[serde(default)]
    pub(super) published_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) withdrawn: Option<Withdrawn>,
    #[serde(default)]
    pub(super) artifacts: Vec<Artifact>,
    #[serde(default)]
    pub(super) kernel_mode: bool,
    #[serde(default)]
    pub(super) inspection: Option<Inspection>,
    #[serde(default)]
    pub(super) already_published: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Withdrawn {
    pub(super) at: Timestamp,
    pub(super) by: String,
    pub(super) reason: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Artifact {
    pub(super) target: String,
    pub(super) platform: String,
    pub(super) size: u64,
    pub(super) blake3: String,
    pub(super) sha256: String,
    pub(super) media_type: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Holds {
    pub(super) holds: Vec<Hold>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pins {
    pub(super) pins: Vec<Pin>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    pub(super) seq: u64,
    pub(super) applied_at: Timestamp,
    pub(super) applied_by: String,
    pub(super) digest: String,
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) sentences: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Policies {
    pub(super) policies: Vec<Policy>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PolicyPlan {
    #[serde(default)]
    pub(super) changes: Vec<PolicyChange>,
    pub(super) devices_changed: u64,
    pub(super) devices_total: u64,
    #[serde(default)]
    pub(super) regrouped: Vec<Regrouped>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    #[serde(default)]
    pub(super) weakened: Vec<String>,
}

/// Devices that change their group.
#[derive(Debug, Deserialize)]
pub(super) struct Regrouped {
    pub(super) devices: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct PolicyChange {
    pub(super) product: String,
    #[serde(default)]
    pub(super) group: Option<String>,
    #[serde(default)]
    pub(super) from: Option<String>,
    #[serde(default)]
    pub(super) to: Option<String>,
    #[serde(default)]
    pub(super) at: Option<Timestamp>,
    pub(super) devices: u64,
    #[serde(default)]
    pub(super) examples: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PolicyApplied {
    pub(super) seq: u64,
    pub(super) changed: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Devices {
    pub(super) devices: Vec<Device>,
    #[serde(default)]
    pub(super) denied: BTreeSet<DeviceId>,
    #[serde(default)]
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Imported {
    pub(super) imported: u64,
    pub(super) unchanged: u64,
}

/// A decision. The version stands in `version`, or inside `release`, or nowhere when nothing is allowed.
#[derive(Debug, Deserialize)]
pub(super) struct Decision {
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) release: serde_json::Value,
    #[serde(default)]
    pub(super) rule: String,
    #[serde(default)]
    pub(super) reason: String,
    #[serde(default)]
    pub(super) group: Option<String>,
    #[serde(default)]
    pub(super) ring: Option<String>,
    #[serde(default)]
    pub(super) valid_until: Option<Timestamp>,
    #[serde(default)]
    pub(super) trace: Vec<TraceLine>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TraceLine {
    #[serde(default)]
    pub(super) rule: String,
    #[serde(default)]
    pub(super) outcome: String,
    #[serde(default)]
    pub(super) detail: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tokens {
    pub(super) tokens: Vec<ListedToken>,
}

/// A token, and when it was last used.
#[derive(Debug, Deserialize)]
pub(super) struct ListedToken {
    #[serde(flatten)]
    pub(super) token: Token,
    #[serde(default)]
    pub(super) last_used_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) last_used_on: Option<TokenListener>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CreatedToken {
    pub(super) id: u64,
    pub(super) token: String,
}

/// A device, and what it last reported of each product.
#[derive(Debug, Deserialize)]
#[serde(from = "RawDeviceShown")]
pub(super) struct DeviceShown {
    pub(super) device: Device,
    pub(super) in_inventory: bool,
    pub(super) denial: Option<Denial>,
    pub(super) tokens: Vec<DeviceToken>,
    pub(super) enrolments: Vec<Enrolment>,
    pub(super) reported: Vec<Reported>,
}

/// A device's token, without its secret.
#[derive(Debug, Deserialize)]
pub(super) struct DeviceToken {
    pub(super) id: u64,
    pub(super) valid: bool,
    pub(super) created_at: Timestamp,
    pub(super) created_by: String,
    #[serde(default)]
    pub(super) expires_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) revoked_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Denials {
    pub(super) denials: Vec<Denial>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Enrolments {
    pub(super) enrolments: Vec<Enrolment>,
}

/// An enrolment whose code can still be used.
#[derive(Debug, Deserialize)]
pub(super) struct Enrolment {
    pub(super) id: u64,
    pub(super) device: String,
    pub(super) created_at: Timestamp,
    pub(super) created_by: String,
    pub(super) expires_at: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(super) struct CreatedEnrolment {
    pub(super) code: String,
    pub(super) expires_at: Timestamp,
}

/// What a device got for its code.
#[derive(Debug, Deserialize)]
pub(super) struct EnrolledToken {
    pub(super) device: String,
    pub(super) token: String,
}

/// What a device got for its code and a request for a certificate.
#[derive(Debug, Deserialize)]
pub(super) struct EnrolledCertificate {
    pub(super) device: String,
    pub(super) certificate: String,
    pub(super) not_after: Timestamp,
}

/// What a device last reported of a product.
#[derive(Debug, Deserialize)]
pub(super) struct Reported {
    pub(super) product: ProductName,
    pub(super) version: Version,
    pub(super) event: ReportEvent,
    pub(super) received_at: Timestamp,
}

/// As it comes: the device's fields beside the reports.
#[derive(Deserialize)]
struct RawDeviceShown {
    id: DeviceId,
    platform: Option<Platform>,
    #[serde(default)]
    tags: BTreeSet<Tag>,
    #[serde(default)]
    attributes: BTreeMap<AttributeName, String>,
    #[serde(default = "yes")]
    in_inventory: bool,
    #[serde(default)]
    denial: Option<Denial>,
    #[serde(default)]
    tokens: Vec<DeviceToken>,
    #[serde(default)]
    enrolments: Vec<Enrolment>,
    reported: Vec<Reported>,
}

fn yes() -> bool {
    true
}

impl From<RawDeviceShown> for DeviceShown {
    fn from(raw: RawDeviceShown) -> Self {
        let RawDeviceShown { id, platform, tags, attributes, in_inventory, denial, tokens, enrolments, reported } = raw;
        let device = Device { id, platform, tags, attributes };
        Self { device, in_inventory, denial, tokens, enrolments, reported }
    }
}
