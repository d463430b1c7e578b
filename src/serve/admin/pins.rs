//! Pins: one group kept at one version.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::extract::{InPath, Sent};
use super::releases::Because;
use crate::control::{ControlError, NewPin, add_pin, remove_pin};
use crate::model::{GroupName, Pin, PinId, ProductName, Reason, Version};
use crate::serve::problem::Problem;

/// A pin to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PinRequest {
    #[schema(value_type = String)]
    group: GroupName,
    #[schema(value_type = String)]
    product: ProductName,
    #[schema(value_type = String)]
    version: Version,
    #[schema(value_type = String)]
    reason: Reason,
}

/// Pins in force, in order of id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PinsAnswer {
    #[schema(value_type = Vec<Object>)]
    pins: Vec<Pin>,
}

/// Lists the pins in force. Those that the policy's text carries are in the policy.
#[utoipa::path(get, path = "/v1/pins", responses((status = 200, body = PinsAnswer)))]
pub(super) async fn list(State(services): Services) -> Json<PinsAnswer> {
    let (snapshot, now) = (services.catalog.snapshot(), services.catalog.now());
    let pins = snapshot.pins().filter(|pin| pin.is_active_at(now)).map(|pin| Pin::clone(pin)).collect();
    Json(PinsAnswer { pins })
}

/// Keeps a group at a version.
#[utoipa::path(post, path = "/v1/pins", request_body = PinRequest, responses(
    (status = 201, body = Object),
    (status = 404, description = "no such product or release"),
    (status = 422, description = "no such group"),
))]
pub(super) async fn add(
    State(services): Services,
    person: Person,
    Sent(request): Sent<PinRequest>,
) -> Result<(StatusCode, Json<Pin>), Problem> {
    let PinRequest { group, product, version, reason } = request;
    let actor = person.on_product_and_groups(&product, &BTreeSet::from([group.clone()]))?;
    let pin = add_pin(&services.catalog, actor, NewPin { group, product, version, reason }).await?;
    Ok((StatusCode::CREATED, Json(Pin::clone(&pin))))
}

/// Ends a pin.
#[utoipa::path(post, path = "/v1/pins/{id}/remove", params(("id" = u64, Path)), request_body = Because, responses(
    (status = 200, body = Object),
    (status = 404, description = "no such pin"),
    (status = 409, description = "it has ended"),
))]
pub(super) async fn remove(
    State(services): Services,
    person: Person,
    InPath(id): InPath<PinId>,
    Sent(because): Sent<Because>,
) -> Result<Json<Pin>, Problem> {
    let snapshot = services.catalog.snapshot();
    let pin = snapshot.pin(id).ok_or(ControlError::UnknownId { what: "pin", id })?;
    let actor = person.on_product_and_groups(&pin.product, &BTreeSet::from([pin.group.clone()]))?;
    let pin = remove_pin(&services.catalog, actor, id, because.reason).await?;
    Ok(Json(Pin::clone(&pin)))
}
