//! Receipts of offline sites, as they are carried to their origin.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::extract::Sent;
use super::steps::take_due_steps;
use crate::bundle::receive::{Carried, Told, take_receipt};
use crate::model::{BundleId, PublicKey, ReceiptId, ReceiptOutcome, SiteName};
use crate::serve::problem::Problem;

/// A receipt: either its text and signature, or its short form.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptRequest {
    /// The text of RECEIPT-….json.
    #[serde(default)]
    text: Option<String>,
    /// The text of RECEIPT-….sig.
    #[serde(default)]
    signature: Option<String>,
    /// What the QR code has, or what was typed: it begins with RF1.
    #[serde(default)]
    short: Option<String>,
    /// The site's public key, where it is not known yet or was replaced.
    #[serde(default)]
    key: Option<String>,
}

/// A bundle by its id and its place among the site's.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlacedBundle {
    #[schema(value_type = String)]
    pub(super) bundle: BundleId,
    pub(super) sequence: u64,
}

/// What became of a receipt.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TakenAnswer {
    #[schema(value_type = String)]
    site: SiteName,
    #[schema(value_type = String)]
    receipt: ReceiptId,
    number: u64,
    /// Whether it was not known before.
    is_new: bool,
    #[schema(value_type = String)]
    outcome: ReceiptOutcome,
    /// Why it was not applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    /// The bundle that it is about.
    about: Option<PlacedBundle>,
    /// The bundle that the site has proven to hold; the next one starts from it.
    acknowledged: Option<PlacedBundle>,
    /// Why the next bundle has to be a full one.
    astray: Option<String>,
    /// What a person should know besides.
    notes: Vec<String>,
    /// The site's key.
    #[schema(value_type = String)]
    key: PublicKey,
}

impl From<Told> for TakenAnswer {
    fn from(told: Told) -> Self {
        let placed =
            |bundle: Option<(BundleId, u64)>| bundle.map(|(bundle, sequence)| PlacedBundle { bundle, sequence });
        let Told { site, receipt, number, is_new, outcome, reasons, bundle, proven, astray, notes, key } = told;
        let (about, acknowledged) = (placed(bundle), placed(proven));
        Self { site, receipt, number, is_new, outcome, reasons, about, acknowledged, astray, notes, key }
    }
}

/// Takes a receipt of an offline site: the next bundle for it starts from what it proves, and its tallies reach the
/// gates.
#[utoipa::path(post, path = "/v1/receipts", request_body = ReceiptRequest, responses(
    (status = 200, body = TakenAnswer),
    (status = 404, description = "no such site"),
    (status = 409, description = "an older one, or signed by another key"),
    (status = 422, description = "it is no receipt, or its signature is not good"),
))]
pub(super) async fn take(
    State(services): Services,
    person: Person,
    Sent(request): Sent<ReceiptRequest>,
) -> Result<Json<TakenAnswer>, Problem> {
    let actor = person.on_everything()?;
    let unfit = |detail: String| Problem::with_detail(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let ReceiptRequest { text, signature, short, key } = request;
    let carried = match (text, signature, short) {
        (Some(text), Some(signature), None) => Carried::whole(text, signature)?,
        (None, None, Some(short)) => Carried::short(&short)?,
        _ => return Err(unfit("send either text and signature, or short".to_owned())),
    };
    let key = key.map(|key| PublicKey::parse(&key)).transpose().map_err(|error| unfit(error.to_string()))?;
    let told = take_receipt(&services.catalog, actor, carried, key).await?;
    log(&told);
    take_due_steps(&services).await;
    Ok(Json(told.into()))
}

fn log(told: &Told) {
    let (site, number) = (&told.site, told.number);
    for note in told.notes.iter().filter(|_| told.is_new) {
        tracing::warn!(%site, number, note, "a receipt was taken, and there is something to know");
    }
    if let Some(astray) = told.astray.as_ref().filter(|_| told.is_new) {
        tracing::error!(%site, number, astray, "the next bundle of this site has to be a full one");
    }
}
