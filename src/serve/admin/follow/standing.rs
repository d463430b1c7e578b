//! How this server stands as a mirror.

use axum::Json;
use http::StatusCode;

use super::super::access::Services;
use crate::mirror::Standing;
use crate::serve::problem::Problem;

/// How this server stands as a mirror.
#[utoipa::path(get, path = "/v1/mirror", responses(
    (status = 200, body = Object),
    (status = 404, description = "this server is no mirror"),
))]
pub(in crate::serve::admin) async fn standing(services: Services) -> Result<Json<Standing>, Problem> {
    let none = || Problem::with_detail(StatusCode::NOT_FOUND, "this server is no mirror: it follows nobody");
    let mirror = services.follow.mirror.as_ref().ok_or_else(none)?;
    Ok(Json(mirror.standing(services.catalog.snapshot().seq(), services.catalog.clock_now())))
}
