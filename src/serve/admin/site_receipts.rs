//! The receipts that this server gives as an offline site.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminServices;
use super::access::{Person, Services};
use crate::bundle::receipt::{About, Receipt, ShortReceipt, Signer, give_receipt};
use crate::model::{GivenReceipt, ReceiptId, ReceiptOutcome, SiteName};
use crate::serve::problem::Problem;

/// A receipt, in all of its forms.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GivenAnswer {
    #[schema(value_type = String)]
    site: SiteName,
    #[schema(value_type = String)]
    receipt: ReceiptId,
    number: u64,
    #[schema(value_type = String)]
    outcome: ReceiptOutcome,
    /// The name of its files, without .json and .sig.
    file_name: String,
    /// What is in RECEIPT-….json.
    text: String,
    /// What is in RECEIPT-….sig.
    signature: String,
    /// The receipt for people, a line each.
    words: Vec<String>,
    /// The short form for a QR code: it moves the base of the next bundle, and has no tallies.
    short: String,
    /// The short form for typing.
    typed: String,
}

/// Makes a receipt of what this offline site serves and holds now, and of the import that is open or was refused.
#[utoipa::path(post, path = "/v1/site/receipts", responses(
    (status = 201, body = GivenAnswer),
    (status = 409, description = "this server is no offline site"),
))]
pub(super) async fn give(
    State(services): Services,
    person: Person,
) -> Result<(StatusCode, Json<GivenAnswer>), Problem> {
    let actor = person.on_everything()?;
    let snapshot = services.catalog.snapshot();
    let known = snapshot.own_site().map(|own| own.name.clone()).or_else(|| services.imports.site_name().cloned());
    let (site, about) = match (services.imports.unfinished(), known) {
        (Some((site, about)), _) => (site, about),
        (None, Some(site)) => (site, About::present(&snapshot)),
        (None, None) => {
            let detail =
                "this server is no offline site: it has imported no bundle, and its configuration has no site.name";
            return Err(Problem::with_detail(StatusCode::CONFLICT, detail));
        }
    };
    let (key, keys) = (services.origin.key(), services.origin.document(&snapshot));
    let signer = Signer { key: &key, keys: &keys };
    let (receipt, given) = give_receipt(&services.catalog, actor, &site, about, signer).await?;
    Ok((StatusCode::CREATED, Json(answer(&services, &receipt, given))))
}

/// Shows the last receipt that this offline site gave.
#[utoipa::path(get, path = "/v1/site/receipts/latest", responses(
    (status = 200, body = GivenAnswer),
    (status = 404, description = "it gave none"),
))]
pub(super) async fn latest(State(services): Services) -> Result<Json<GivenAnswer>, Problem> {
    let snapshot = services.catalog.snapshot();
    let given = snapshot.own_site().and_then(|own| own.receipt.clone());
    let none = || Problem::with_detail(StatusCode::NOT_FOUND, "this server has given no receipt as an offline site");
    let given = given.ok_or_else(none)?;
    let (receipt, _) = Receipt::parse(&given.text).map_err(|error| super::refusals::failed(&error))?;
    Ok(Json(answer(&services, &receipt, given)))
}

fn answer(services: &AdminServices, receipt: &Receipt, given: GivenReceipt) -> GivenAnswer {
    let key = services.origin.key();
    let short = ShortReceipt::of(receipt, given.receipt, key.public().id).sign(&key);
    GivenAnswer {
        site: receipt.site.clone(),
        receipt: given.receipt,
        number: receipt.number,
        outcome: receipt.outcome,
        file_name: receipt.file_name(),
        words: receipt.words(given.receipt),
        text: given.text,
        signature: given.signature,
        short: short.code(),
        typed: short.typed(),
    }
}
