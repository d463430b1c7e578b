//! The table of routes: each under the action that it is.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::middleware::{Next, from_fn};
use axum::{Json, Router};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use tower::Service as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Action, authorize};
use super::{
    AdminServices, bundles, denials, enrolments, explain, holds, imports, inventory, journal, keys, maintenance, open,
    origin_keys, pins, policies, products, receipts, releases, rollouts, shares, shares_add, shares_stage,
    site_receipts, sites, tokens, uploads,
};
use crate::serve::problem::Problem;

/// The admin listeners' handler. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AdminApi(Router);

type Routes = OpenApiRouter<Arc<AdminServices>>;

impl AdminApi {
    /// A handler over these services.
    pub fn new(services: AdminServices) -> Self {
        let services = Arc::new(services);
        let guard = |routes: Routes, action: Action| {
            let services = services.clone();
            routes.route_layer(from_fn(move |request, next: Next| authorize(action, services.clone(), request, next)))
        };
        let mut all = open_routes();
        for (action, routes) in guarded_routes() {
            all = all.merge(guard(routes, action));
        }
        let (router, _) = all.split_for_parts();
        // The document is the same for every request: written once.
        let document = serde_json::to_value(openapi()).unwrap_or_default();
        let router = router
            .route("/v1/openapi.json", axum::routing::get(move || std::future::ready(Json(document.clone()))))
            .fallback(unknown)
            .method_not_allowed_fallback(|| async { Problem::new(StatusCode::METHOD_NOT_ALLOWED) })
            .with_state(services);
        Self(router)
    }

    pub(super) async fn call<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        // A router is always ready, so it can be called at once.
        let answered: Result<_, Infallible> = self.0.clone().call(request.map(Body::new)).await;
        answered.unwrap_or_else(|never| match never {})
    }
}

async fn unknown(uri: Uri) -> Response<Body> {
    let detail = format!("there is no {}; /v1/openapi.json lists what there is", uri.path());
    Problem::with_detail(StatusCode::NOT_FOUND, detail).into_response()
}

fn open_routes() -> Routes {
    OpenApiRouter::new().routes(routes!(open::health)).routes(routes!(open::ready)).routes(routes!(open::metrics))
}

/// Every other route, under its action. This is the one place that says what a route is.
fn guarded_routes() -> [(Action, Routes); 5] {
    let publish = OpenApiRouter::new()
        .routes(routes!(products::add))
        .routes(routes!(releases::publish))
        .routes(routes!(uploads::open))
        .routes(routes!(uploads::show, uploads::append, uploads::drop_one));
    let approve = OpenApiRouter::new()
        .routes(routes!(releases::approve))
        .routes(routes!(releases::withdraw))
        .routes(routes!(rollouts::approve))
        .routes(routes!(rollouts::expedite));
    let operate = OpenApiRouter::new()
        .routes(routes!(holds::add))
        .routes(routes!(holds::lift))
        .routes(routes!(pins::add))
        .routes(routes!(pins::remove))
        .routes(routes!(policies::apply))
        .routes(routes!(rollouts::start))
        .routes(routes!(rollouts::pause))
        .routes(routes!(rollouts::resume))
        .routes(routes!(rollouts::halt))
        .routes(routes!(rollouts::promote))
        .routes(routes!(rollouts::signal))
        .routes(routes!(rollouts::rollback))
        .routes(routes!(rollouts::reset))
        .routes(routes!(shares_add::add))
        .routes(routes!(shares_stage::note_target))
        .routes(routes!(inventory::import))
        .routes(routes!(inventory::remove))
        .routes(routes!(denials::deny))
        .routes(routes!(denials::allow))
        .routes(routes!(enrolments::create))
        .routes(routes!(maintenance::verify))
        .routes(routes!(maintenance::scrub))
        .routes(routes!(maintenance::sweep))
        .routes(routes!(maintenance::rebuild))
        .routes(routes!(bundles::export))
        .routes(routes!(bundles::manifest))
        .routes(routes!(bundles::signature))
        .routes(routes!(bundles::volume))
        .routes(routes!(bundles::close))
        .routes(routes!(imports::begin))
        .routes(routes!(imports::take))
        .routes(routes!(imports::finish))
        .routes(routes!(imports::abandon))
        .routes(routes!(receipts::take))
        .routes(routes!(site_receipts::give));
    let administer = OpenApiRouter::new()
        .routes(routes!(tokens::list))
        .routes(routes!(tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(keys::trust))
        .routes(routes!(keys::revoke))
        .routes(routes!(origin_keys::rotate))
        .routes(routes!(origin_keys::retire));
    [
        (Action::Read, reading_routes()),
        (Action::Publish, publish),
        (Action::Approve, approve),
        (Action::Operate, operate),
        (Action::Administer, administer),
    ]
}

/// What every role may ask.
fn reading_routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(open::status))
        .routes(routes!(products::list))
        .routes(routes!(releases::list))
        .routes(routes!(releases::show))
        .routes(routes!(holds::list))
        .routes(routes!(pins::list))
        .routes(routes!(policies::show))
        .routes(routes!(policies::history))
        .routes(routes!(policies::show_past))
        .routes(routes!(policies::check))
        .routes(routes!(policies::plan))
        .routes(routes!(rollouts::list))
        .routes(routes!(rollouts::show))
        .routes(routes!(rollouts::timeline))
        .routes(routes!(inventory::list))
        .routes(routes!(inventory::show))
        .routes(routes!(denials::list))
        .routes(routes!(enrolments::list))
        .routes(routes!(explain::explain))
        .routes(routes!(shares::list))
        .routes(routes!(shares::show))
        .routes(routes!(shares_stage::tree))
        .routes(routes!(shares_stage::body))
        .routes(routes!(journal::list))
        .routes(routes!(journal::head))
        .routes(routes!(journal::check))
        .routes(routes!(maintenance::stats))
        .routes(routes!(keys::list))
        .routes(routes!(origin_keys::list))
        .routes(routes!(origin_keys::freshness))
        .routes(routes!(sites::list))
        .routes(routes!(sites::show))
        .routes(routes!(site_receipts::latest))
}

/// The OpenAPI document of the admin API.
pub fn openapi() -> OpenApi {
    let mut routes = OpenApiRouter::new();
    for (_, guarded) in guarded_routes() {
        routes = routes.merge(guarded);
    }
    let mut document = routes.merge(open_routes()).into_openapi();
    document.info.title = "Ringfence admin API".into();
    document.info.version = env!("CARGO_PKG_VERSION").into();
    document.info.description = Some(
        "Errors are problem documents (RFC 9457). Every change is journaled under the name that its credential proves."
            .into(),
    );
    document.info.license = None;
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", scheme);
    document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    document
}
