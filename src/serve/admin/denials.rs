//! Devices that get nothing, whatever they prove.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::extract::{InPath, Sent};
use super::releases::Because;
use crate::control::{allow_device, deny_device};
use crate::model::{Denial, DeviceId};
use crate::serve::problem::Problem;

/// The devices that are denied now, in order of id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DenialsAnswer {
    #[schema(value_type = Vec<Object>)]
    denials: Vec<Denial>,
}

/// A device that may come again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AllowedAnswer {
    #[schema(value_type = String)]
    device: DeviceId,
    /// Always true.
    allowed: bool,
}

/// Lists the devices that are denied.
#[utoipa::path(get, path = "/v1/denials", responses((status = 200, body = DenialsAnswer)))]
pub(super) async fn list(State(services): Services) -> Json<DenialsAnswer> {
    let denials = services.catalog.snapshot().denials().map(|denial| Denial::clone(denial)).collect();
    Json(DenialsAnswer { denials })
}

/// Denies a device everything from its next request on, whatever credential it comes with. It need not be in the
/// inventory.
#[utoipa::path(post, path = "/v1/devices/{id}/deny", params(("id" = String, Path)), request_body = Because,
    responses((status = 200, body = Object)))]
pub(super) async fn deny(
    State(services): Services,
    person: Person,
    InPath(device): InPath<DeviceId>,
    Sent(because): Sent<Because>,
) -> Result<Json<Denial>, Problem> {
    let actor = person.on_device(&services.catalog, &device)?;
    let denial = deny_device(&services.catalog, actor, device, because.reason).await?;
    Ok(Json(Denial::clone(&denial)))
}

/// Lets a denied device in again.
#[utoipa::path(post, path = "/v1/devices/{id}/allow", params(("id" = String, Path)), request_body = Because, responses(
    (status = 200, body = AllowedAnswer),
    (status = 409, description = "it is not denied"),
))]
pub(super) async fn allow(
    State(services): Services,
    person: Person,
    InPath(device): InPath<DeviceId>,
    Sent(because): Sent<Because>,
) -> Result<Json<AllowedAnswer>, Problem> {
    let actor = person.on_device(&services.catalog, &device)?;
    allow_device(&services.catalog, actor, &device, because.reason).await?;
    Ok(Json(AllowedAnswer { device, allowed: true }))
}
