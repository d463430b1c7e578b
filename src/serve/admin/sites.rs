//! Offline sites, as their origin knows them.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::access::Services;
use super::extract::InPath;
use super::receipts::PlacedBundle;
use crate::bundle::standing::{standing, versions_behind};
use crate::model::{
    BundleId, Export, PublicKey, ReceiptId, ReceiptOutcome, RingTally, SiteName, SiteRecord, SiteVersion, Snapshot,
};
use crate::serve::problem::Problem;

/// A bundle that was written.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExportAnswer {
    #[schema(value_type = String)]
    bundle: BundleId,
    sequence: u64,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    expires_at: Timestamp,
    /// Bytes of its volumes.
    bytes: u64,
}

/// The last receipt.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiptAnswer {
    #[schema(value_type = String)]
    receipt: ReceiptId,
    number: u64,
    #[schema(value_type = String)]
    outcome: ReceiptOutcome,
    /// The bundle that it is about.
    about: Option<PlacedBundle>,
    /// Why that one was not applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    /// When it was taken here.
    #[schema(value_type = String)]
    taken_at: Timestamp,
    /// The highest time that the site had seen.
    #[schema(value_type = String)]
    trusted_time: Timestamp,
}

/// A site.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SiteAnswer {
    #[schema(value_type = String)]
    name: SiteName,
    /// Whether the policy in force names the site.
    is_in_policy: bool,
    /// The newest bundle that was written for it.
    newest: Option<ExportAnswer>,
    /// The bundle that it has proven to hold.
    acknowledged: Option<PlacedBundle>,
    /// Bundles that were written since.
    unacknowledged: u64,
    receipt: Option<ReceiptAnswer>,
    /// In how many places a group sees another version than it would here.
    versions_behind: u64,
    /// Since when nothing was heard, where that is too long ago.
    #[schema(value_type = Option<String>)]
    silent_since: Option<Timestamp>,
    /// Why the next bundle has to be a full one.
    astray: Option<String>,
    /// The key of its receipts.
    #[schema(value_type = Option<String>)]
    key: Option<PublicKey>,
}

/// All sites, in order of name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SitesAnswer {
    sites: Vec<SiteAnswer>,
}

/// A site with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SiteDetails {
    #[serde(flatten)]
    site: SiteAnswer,
    /// The bundles that are remembered, oldest first.
    exports: Vec<ExportAnswer>,
    /// What its groups saw when it gave its last receipt.
    #[schema(value_type = Vec<Object>)]
    versions: Vec<SiteVersion>,
    /// What its devices had said by then.
    #[schema(value_type = Vec<Object>)]
    tallies: Vec<RingTally>,
}

/// Lists the offline sites: those that bundles were written for, and those of the policy.
#[utoipa::path(get, path = "/v1/sites", responses((status = 200, body = SitesAnswer)))]
pub(super) async fn list(State(services): Services) -> Json<SitesAnswer> {
    let snapshot = services.catalog.snapshot();
    let now = services.catalog.now();
    let mut names: BTreeSet<_> = in_policy(&snapshot, now).into_iter().collect();
    names.extend(snapshot.sites().map(|site| site.name.clone()));
    Json(SitesAnswer { sites: names.iter().map(|name| answer(&snapshot, name, now)).collect() })
}

/// Shows one offline site.
#[utoipa::path(get, path = "/v1/sites/{site}", params(("site" = String, Path)), responses(
    (status = 200, body = SiteDetails),
    (status = 404, description = "no such site"),
))]
pub(super) async fn show(
    State(services): Services,
    InPath(name): InPath<SiteName>,
) -> Result<Json<SiteDetails>, Problem> {
    let snapshot = services.catalog.snapshot();
    let now = services.catalog.now();
    let site = answer(&snapshot, &name, now);
    let record = snapshot.site(&name);
    if record.is_none() && !site.is_in_policy {
        let detail = format!("there is no site {name}; `ringfence bundle sites` lists them");
        return Err(Problem::with_detail(StatusCode::NOT_FOUND, detail));
    }
    let receipt = record.and_then(|record| record.receipt.as_ref()).map(|(receipt, _)| receipt);
    Ok(Json(SiteDetails {
        exports: record.map_or(&[][..], |record| &record.exports).iter().map(export).collect(),
        versions: receipt.map(|receipt| receipt.versions.clone()).unwrap_or_default(),
        tallies: receipt.map(|receipt| receipt.tallies.clone()).unwrap_or_default(),
        site,
    }))
}

fn in_policy(snapshot: &Snapshot, now: Timestamp) -> Vec<SiteName> {
    let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
    policy.into_iter().flat_map(|policy| policy.sites()).map(|site| site.name().clone()).collect()
}

fn answer(snapshot: &Snapshot, name: &SiteName, now: Timestamp) -> SiteAnswer {
    let unknown = SiteRecord::new(name.clone());
    let record = snapshot.site(name).map_or(&unknown, AsRef::as_ref);
    let stands = standing(record, now);
    let receipt = record.receipt.as_ref().map(|(receipt, taken_at)| ReceiptAnswer {
        receipt: receipt.receipt,
        number: receipt.number,
        outcome: receipt.outcome,
        about: receipt.bundle.map(|bundle| {
            let sequence = record.export(&bundle).map_or(receipt.sequence, |export| export.sequence);
            PlacedBundle { bundle, sequence }
        }),
        reasons: receipt.reasons.clone(),
        taken_at: *taken_at,
        trusted_time: receipt.trusted_time,
    });
    SiteAnswer {
        name: name.clone(),
        is_in_policy: in_policy(snapshot, now).contains(name),
        newest: stands.newest.map(export),
        acknowledged: stands
            .acknowledged
            .map(|export| PlacedBundle { bundle: export.bundle, sequence: export.sequence }),
        unacknowledged: stands.unacknowledged,
        receipt,
        versions_behind: versions_behind(snapshot, record, now),
        silent_since: stands.silent_since,
        astray: record.astray.clone(),
        key: record.key,
    }
}

fn export(export: &Export) -> ExportAnswer {
    let Export { bundle, sequence, created_at, expires_at, bytes, .. } = *export;
    ExportAnswer { bundle, sequence, created_at, expires_at, bytes }
}
