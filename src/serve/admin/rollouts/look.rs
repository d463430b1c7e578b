//! Looking at rollouts.

use axum::Json;
use axum::extract::State;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::timeline as story;
use super::view::RolloutView;
use crate::control::ControlError;
use crate::control::rollouts::find_rollout;
use crate::model::{Actor, ProductName, RolloutId};
use crate::policy::rollout::standing;
use crate::serve::admin::access::{Person, Services};
use crate::serve::admin::extract::{InPath, InQuery};
use crate::serve::problem::Problem;

/// Which rollouts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::serve::admin) struct Which {
    /// Only this product's.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    product: Option<ProductName>,
    /// `live`, those that still move or can be made to; or `all`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    state: Lives,
}

/// Whether those that are over are wanted, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Lives {
    #[default]
    Live,
    All,
}

/// Rollouts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve::admin) struct RolloutsAnswer {
    rollouts: Vec<RolloutView>,
}

/// Lists rollouts.
#[utoipa::path(get, path = "/v1/rollouts", params(Which),
    responses((status = 200, body = RolloutsAnswer), (status = 404, description = "no such product")))]
pub(in crate::serve::admin) async fn list(
    State(services): Services,
    InQuery(which): InQuery<Which>,
) -> Result<Json<RolloutsAnswer>, Problem> {
    let (snapshot, now) = (services.catalog.snapshot(), services.catalog.now());
    if let Some(product) = which.product.as_ref().filter(|product| snapshot.product(product).is_none()) {
        return Err(ControlError::UnknownProduct(product.clone()).into());
    }
    let products = snapshot
        .products()
        .filter(|product| which.product.as_ref().is_none_or(|wanted| *wanted == product.product().name));
    let mut wanted: Vec<_> = products
        .flat_map(|product| product.rollouts().iter().map(move |rollout| (product, rollout)))
        .filter(|(product, rollout)| match which.state {
            Lives::All => true,
            Lives::Live => standing(product, rollout, now).state.is_live(),
        })
        .collect();
    wanted.sort_by_key(|(_, rollout)| std::cmp::Reverse(rollout.id));
    let view = |(product, rollout): (_, _)| RolloutView::new((&services.catalog, &snapshot), product, rollout, now);
    let rollouts = wanted.into_iter().map(|(product, rollout)| view((product.as_ref(), rollout.as_ref()))).collect();
    Ok(Json(RolloutsAnswer { rollouts }))
}

/// One rollout: rings, waves, counts and gates.
#[utoipa::path(get, path = "/v1/rollouts/{id}", params(("id" = u64, Path)),
    responses((status = 200, body = RolloutView), (status = 404, description = "no such rollout")))]
pub(in crate::serve::admin) async fn show(
    State(services): Services,
    InPath(id): InPath<RolloutId>,
) -> Result<Json<RolloutView>, Problem> {
    view_of(&services, id).map(Json)
}

/// A rollout's events, people and counts as Markdown, for a review.
#[utoipa::path(get, path = "/v1/rollouts/{id}/timeline", params(("id" = u64, Path)), responses(
    (status = 200, body = String, content_type = "text/markdown"),
    (status = 404, description = "no such rollout"),
))]
pub(in crate::serve::admin) async fn timeline(
    State(services): Services,
    InPath(id): InPath<RolloutId>,
) -> Result<([(HeaderName, HeaderValue); 1], String), Problem> {
    let (snapshot, now) = (services.catalog.snapshot(), services.catalog.now());
    let (product, rollout) = find_rollout(&snapshot, id)?;
    let counts = services.catalog.with_health(&rollout.product, |health| health.total(id, now));
    let markdown = HeaderValue::from_static("text/markdown; charset=utf-8");
    Ok(([(CONTENT_TYPE, markdown)], story::write(product, rollout, &counts, now)))
}

/// Whoever steers a rollout, if the role reaches it.
pub(super) fn on_rollout<'p>(
    services: &crate::serve::admin::AdminServices,
    person: &'p Person,
    id: RolloutId,
) -> Result<&'p Actor, Problem> {
    let snapshot = services.catalog.snapshot();
    let (product, rollout) = find_rollout(&snapshot, id)?;
    person.on_rollout(&product.product().name, &rollout.kind)
}

/// A rollout as it stands now.
pub(super) fn view_of(services: &crate::serve::admin::AdminServices, id: RolloutId) -> Result<RolloutView, Problem> {
    let (snapshot, now) = (services.catalog.snapshot(), services.catalog.now());
    let (product, rollout) = find_rollout(&snapshot, id)?;
    Ok(RolloutView::new((&services.catalog, &snapshot), product, rollout, now))
}
