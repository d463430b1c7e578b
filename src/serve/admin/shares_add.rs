//! Adding a share: one more table at the end of the policy in force, so that the policy stays the one truth.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::extract::Sent;
use super::refusals::failed;
use super::shares::{ShareFilesAnswer, off_thread, one};
use crate::control::apply_policy;
use crate::model::{AppliedPolicy, GroupName, LayoutName, Platform, ProductName, Reason, ShareName};
use crate::serve::problem::Problem;

/// A share to be added.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShareRequest {
    #[schema(value_type = String)]
    name: ShareName,
    /// The group whose decisions it takes.
    #[schema(value_type = String)]
    group: GroupName,
    /// How its files are arranged.
    #[schema(value_type = String)]
    layout: LayoutName,
    #[schema(value_type = Vec<String>)]
    products: Vec<ProductName>,
    /// The platforms that it must serve; whatever the releases have where absent.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    platforms: Option<Vec<Platform>>,
    /// Who may read it over HTTP: `anyone`, `devices`, `group`, address ranges; the devices of its group where absent.
    #[serde(default)]
    open_to: Option<Vec<String>>,
    /// Whether its folders can be listed over HTTP.
    #[serde(default)]
    listing: bool,
    /// Written as a comment above the table.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    reason: Option<Reason>,
}

/// The table as the policy spells it.
#[derive(Serialize)]
struct Table<'a> {
    name: &'a ShareName,
    group: &'a GroupName,
    layout: &'a LayoutName,
    products: &'a [ProductName],
    #[serde(skip_serializing_if = "Option::is_none")]
    platforms: Option<&'a [Platform]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_to: Option<&'a [String]>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    listing: bool,
}

#[derive(Serialize)]
struct Appended<'a> {
    share: [Table<'a>; 1],
}

/// Adds a share to the policy in force and applies it.
#[utoipa::path(post, path = "/v1/shares", request_body = ShareRequest, responses(
    (status = 201, body = ShareFilesAnswer),
    (status = 409, description = "there is a share of that name, or no policy yet"),
    (status = 412, description = "another policy was applied in between"),
    (status = 422, description = "the policy cannot have it; the detail has every finding with its line"),
))]
pub(super) async fn add(
    State(services): Services,
    person: Person,
    Sent(request): Sent<ShareRequest>,
) -> Result<(StatusCode, Json<ShareFilesAnswer>), Problem> {
    let actor = person.on_share(&request.group, &request.products)?;
    let snapshot = services.catalog.snapshot();
    let in_force = snapshot.policies().last().ok_or_else(|| {
        let detail =
            "no policy was applied yet, so there is no group to show anything to; `ringfence policy apply` does";
        Problem::with_detail(StatusCode::CONFLICT, detail)
    })?;
    let is_there = in_force.policy().is_ok_and(|policy| policy.share(&request.name).is_some());
    if is_there {
        let detail = format!("there is a share {} already; change it with `ringfence policy apply`", request.name);
        return Err(Problem::with_detail(StatusCode::CONFLICT, detail));
    }
    let text = with_share(in_force, &request).map_err(|error| failed(&error))?;
    apply_policy(&services.catalog, actor, text, Some(in_force.seq)).await?;
    let answer = off_thread(move || one(&services, &request.name)).await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

/// The text of the policy with one more table behind it.
fn with_share(policy: &AppliedPolicy, request: &ShareRequest) -> Result<String, toml::ser::Error> {
    let ShareRequest { name, group, layout, products, platforms, open_to, listing, reason } = request;
    let table = Table {
        name,
        group,
        layout,
        products,
        platforms: platforms.as_deref(),
        open_to: open_to.as_deref(),
        listing: *listing,
    };
    let table = toml::to_string(&Appended { share: [table] })?;
    // A reason is one line without control characters, which is what a comment may hold.
    let comment = reason.as_ref().map(|reason| format!("# {reason}\n")).unwrap_or_default();
    Ok(format!("{}\n\n{comment}{table}", policy.text.trim_end()))
}
