//! The admin API's answers, as JSON. Field names are a contract: they are only ever added to.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{
    ApprovalRule, Artifact, Class, GateFinding, Inspection, ProductName, ProductReleases, Refusal, Release,
    ReleaseState,
};

/// A product.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProductAnswer {
    name: String,
    #[schema(value_type = String, example = "intelligence")]
    class: Class,
    #[schema(value_type = String, format = DateTime)]
    added_at: Timestamp,
    added_by: String,
    /// How many releases it has, whatever their state.
    releases: usize,
    /// The version of the newest published release.
    newest: Option<String>,
    /// Why nothing new of it is exposed, if it is frozen.
    frozen: Option<String>,
}

impl ProductAnswer {
    pub(super) fn new(product: &ProductReleases, now: Timestamp) -> Self {
        let published = |release: &&std::sync::Arc<Release>| release.state_at(now) == ReleaseState::Published;
        let newest = product.releases().iter().rev().find(published);
        let releases = product.releases().len();
        let frozen = product.freezes().iter().rfind(|freeze| freeze.is_active_at(now));
        let frozen = frozen.map(|freeze| freeze.reason.to_string());
        let newest = newest.map(|release| release.version().to_string());
        let product = product.product();
        Self {
            name: product.name.to_string(),
            class: product.class,
            added_at: product.added_at,
            added_by: product.added_by.to_string(),
            releases,
            newest,
            frozen,
        }
    }
}

/// All products, in order of name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProductsAnswer {
    pub(super) products: Vec<ProductAnswer>,
}

/// A release.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReleaseAnswer {
    product: String,
    version: String,
    /// The digest of its manifest: what approvers approve.
    release: String,
    sequence: u64,
    #[schema(value_type = String, example = "published")]
    state: ReleaseState,
    barrier: bool,
    #[schema(value_type = String, example = "other")]
    approval: ApprovalRule,
    #[schema(value_type = String, format = DateTime)]
    added_at: Timestamp,
    added_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    approved_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn: Option<WithdrawnAnswer>,
    artifacts: Vec<ArtifactAnswer>,
    /// Whether it brings code that runs in a kernel, as far as the gates could see.
    kernel_mode: bool,
    /// What the gates saw; absent for a release that no gate has looked into.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    inspection: Option<Inspection>,
    /// Only in the answer to a publication: the very same release was there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    already_published: bool,
}

/// When a release was taken back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WithdrawnAnswer {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    by: String,
    reason: String,
}

/// A file of a release.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArtifactAnswer {
    target: String,
    platform: String,
    size: u64,
    blake3: String,
    sha256: String,
    media_type: String,
}

impl ReleaseAnswer {
    pub(super) fn new(release: &Release, now: Timestamp) -> Self {
        let approved = release.approved.as_ref();
        let withdrawn = release.withdrawn.as_ref().map(|(stamp, reason)| WithdrawnAnswer {
            at: stamp.at,
            by: stamp.by.to_string(),
            reason: reason.to_string(),
        });
        Self {
            product: release.manifest.product.to_string(),
            version: release.version().to_string(),
            release: release.id.to_string(),
            sequence: release.sequence,
            state: release.state_at(now),
            barrier: release.manifest.barrier,
            approval: release.approval,
            added_at: release.added.at,
            added_by: release.added.by.to_string(),
            approved_at: approved.map(|stamp| stamp.at),
            approved_by: approved.map(|stamp| stamp.by.to_string()),
            published_at: release.published_at,
            withdrawn,
            artifacts: release.manifest.artifacts.iter().map(ArtifactAnswer::new).collect(),
            kernel_mode: release.has_kernel_mode(),
            inspection: release.inspection.clone(),
            already_published: false,
        }
    }

    /// The answer to a publication of what was there.
    pub(super) fn already_published(release: &Release, now: Timestamp) -> Self {
        Self { already_published: true, ..Self::new(release, now) }
    }
}

impl ArtifactAnswer {
    fn new(artifact: &Artifact) -> Self {
        Self {
            target: artifact.target.to_string(),
            platform: artifact.platform.to_string(),
            size: artifact.size,
            blake3: artifact.blake3.to_hex(),
            sha256: artifact.sha256.to_hex(),
            media_type: artifact.media_type.clone(),
        }
    }
}

/// A version that the gates turned down; nothing of it is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefusedAnswer {
    product: String,
    version: String,
    /// Always `refused`.
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    refused_at: Timestamp,
    refused_by: String,
    /// Everything that the gates found: `gate`, `target` where it concerns an artifact, and `text`.
    #[schema(value_type = Vec<Object>)]
    findings: Vec<GateFinding>,
}

impl RefusedAnswer {
    pub(super) fn new(product: &ProductName, refusal: &Refusal) -> Self {
        Self {
            product: product.to_string(),
            version: refusal.version.to_string(),
            state: "refused",
            refused_at: refusal.refused.at,
            refused_by: refusal.refused.by.to_string(),
            findings: refusal.findings.clone(),
        }
    }
}

/// A release, or a version that never became one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum AnyReleaseAnswer {
    /// A release.
    Release(Box<ReleaseAnswer>),
    /// The gates turned it down.
    Refused(RefusedAnswer),
}

/// The releases of one product, newest first, and then the versions that the gates turned down.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReleasesAnswer {
    pub(super) releases: Vec<AnyReleaseAnswer>,
}
