//! Policies: reading, checking, planning and applying them. Their texts travel as they are, not inside JSON, so that a
//! file and its lines stay what the admin wrote.

use axum::Json;
use axum::extract::State;
use http::header::IF_MATCH;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::extract::{InPath, SentText};
use crate::control::{ControlError, apply_policy};
use crate::model::AppliedPolicy;
use crate::model::policy::Finding;
use crate::policy::{PolicyPlan, plan_change};
use crate::serve::problem::Problem;
use crate::share::read_policy;

/// A policy that is or was in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyAnswer {
    seq: u64,
    #[schema(value_type = String, format = DateTime)]
    applied_at: Timestamp,
    applied_by: String,
    digest: String,
    /// The file as it was written; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Each rule as a sentence; not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sentences: Vec<String>,
}

impl PolicyAnswer {
    fn brief(applied: &AppliedPolicy) -> Self {
        Self {
            seq: applied.seq,
            applied_at: applied.applied.at,
            applied_by: applied.applied.by.to_string(),
            digest: applied.digest.to_hex(),
            text: None,
            sentences: Vec::new(),
        }
    }

    fn whole(applied: &AppliedPolicy) -> Self {
        // A text that this build no longer understands is shown nevertheless.
        let sentences = applied.policy().map(|policy| policy.sentences()).unwrap_or_default();
        Self { text: Some(applied.text.to_string()), sentences, ..Self::brief(applied) }
    }
}

/// Every policy ever applied, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PoliciesAnswer {
    policies: Vec<PolicyAnswer>,
}

/// What a policy text says, or what is wrong with it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CheckAnswer {
    sentences: Vec<String>,
    #[schema(value_type = Vec<Object>)]
    findings: Vec<Finding>,
}

/// What applying did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApplyAnswer {
    /// The number of the policy in force now.
    seq: u64,
    /// Whether it was another one before.
    changed: bool,
    /// What it changed, as planned against the state just before.
    #[schema(value_type = Object)]
    plan: PolicyPlan,
}

/// The policy in force.
#[utoipa::path(get, path = "/v1/policy",
    responses((status = 200, body = PolicyAnswer), (status = 404, description = "none was applied yet")))]
pub(super) async fn show(State(services): Services) -> Result<Json<PolicyAnswer>, Problem> {
    let snapshot = services.catalog.snapshot();
    let applied = snapshot.policies().last();
    let none =
        || Problem::with_detail(StatusCode::NOT_FOUND, "no policy was applied yet; `ringfence policy apply` does");
    applied.map(|applied| Json(PolicyAnswer::whole(applied))).ok_or_else(none)
}

/// Every policy ever applied.
#[utoipa::path(get, path = "/v1/policy/history", responses((status = 200, body = PoliciesAnswer)))]
pub(super) async fn history(State(services): Services) -> Json<PoliciesAnswer> {
    let policies = services.catalog.snapshot().policies().iter().map(PolicyAnswer::brief).collect();
    Json(PoliciesAnswer { policies })
}

/// One of them.
#[utoipa::path(get, path = "/v1/policy/history/{seq}", params(("seq" = u64, Path)),
    responses((status = 200, body = PolicyAnswer), (status = 404, description = "no such policy")))]
pub(super) async fn show_past(
    State(services): Services,
    InPath(seq): InPath<u64>,
) -> Result<Json<PolicyAnswer>, Problem> {
    let snapshot = services.catalog.snapshot();
    let applied = snapshot.policies().iter().find(|applied| applied.seq == seq);
    let applied = applied.ok_or(ControlError::UnknownId { what: "policy", id: seq })?;
    Ok(Json(PolicyAnswer::whole(applied)))
}

/// What a policy text says. Changes nothing; a wrong text is an answer like any other.
#[utoipa::path(post, path = "/v1/policy/check", request_body(content = String, content_type = "application/toml"),
    responses((status = 200, body = CheckAnswer)))]
pub(super) async fn check(SentText(text): SentText) -> Json<CheckAnswer> {
    Json(match read_policy(&text) {
        Ok(policy) => CheckAnswer { sentences: policy.sentences(), findings: Vec::new() },
        Err(error) => CheckAnswer { sentences: Vec::new(), findings: error.findings().to_vec() },
    })
}

/// Which devices would change group or version. Changes nothing.
#[utoipa::path(post, path = "/v1/policy/plan", request_body(content = String, content_type = "application/toml"),
    responses((status = 200, body = Object), (status = 422, description = "the text is wrong")))]
pub(super) async fn plan(State(services): Services, SentText(text): SentText) -> Result<Json<PolicyPlan>, Problem> {
    planned(services, text).await.map(Json)
}

/// Puts a policy in force. `If-Match` with the quoted number of the policy that the plan was made against (0 for none)
/// refuses if another is in force by now.
#[utoipa::path(post, path = "/v1/policy/apply", params(("If-Match" = Option<String>, Header)),
    request_body(content = String, content_type = "application/toml"), responses(
        (status = 200, body = ApplyAnswer),
        (status = 412, description = "another policy was applied in between"),
        (status = 422, description = "the text is wrong; the detail has every finding with its line"),
    ))]
pub(super) async fn apply(
    State(services): Services,
    person: Person,
    headers: HeaderMap,
    SentText(text): SentText,
) -> Result<Json<ApplyAnswer>, Problem> {
    let actor = person.on_everything()?;
    let expected = expected_policy(&headers)?;
    let plan = planned(services.clone(), text.clone()).await?;
    let done = apply_policy(&services.catalog, actor, text, expected).await?;
    Ok(Json(ApplyAnswer { seq: done.seq, changed: done.is_change, plan }))
}

/// A plan looks at every device: off the threads that serve.
async fn planned(services: std::sync::Arc<super::AdminServices>, text: String) -> Result<PolicyPlan, Problem> {
    let policy = read_policy(&text).map_err(ControlError::BadPolicy)?;
    let work = move || plan_change(&services.catalog.snapshot(), &policy, services.catalog.now());
    tokio::task::spawn_blocking(work).await.map_err(|error| super::refusals::failed(&error))
}

fn expected_policy(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    let bad = || Problem::with_detail(StatusCode::BAD_REQUEST, "If-Match has the number of a policy in quotes");
    number.map(Some).ok_or_else(bad)
}
