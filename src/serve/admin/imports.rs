//! Bundles into this server as an offline site: begun with the manifest, sent volume by volume, ended by one event.

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::AdminServices;
use super::access::{Action, Person, Services, may};
use super::extract::{InPath, InQuery};
use super::refusals::failed;
use crate::bundle::receipt::{About, Signer, give_receipt};
use crate::bundle::{
    Begun, Brought, Finished, ImportError, MANIFEST_MAX_BYTES, Needed, NeededSpan, NotBegun, Refused, Taken,
};
use crate::model::{Actor, Blake3Digest, BundleId, GivenReceipt, PublicKey, ReceiptOutcome, SiteName};
use crate::serve::problem::Problem;

/// A manifest as a text in JSON, where every quote takes two bytes, and what stands beside it.
const BEGIN_MAX_BYTES: usize = MANIFEST_MAX_BYTES + MANIFEST_MAX_BYTES / 2;

/// The two files of a bundle.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BeginBody {
    /// `BUNDLE.json`, byte for byte.
    manifest: String,
    /// `BUNDLE.sig`.
    signature: String,
    /// The origin's public key, where this server knows none yet; for admins.
    #[schema(value_type = Option<String>)]
    key: Option<PublicKey>,
    /// The site that this server is.
    #[schema(value_type = Option<String>)]
    site: Option<SiteName>,
    /// Whether a journal of the origin that was set back is accepted, because the origin was restored from a backup; for
    /// admins.
    #[serde(default)]
    origin_restored: bool,
}

/// What is to be done about a bundle, or what was.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct ImportAnswer {
    /// The bundle.
    bundle: String,
    /// Its place among the site's bundles.
    sequence: u64,
    /// `applied`: the site serves from it. `needed`: the pieces in `needed` are to be sent. `partial`: objects are missing,
    /// and nothing of it is visible.
    state: &'static str,
    /// Whether it was applied before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    already: bool,
    /// The root over what the site holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    /// Pieces of volumes to be sent first; then begin again: only they tell whether everything else fits.
    #[schema(value_type = Vec<Object>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    first: Vec<NeededSpan>,
    /// Pieces of volumes that are to be sent, each with `volume`, `offset` and `size`.
    #[schema(value_type = Vec<Object>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needed: Vec<NeededSpan>,
    /// How many objects are missing.
    missing_objects: u64,
    /// Their bytes.
    missing_bytes: u64,
    /// Their ids, at most 1,000, where the state is `partial`.
    #[schema(value_type = Vec<String>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Blake3Digest>,
    /// The receipt about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    receipt: Option<GivenReceipt>,
}

/// Where the sent bytes begin.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct FromOffset {
    /// In the volume's file.
    #[serde(default)]
    offset: u64,
}

/// Checks a bundle, and says what of it is needed. Again for an import that is under way, it says what is still needed.
#[utoipa::path(post, path = "/v1/site/imports", request_body = BeginBody, responses(
    (status = 200, body = ImportAnswer),
    (status = 403, description = "the first bundle, or a key, binds this server to an origin, and what a restored origin lost is given up: for an admin"),
    (status = 409, description = "it is for another site, expired, older, of another history, or builds on objects that are not here, which `missing` names; `receipt` is what the site tells its origin of a bundle that it can never take"),
    (status = 422, description = "it is not signed by this site's origin, or contradicts itself"),
    (status = 507, description = "there is too little room"),
))]
pub(super) async fn begin(
    State(services): Services,
    person: Person,
    request: Request,
) -> Result<Json<ImportAnswer>, Problem> {
    let actor = person.on_everything()?;
    let may_bind = may(person.role(), Action::Administer);
    let BeginBody { manifest, signature, key, site, origin_restored: accepts_restored } = read(request).await?;
    if key.is_some() && !may_bind {
        return Err(ImportError::NotYours("a key was given".to_owned()).into());
    }
    let brought = Brought { manifest, signature, key, site, may_bind, accepts_restored };
    match services.imports.begin(brought).await {
        Ok(Begun::Applied(finished)) => applied(&services, actor, finished).await,
        Ok(Begun::Needed(needed)) => Ok(Json(needed_answer(needed))),
        Err(NotBegun { error, refused }) => Err(told(&services, actor, error, refused.as_deref()).await),
    }
}

/// Takes bytes of a volume's file; objects that are here already are passed over, damaged ones are named.
#[utoipa::path(put, path = "/v1/site/imports/{bundle}/volumes/{volume}",
    params(("bundle" = String, Path), ("volume" = u32, Path), FromOffset),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
        (status = 200, body = Object, description = "`taken`, `damaged` (each with `blake3` and `why`), and `missing`: how many are still not here"),
        (status = 404, description = "no import of it is open, or it has no such volume"),
        (status = 503, description = "other volumes are being taken"),
    ))]
pub(super) async fn take(
    State(services): Services,
    person: Person,
    InPath((bundle, volume)): InPath<(BundleId, u32)>,
    InQuery(FromOffset { offset }): InQuery<FromOffset>,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    person.on_everything()?;
    Ok(Json(services.imports.take(&bundle, volume, offset, request.into_body()).await?))
}

/// Makes the bundle visible, if everything of it is here.
#[utoipa::path(post, path = "/v1/site/imports/{bundle}/finish", params(("bundle" = String, Path)), responses(
    (status = 200, body = ImportAnswer, description = "`applied`, or `partial` with what is missing"),
    (status = 404, description = "no import of it is open"),
    (status = 409, description = "another bundle came in between"),
))]
pub(super) async fn finish(
    State(services): Services,
    person: Person,
    InPath(bundle): InPath<BundleId>,
) -> Result<Json<ImportAnswer>, Problem> {
    let actor = person.on_everything()?;
    match services.imports.finish(&bundle, actor).await {
        Ok(finished) => applied(&services, actor, finished).await,
        Err(error @ ImportError::Partial { .. }) => partial(&services, actor, bundle, error).await,
        Err(error) => {
            let refused = services.imports.refused_at_end(&bundle, &error);
            Err(told(&services, actor, error, refused.as_ref()).await)
        }
    }
}

/// Gives an import up.
#[utoipa::path(delete, path = "/v1/site/imports/{bundle}", params(("bundle" = String, Path)),
    responses((status = 204), (status = 404, description = "no import of it is open")))]
pub(super) async fn abandon(
    State(services): Services,
    person: Person,
    InPath(bundle): InPath<BundleId>,
) -> Result<StatusCode, Problem> {
    person.on_everything()?;
    let gone = tokio::task::spawn_blocking(move || services.imports.abandon(&bundle)).await;
    if gone.map_err(|error| failed(&error))? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ImportError::NotOpen(bundle).into())
    }
}

async fn read(request: Request) -> Result<BeginBody, Problem> {
    let body = Limited::new(request.into_body(), BEGIN_MAX_BYTES).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let detail =
                format!("a manifest has at most {MANIFEST_MAX_BYTES} bytes: export the bundle for fewer groups");
            Problem::with_detail(StatusCode::PAYLOAD_TOO_LARGE, detail)
        } else {
            Problem::with_detail(StatusCode::REQUEST_TIMEOUT, "the body did not come whole")
        }
    })?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| {
        let detail = format!("the body is not the JSON that is expected here: {error}");
        Problem::with_detail(StatusCode::BAD_REQUEST, detail)
    })
}

fn needed_answer(needed: Needed) -> ImportAnswer {
    let Needed { bundle, sequence, first, spans, missing_objects, missing_bytes } = needed;
    ImportAnswer {
        bundle: bundle.to_string(),
        sequence,
        state: "needed",
        first,
        needed: spans,
        missing_objects,
        missing_bytes,
        ..ImportAnswer::default()
    }
}

async fn applied(services: &AdminServices, actor: &Actor, finished: Finished) -> Result<Json<ImportAnswer>, Problem> {
    let Finished { bundle, site, sequence, root, receipt, was_applied } = finished;
    // A server that was killed between the two events has the bundle, and no receipt about it.
    let is_about =
        |receipt: &GivenReceipt| receipt.bundle == Some(bundle) && receipt.outcome == ReceiptOutcome::Applied;
    let receipt = match (receipt.filter(is_about), site) {
        (Some(receipt), _) => Some(receipt),
        (None, Some(site)) => {
            let about = About::present(&services.catalog.snapshot());
            Some(give(services, actor, &site, about).await?)
        }
        (None, None) => None,
    };
    Ok(Json(ImportAnswer {
        bundle: bundle.to_string(),
        sequence,
        state: "applied",
        already: was_applied,
        root: root.map(|root| root.to_hex()),
        receipt,
        ..ImportAnswer::default()
    }))
}

async fn partial(
    services: &AdminServices,
    actor: &Actor,
    bundle: BundleId,
    error: ImportError,
) -> Result<Json<ImportAnswer>, Problem> {
    let why = error.to_string();
    let ImportError::Partial { missing, count } = error else { return Err(error.into()) };
    let Some((site, sequence)) = services.imports.site_of(&bundle) else {
        return Err(ImportError::NotOpen(bundle).into());
    };
    let about = About {
        bundle: Some(bundle),
        sequence,
        outcome: ReceiptOutcome::Partial,
        reasons: vec![why],
        missing: missing.iter().copied().collect(),
    };
    let receipt = give(services, actor, &site, about).await?;
    Ok(Json(ImportAnswer {
        bundle: bundle.to_string(),
        sequence,
        state: "partial",
        missing_objects: count,
        missing,
        receipt: Some(receipt),
        ..ImportAnswer::default()
    }))
}

/// The refusal, with the receipt that tells the origin of it. What keeps the receipt from being given does not take the
/// refusal's place.
async fn told(services: &AdminServices, actor: &Actor, error: ImportError, refused: Option<&Refused>) -> Problem {
    let why = error.to_string();
    let problem = Problem::from(error);
    let Some(refused) = refused else { return problem };
    let (key, keys) = (services.origin.key(), services.origin.document(&services.catalog.snapshot()));
    match services.imports.tell_refused(actor, refused, Signer { key: &key, keys: &keys }).await {
        Ok(Some(receipt)) => {
            tracing::warn!(receipt = receipt.number, why, "a bundle was refused");
            problem.with_receipt(receipt)
        }
        Ok(None) => problem,
        Err(error) => {
            tracing::error!(%error, why, "a bundle was refused, and no receipt of that can be given");
            problem
        }
    }
}

async fn give(services: &AdminServices, actor: &Actor, site: &SiteName, about: About) -> Result<GivenReceipt, Problem> {
    let (key, keys) = (services.origin.key(), services.origin.document(&services.catalog.snapshot()));
    let signer = Signer { key: &key, keys: &keys };
    let given = give_receipt(&services.catalog, actor, site, about, signer).await;
    Ok(given?.1)
}
