//! Releases: publishing, approving, withdrawing, looking.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::answers::{AnyReleaseAnswer, RefusedAnswer, ReleaseAnswer, ReleasesAnswer};
use super::extract::{InPath, Sent};
use super::steps::take_due_steps;
use crate::control::{ControlError, approve_release, withdraw_release};
use crate::gate::{Declared, NewSignature};
use crate::model::{Blake3Digest, Platform, ProductName, Reason, ReleaseId, Sha256Digest, TargetName, Version};
use crate::publish::{NewArtifact, NewRelease, UploadId};
use crate::serve::problem::Problem;

/// A release to be published.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseRequest {
    #[schema(value_type = String, example = "1.427.3.0")]
    version: Version,
    /// Whether it must be installed before any later release.
    #[serde(default)]
    barrier: bool,
    /// Whether a version that is not above the newest is meant.
    #[serde(default)]
    allow_older: bool,
    artifacts: Vec<ArtifactRequest>,
    /// Publishers' signatures, as minisign writes them.
    #[serde(default)]
    signatures: Vec<SignatureRequest>,
}

/// A signature over the release.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignatureRequest {
    /// The artifact whose bytes it covers; where absent the manifest, or the one artifact there is.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    target: Option<TargetName>,
    /// The signature file's text.
    signature: String,
}

/// A file of the release: an upload that is complete, and what its bytes have to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ArtifactRequest {
    #[schema(value_type = String, example = "x64/mpam-fe.exe")]
    target: TargetName,
    /// `any` where absent.
    #[serde(default = "Platform::any")]
    #[schema(value_type = Option<String>, example = "windows-x64")]
    platform: Platform,
    upload: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    blake3: Option<Blake3Digest>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    sha256: Option<Sha256Digest>,
}

impl ArtifactRequest {
    fn read(self) -> Result<NewArtifact, Problem> {
        let Self { target, platform, upload, size, blake3, sha256 } = self;
        let upload: UploadId = upload.parse().map_err(|why: &'static str| {
            Problem::with_detail(StatusCode::UNPROCESSABLE_ENTITY, format!("{target}: {why}"))
        })?;
        Ok(NewArtifact { declared: Declared { target, platform, size, blake3, sha256 }, upload })
    }
}

/// What an approver looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    /// The manifest digest; another one is refused.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    release: Option<ReleaseId>,
}

/// Why something is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    #[schema(value_type = String, example = "machines of vendor X do not boot")]
    pub(super) reason: Reason,
}

type OneRelease = (ProductName, Version);

/// Lists the releases of a product, newest first, and then the versions that the gates turned down.
#[utoipa::path(get, path = "/v1/products/{product}/releases", params(("product" = String, Path)),
    responses((status = 200, body = ReleasesAnswer), (status = 404, description = "no such product")))]
pub(super) async fn list(
    State(services): Services,
    InPath(product): InPath<ProductName>,
) -> Result<Json<ReleasesAnswer>, Problem> {
    let (snapshot, now) = (services.catalog.snapshot(), services.catalog.now());
    let releases = snapshot.product(&product).ok_or(ControlError::UnknownProduct(product))?;
    let refused = releases.refusals().iter().rev().map(|refusal| RefusedAnswer::new(&releases.product().name, refusal));
    let refused: Vec<_> = refused.map(AnyReleaseAnswer::Refused).collect();
    let releases = releases.releases().iter().rev();
    let releases = releases.map(|release| AnyReleaseAnswer::Release(Box::new(ReleaseAnswer::new(release, now))));
    Ok(Json(ReleasesAnswer { releases: releases.chain(refused).collect() }))
}

/// One release, or why the gates turned the version down (`state` is `refused`).
#[utoipa::path(get, path = "/v1/products/{product}/releases/{version}",
    params(("product" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = AnyReleaseAnswer), (status = 404, description = "no such release")))]
pub(super) async fn show(
    State(services): Services,
    InPath((product, version)): InPath<OneRelease>,
) -> Result<Json<AnyReleaseAnswer>, Problem> {
    let snapshot = services.catalog.snapshot();
    let releases = snapshot.product(&product).ok_or_else(|| ControlError::UnknownProduct(product.clone()))?;
    if let Some(release) = releases.by_version(&version) {
        let answer = ReleaseAnswer::new(release, services.catalog.now());
        return Ok(Json(AnyReleaseAnswer::Release(Box::new(answer))));
    }
    let refusal = releases.refusals().iter().find(|refusal| refusal.version == version);
    let refused = refusal.map(|refusal| RefusedAnswer::new(&product, refusal));
    let refused = refused.ok_or(ControlError::UnknownRelease { product, version })?;
    Ok(Json(AnyReleaseAnswer::Refused(refused)))
}

/// Publishes a release of completed uploads: all of its artifacts or nothing.
#[utoipa::path(post, path = "/v1/products/{product}/releases", params(("product" = String, Path)),
    request_body = ReleaseRequest, responses(
        (status = 201, body = ReleaseAnswer),
        (status = 200, description = "the very same release was there", body = ReleaseAnswer),
        (status = 404, description = "no such product or upload"),
        (status = 409, description = "the version exists with other content, or was withdrawn"),
        (status = 422, description = "a gate refuses it; `findings` and the detail name every finding"),
    ))]
pub(super) async fn publish(
    State(services): Services,
    person: Person,
    InPath(product): InPath<ProductName>,
    Sent(request): Sent<ReleaseRequest>,
) -> Result<(StatusCode, Json<ReleaseAnswer>), Problem> {
    let actor = person.on_product(&product)?;
    let ReleaseRequest { version, barrier, allow_older, artifacts, signatures } = request;
    let artifacts = artifacts.into_iter().map(ArtifactRequest::read).collect::<Result<_, _>>()?;
    let signature = |SignatureRequest { target, signature }| NewSignature { target, text: signature };
    let signatures = signatures.into_iter().map(signature).collect();
    let (is_barrier, is_older_allowed) = (barrier, allow_older);
    let release = NewRelease { product: product.clone(), version, is_barrier, is_older_allowed, artifacts, signatures };
    let published = services.publisher.publish(actor, release).await?;
    take_due_steps(&services).await;
    let now = services.catalog.now();
    Ok(match published.is_new {
        true => (StatusCode::CREATED, Json(ReleaseAnswer::new(&published.release, now))),
        false => (StatusCode::OK, Json(ReleaseAnswer::already_published(&published.release, now))),
    })
}

/// Approves a draft and publishes it.
#[utoipa::path(post, path = "/v1/products/{product}/releases/{version}/approve",
    params(("product" = String, Path), ("version" = String, Path)), request_body = Approval, responses(
        (status = 200, body = ReleaseAnswer),
        (status = 403, description = "the publisher may not approve it"),
        (status = 409, description = "it is another release, or withdrawn"),
    ))]
pub(super) async fn approve(
    State(services): Services,
    person: Person,
    InPath((product, version)): InPath<OneRelease>,
    Sent(approval): Sent<Approval>,
) -> Result<Json<ReleaseAnswer>, Problem> {
    let approved =
        approve_release(&services.catalog, person.on_product(&product)?, &product, &version, approval.release).await?;
    take_due_steps(&services).await;
    Ok(Json(ReleaseAnswer::new(&approved, services.catalog.now())))
}

/// Takes a release back for good.
#[utoipa::path(post, path = "/v1/products/{product}/releases/{version}/withdraw",
    params(("product" = String, Path), ("version" = String, Path)), request_body = Because,
    responses((status = 200, body = ReleaseAnswer), (status = 404, description = "no such release")))]
pub(super) async fn withdraw(
    State(services): Services,
    person: Person,
    InPath((product, version)): InPath<OneRelease>,
    Sent(because): Sent<Because>,
) -> Result<Json<ReleaseAnswer>, Problem> {
    let withdrawn =
        withdraw_release(&services.catalog, person.on_product(&product)?, &product, &version, because.reason).await?;
    Ok(Json(ReleaseAnswer::new(&withdrawn, services.catalog.now())))
}
