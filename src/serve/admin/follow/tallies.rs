//! What the devices of a mirror said.

use http::StatusCode;

use super::super::access::{Person, Services};
use super::super::extract::Sent;
use super::super::refusals::failed;
use super::super::shares::off_thread;
use crate::mirror::{ElsewhereError, TalliesReport};
use crate::serve::problem::Problem;

/// Takes what the devices of a mirror said in all, in place of what it told before. Returns after fsync.
#[utoipa::path(post, path = "/v1/follow/tallies", request_body = Object, responses(
    (status = 204, description = "kept, and counted"),
    (status = 422, description = "more tallies than there can be"),
))]
pub(in crate::serve::admin) async fn take(
    services: Services,
    person: Person,
    Sent(report): Sent<TalliesReport>,
) -> Result<StatusCode, Problem> {
    let actor = person.on_everything()?.clone();
    off_thread(move || {
        let now = services.catalog.now();
        services.follow.elsewhere.take(&actor, report, now).map_err(|error| match error {
            ElsewhereError::TooMany { .. } => Problem::with_detail(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            ElsewhereError::NotKept { .. } => failed(&error),
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
