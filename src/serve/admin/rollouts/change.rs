//! Starting, steering, signalling, resetting.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::look::{on_rollout, view_of};
use super::view::RolloutView;
use crate::control::rollouts::{
    halt_rollout, pause_rollout, promote_rollout, reset_product, resume_rollout, signal_rollout, start_rollout,
};
use crate::model::{Freeze, GateSignal, ProductName, Reason, RolloutId, Version};
use crate::serve::admin::access::{Person, Services};
use crate::serve::admin::extract::{InPath, Sent};
use crate::serve::admin::releases::Because;
use crate::serve::admin::steps::take_due_steps;
use crate::serve::problem::Problem;

/// The rollout of a release, to be started.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve::admin) struct StartRequest {
    #[schema(value_type = String)]
    product: ProductName,
    #[schema(value_type = String)]
    version: Version,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    reason: Option<Reason>,
}

/// What a monitoring system or an incident says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve::admin) struct SignalRequest {
    /// `pass` or `fail`.
    #[schema(value_type = String, example = "fail")]
    signal: GateSignal,
    /// Which system or incident.
    #[schema(example = "INC-4711")]
    source: String,
    #[schema(value_type = String)]
    reason: Reason,
}

/// A freeze that has ended.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve::admin) struct ResetAnswer {
    product: String,
    #[schema(value_type = Object)]
    freeze: FreezeView,
}

#[derive(Debug, Serialize)]
struct FreezeView {
    id: u64,
    at: jiff::Timestamp,
    reason: String,
}

/// Starts the rollout of a release that waits for a person, or begins one anew.
#[utoipa::path(post, path = "/v1/rollouts", request_body = StartRequest, responses(
    (status = 201, body = RolloutView),
    (status = 404, description = "no such product or release"),
    (status = 409, description = "it runs already, is not published, or the product is frozen"),
    (status = 422, description = "the policy has no plan for its class"),
))]
pub(in crate::serve::admin) async fn start(
    State(services): Services,
    person: Person,
    Sent(request): Sent<StartRequest>,
) -> Result<(StatusCode, Json<RolloutView>), Problem> {
    let StartRequest { product, version, reason } = request;
    let rollout = start_rollout(&services.catalog, person.on_product(&product)?, &product, &version, reason).await?;
    take_due_steps(&services).await;
    Ok((StatusCode::CREATED, Json(view_of(&services, rollout.id)?)))
}

/// Admits no further device until it is resumed.
#[utoipa::path(post, path = "/v1/rollouts/{id}/pause", params(("id" = u64, Path)), request_body = Because, responses(
    (status = 200, body = RolloutView),
    (status = 404, description = "no such rollout"),
    (status = 409, description = "there is nothing to pause"),
))]
pub(in crate::serve::admin) async fn pause(
    State(services): Services,
    person: Person,
    InPath(id): InPath<RolloutId>,
    Sent(because): Sent<Because>,
) -> Result<Json<RolloutView>, Problem> {
    pause_rollout(&services.catalog, on_rollout(&services, &person, id)?, id, because.reason).await?;
    view_of(&services, id).map(Json)
}

/// Lets it go on after a pause, or after a halt that was a false alarm.
#[utoipa::path(post, path = "/v1/rollouts/{id}/resume", params(("id" = u64, Path)), request_body = Because, responses(
    (status = 200, body = RolloutView),
    (status = 404, description = "no such rollout"),
    (status = 409, description = "it is neither paused nor halted"),
))]
pub(in crate::serve::admin) async fn resume(
    State(services): Services,
    person: Person,
    InPath(id): InPath<RolloutId>,
    Sent(because): Sent<Because>,
) -> Result<Json<RolloutView>, Problem> {
    resume_rollout(&services.catalog, on_rollout(&services, &person, id)?, id, because.reason).await?;
    take_due_steps(&services).await;
    view_of(&services, id).map(Json)
}

/// Takes the release away from everyone who does not have it, at once.
#[utoipa::path(post, path = "/v1/rollouts/{id}/halt", params(("id" = u64, Path)), request_body = Because, responses(
    (status = 200, body = RolloutView),
    (status = 404, description = "no such rollout"),
    (status = 409, description = "it is halted or over"),
))]
pub(in crate::serve::admin) async fn halt(
    State(services): Services,
    person: Person,
    InPath(id): InPath<RolloutId>,
    Sent(because): Sent<Because>,
) -> Result<Json<RolloutView>, Problem> {
    halt_rollout(&services.catalog, on_rollout(&services, &person, id)?, id, because.reason).await?;
    view_of(&services, id).map(Json)
}

/// Passes the open wave now and opens what comes next.
#[utoipa::path(post, path = "/v1/rollouts/{id}/promote", params(("id" = u64, Path)), request_body = Because, responses(
    (status = 200, body = RolloutView),
    (status = 404, description = "no such rollout"),
    (status = 409, description = "it is stopped, waits for approval, or is over"),
))]
pub(in crate::serve::admin) async fn promote(
    State(services): Services,
    person: Person,
    InPath(id): InPath<RolloutId>,
    Sent(because): Sent<Because>,
) -> Result<Json<RolloutView>, Problem> {
    promote_rollout(&services.catalog, on_rollout(&services, &person, id)?, id, because.reason).await?;
    take_due_steps(&services).await;
    view_of(&services, id).map(Json)
}

/// Lets a monitoring system or an incident pass or fail the open wave's gate; a failure halts at once.
#[utoipa::path(post, path = "/v1/rollouts/{id}/signal", params(("id" = u64, Path)), request_body = SignalRequest,
    responses(
        (status = 200, body = RolloutView),
        (status = 404, description = "no such rollout"),
        (status = 409, description = "nothing of it is open, it has no gate, or it is over"),
    ))]
pub(in crate::serve::admin) async fn signal(
    State(services): Services,
    person: Person,
    InPath(id): InPath<RolloutId>,
    Sent(request): Sent<SignalRequest>,
) -> Result<Json<RolloutView>, Problem> {
    let SignalRequest { signal, source, reason } = request;
    signal_rollout(&services.catalog, on_rollout(&services, &person, id)?, id, (signal, source), reason).await?;
    take_due_steps(&services).await;
    view_of(&services, id).map(Json)
}

/// Ends the freeze of a product.
#[utoipa::path(post, path = "/v1/products/{product}/reset", params(("product" = String, Path)), request_body = Because,
    responses(
        (status = 200, body = ResetAnswer),
        (status = 404, description = "no such product"),
        (status = 409, description = "it is not frozen"),
    ))]
pub(in crate::serve::admin) async fn reset(
    State(services): Services,
    person: Person,
    InPath(product): InPath<ProductName>,
    Sent(because): Sent<Because>,
) -> Result<Json<ResetAnswer>, Problem> {
    let freeze = reset_product(&services.catalog, person.on_product(&product)?, &product, because.reason).await?;
    take_due_steps(&services).await;
    let Freeze { id, frozen, reason, .. } = freeze.as_ref();
    let freeze = FreezeView { id: *id, at: frozen.at, reason: reason.to_string() };
    Ok(Json(ResetAnswer { product: product.to_string(), freeze }))
}
