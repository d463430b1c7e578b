//! Holds: withholding.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{Person, Services};
use super::extract::{InPath, InQuery, Sent};
use super::releases::Because;
use crate::control::{ControlError, NewHold, add_hold, lift_hold};
use crate::model::policy::Predicate;
use crate::model::{GroupName, Hold, HoldId, HoldScope, ProductName, Reason, RingName, Version};
use crate::serve::problem::Problem;

/// Which holds to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Those that have ended, too.
    #[serde(default)]
    all: bool,
}

/// A hold to be added. At most one of `group`, `ring` and `devices`; none means everyone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldRequest {
    #[schema(value_type = String)]
    product: ProductName,
    /// The whole product, releases to come included, where absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    version: Option<Version>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    group: Option<GroupName>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    ring: Option<RingName>,
    /// A predicate as in the policy, for example `{"id": "dc-*"}`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    devices: Option<Predicate>,
    #[schema(value_type = String)]
    reason: Reason,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Holds, in order of id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HoldsAnswer {
    #[schema(value_type = Vec<Object>)]
    holds: Vec<Hold>,
}

/// Lists holds.
#[utoipa::path(get, path = "/v1/holds", params(Which), responses((status = 200, body = HoldsAnswer)))]
pub(super) async fn list(State(services): Services, InQuery(which): InQuery<Which>) -> Json<HoldsAnswer> {
    let (snapshot, now) = (services.catalog.snapshot(), services.catalog.now());
    let wanted = snapshot.holds().filter(|hold| which.all || hold.is_active_at(now));
    Json(HoldsAnswer { holds: wanted.map(|hold| Hold::clone(hold)).collect() })
}

/// Withholds a release or a product.
#[utoipa::path(post, path = "/v1/holds", request_body = HoldRequest, responses(
    (status = 201, body = Object),
    (status = 404, description = "no such product or release"),
    (status = 422, description = "no such group or ring, or it would end in the past"),
))]
pub(super) async fn add(
    State(services): Services,
    person: Person,
    Sent(request): Sent<HoldRequest>,
) -> Result<(StatusCode, Json<Hold>), Problem> {
    let HoldRequest { product, version, group, ring, devices, reason, expires_at } = request;
    let scope = match (group, ring, devices) {
        (None, None, None) => HoldScope::Everyone,
        (Some(group), None, None) => HoldScope::Group(group),
        (None, Some(ring), None) => HoldScope::Ring(ring),
        (None, None, Some(devices)) => HoldScope::Devices(devices),
        _ => {
            let detail = "at most one of group, ring and devices says from whom";
            return Err(Problem::with_detail(StatusCode::UNPROCESSABLE_ENTITY, detail));
        }
    };
    let actor = person.on_hold(&product, &scope)?;
    let hold = NewHold { product, version, scope, reason, expires_at };
    let hold = add_hold(&services.catalog, actor, hold).await?;
    Ok((StatusCode::CREATED, Json(Hold::clone(&hold))))
}

/// Ends a hold.
#[utoipa::path(post, path = "/v1/holds/{id}/lift", params(("id" = u64, Path)), request_body = Because, responses(
    (status = 200, body = Object),
    (status = 404, description = "no such hold"),
    (status = 409, description = "it has ended"),
))]
pub(super) async fn lift(
    State(services): Services,
    person: Person,
    InPath(id): InPath<HoldId>,
    Sent(because): Sent<Because>,
) -> Result<Json<Hold>, Problem> {
    let snapshot = services.catalog.snapshot();
    let hold = snapshot.hold(id).ok_or(ControlError::UnknownId { what: "hold", id })?;
    let actor = person.on_hold(&hold.product, &hold.scope)?;
    let hold = lift_hold(&services.catalog, actor, id, because.reason).await?;
    Ok(Json(Hold::clone(&hold)))
}
