//! What the server says of itself: status for people; health, readiness and metrics for machines, without a credential.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminServices;
use super::access::Services;
use super::refusals::failed;
use crate::model::{GroupName, SiteName, Snapshot};
use crate::serve::problem::Problem;
use crate::telemetry::METRICS_CONTENT_TYPE;

/// A server's state at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusAnswer {
    version: &'static str,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// The last durable event.
    seq: u64,
    /// Its hash.
    head: String,
    /// The data directory.
    data: String,
    /// Each listener with what it is bound to.
    listeners: BTreeMap<String, Vec<String>>,
    products: usize,
    releases: usize,
    /// Devices in the inventory.
    devices: usize,
    /// This server as an offline site, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<SiteStatus>,
}

/// An offline site, and the bundle that it serves from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SiteStatus {
    /// Its name; none where no bundle has said it yet and the configuration does not.
    #[schema(value_type = Option<String>)]
    name: Option<SiteName>,
    /// The bundle; none before the first.
    bundle: Option<SiteBundle>,
}

/// The bundle that a site serves from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SiteBundle {
    /// Its id.
    bundle: String,
    /// Its place among the site's bundles.
    sequence: u64,
    /// The root over what the site holds.
    root: String,
    /// When the origin made it.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was applied.
    #[schema(value_type = String, format = DateTime)]
    applied_at: Timestamp,
    /// For how long the site has gone without a newer one: since the origin made it.
    age_s: i64,
    /// The groups whose decisions it carries.
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupName>,
}

impl SiteStatus {
    /// None where nothing says that this server is a site.
    fn of(services: &AdminServices, snapshot: &Snapshot) -> Option<Self> {
        let own = snapshot.own_site();
        let name = own.map(|own| own.name.clone()).or_else(|| services.imports.site_name().cloned());
        let now = snapshot.present(services.catalog.clock_now());
        let bundle = own.and_then(|own| own.applied.as_ref()).map(|(applied, applied_at)| SiteBundle {
            bundle: applied.bundle.to_string(),
            sequence: applied.sequence,
            root: applied.root.to_hex(),
            created_at: applied.created_at,
            applied_at: *applied_at,
            age_s: now.as_second().saturating_sub(applied.created_at.as_second()),
            groups: applied.groups.clone(),
        });
        (name.is_some() || bundle.is_some()).then_some(Self { name, bundle })
    }
}

/// The server's state at a glance.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = StatusAnswer)))]
pub(super) async fn status(State(services): Services) -> Json<StatusAnswer> {
    let (seq, head) = services.catalog.head_that_is_seen().await;
    let snapshot = services.catalog.snapshot();
    let about = &services.about;
    Json(StatusAnswer {
        version: env!("CARGO_PKG_VERSION"),
        started_at: about.started_at,
        seq,
        head: head.to_hex(),
        data: about.data.display().to_string(),
        listeners: about.listeners.clone(),
        products: snapshot.products().len(),
        releases: snapshot.products().map(|product| product.releases().len()).sum(),
        devices: snapshot.devices().filter(|(_, history)| history.latest().is_some()).count(),
        site: SiteStatus::of(&services, &snapshot),
    })
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn health() -> Response {
    plain(StatusCode::OK, "ok\n".into())
}

/// Whether requests can be answered well now.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 503, description = "not now; the text says why", body = String, content_type = "text/plain"),
))]
pub(super) async fn ready(State(services): Services) -> Response {
    match (services.readiness)() {
        Ok(()) => plain(StatusCode::OK, "ready\n".into()),
        Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// All metrics as OpenMetrics text.
#[utoipa::path(get, path = "/metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(services): Services) -> Result<Response, Problem> {
    let text = services.metrics.render().map_err(|error| failed(&error))?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(METRICS_CONTENT_TYPE))], text).into_response())
}

fn plain(status: StatusCode, text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, text).into_response()
}
