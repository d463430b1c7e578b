//! Going back, going faster, approving.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::look::{on_rollout, view_of};
use super::view::RolloutView;
use crate::control::rollouts::{
    NewExpedite, NewRollback, PlannedRollback, approve_rollout, expedite as ask, look_at_rollback, rollback as go_back,
};
use crate::model::{GroupName, ProductName, Reason, RolloutId, Version};
use crate::serve::admin::access::{Person, Services};
use crate::serve::admin::extract::{InPath, Sent};
use crate::serve::admin::steps::take_due_steps;
use crate::serve::problem::Problem;

/// A rollback to be begun.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve::admin) struct RollbackRequest {
    #[schema(value_type = String)]
    product: ProductName,
    /// The newest that any device can have got, where absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    from: Option<Version>,
    /// The newest that is known to be good, where absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    to: Option<Version>,
    /// All, where empty.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    groups: BTreeSet<GroupName>,
    #[schema(value_type = String)]
    reason: Reason,
    /// How many devices it touches, as the answer to a preview says; needed above the plan's blast limit.
    #[serde(default)]
    confirm_devices: Option<u64>,
    /// Whether only to say what it would do.
    #[serde(default)]
    preview: bool,
}

/// What a rollback does, or would do.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve::admin) struct RollbackAnswer {
    product: String,
    from: String,
    to: String,
    /// How many devices it touches.
    devices: u64,
    /// Above how many the number must be confirmed.
    blast_limit: u64,
    /// What clients will ignore.
    warnings: Vec<String>,
    /// The rollback; absent in a preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<RolloutView>,
}

/// An emergency to be asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve::admin) struct ExpediteRequest {
    #[schema(value_type = String)]
    product: ProductName,
    #[schema(value_type = String)]
    version: Version,
    /// Why this is an emergency.
    #[schema(value_type = String)]
    criteria: Reason,
    /// The groups whose pin it beats.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pinned_groups: BTreeSet<GroupName>,
}

/// An approval: there is nothing to say beside it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve::admin) struct ApprovalRequest {}

/// Goes back from a release to an earlier one.
#[utoipa::path(post, path = "/v1/rollouts/rollback", request_body = RollbackRequest, responses(
    (status = 201, body = RollbackAnswer),
    (status = 200, description = "a preview: nothing was changed", body = RollbackAnswer),
    (status = 404, description = "no such product or release"),
    (status = 409, description = "there is nothing to go back from, or to"),
    (status = 412, description = "it touches more devices than the limit; the detail says how many to confirm"),
    (status = 422, description = "the version named cannot be gone back to, or no such group"),
))]
pub(in crate::serve::admin) async fn rollback(
    State(services): Services,
    person: Person,
    Sent(request): Sent<RollbackRequest>,
) -> Result<(StatusCode, Json<RollbackAnswer>), Problem> {
    let RollbackRequest { product, from, to, groups, reason, confirm_devices, preview } = request;
    let actor = person.on_product_and_groups(&product, &groups)?;
    let name = product.to_string();
    let asked = NewRollback { product, from, to, groups, reason, confirm_devices };
    let (status, planned) = match preview {
        true => (StatusCode::OK, look_at_rollback(&services.catalog, &asked).await?),
        false => (StatusCode::CREATED, go_back(&services.catalog, actor, asked).await?),
    };
    take_due_steps(&services).await;
    let PlannedRollback { from, to, devices, blast_limit, warnings, rollout } = planned;
    let rollout = rollout.map(|rollout| view_of(&services, rollout.id)).transpose()?;
    let (from, to) = (from.version().to_string(), to.version().to_string());
    Ok((status, Json(RollbackAnswer { product: name, from, to, devices, blast_limit, warnings, rollout })))
}

/// Asks for an emergency rollout; nothing is exposed before enough people have approved it.
#[utoipa::path(post, path = "/v1/rollouts/expedite", request_body = ExpediteRequest, responses(
    (status = 201, body = RolloutView),
    (status = 404, description = "no such product or release"),
    (status = 409, description = "it is not published, halted, or asked for already"),
    (status = 422, description = "the policy has no emergency plan, or the criteria say too little"),
))]
pub(in crate::serve::admin) async fn expedite(
    State(services): Services,
    person: Person,
    Sent(request): Sent<ExpediteRequest>,
) -> Result<(StatusCode, Json<RolloutView>), Problem> {
    let ExpediteRequest { product, version, criteria, pinned_groups } = request;
    // It goes to all rings, and so to all groups.
    let actor = person.on_product_and_groups(&product, &BTreeSet::new())?;
    let asked = NewExpedite { product, version, criteria, pinned_groups };
    let rollout = ask(&services.catalog, actor, asked).await?;
    Ok((StatusCode::CREATED, Json(view_of(&services, rollout.id)?)))
}

/// Approves an emergency, or a rollback that the policy wants approved; with the last approval that is needed it starts.
#[utoipa::path(post, path = "/v1/rollouts/{id}/approve", params(("id" = u64, Path)), request_body = ApprovalRequest,
    responses(
        (status = 200, body = RolloutView),
        (status = 403, description = "not among its approvers, or its author"),
        (status = 404, description = "no such rollout"),
        (status = 409, description = "approved by the same person before, or its time is up"),
    ))]
pub(in crate::serve::admin) async fn approve(
    State(services): Services,
    person: Person,
    InPath(id): InPath<RolloutId>,
    Sent(ApprovalRequest {}): Sent<ApprovalRequest>,
) -> Result<Json<RolloutView>, Problem> {
    approve_rollout(&services.catalog, on_rollout(&services, &person, id)?, id).await?;
    take_due_steps(&services).await;
    view_of(&services, id).map(Json)
}
