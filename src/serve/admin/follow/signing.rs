//! What the origin signs for the devices of mirrors, and its word on where the journal stands.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::super::AdminServices;
use super::super::access::{Person, Services};
use super::super::extract::Sent;
use super::super::origin_keys::journal_statement;
use super::super::shares::off_thread;
use crate::control::sign;
use crate::mirror::{Ask, RelayError};
use crate::policy::{Requester, group_of};
use crate::serve::problem::Problem;
use crate::serve::statements;
use crate::signing::Signed;

/// The origin's word on where its journal stands. A mirror gives the one up to which it has followed.
#[utoipa::path(get, path = "/v1/follow/statement", responses(
    (status = 200, body = Object),
    (status = 503, description = "this server is a mirror and has not reached its own upstream yet"),
))]
pub(in crate::serve::admin) async fn statement(services: Services, person: Person) -> Result<Json<Signed>, Problem> {
    person.on_everything()?;
    match &services.follow.mirror {
        None => Ok(Json(journal_statement(&services))),
        Some(mirror) => mirror.statement().map(Json).ok_or_else(not_reached),
    }
}

/// Signs for a device of a mirror what it is to have, by this origin's own decision, or a release's manifest. A mirror
/// passes the question on.
#[utoipa::path(post, path = "/v1/follow/signed", request_body = Object, responses(
    (status = 200, body = Object),
    (status = 404, description = "no such release"),
    (status = 503, description = "this server is a mirror, and its own upstream is away"),
))]
pub(in crate::serve::admin) async fn signed(
    State(services): Services,
    person: Person,
    Sent(ask): Sent<Ask>,
) -> Result<Json<Signed>, Problem> {
    person.on_everything()?;
    match services.follow.mirror.clone() {
        None => off_thread(move || own(&services, &ask)).await.map(Json),
        Some(mirror) => {
            let (snapshot, now) = (services.catalog.snapshot(), services.catalog.now());
            statements::relayed(&mirror, &snapshot, ask, now).await.map(Json).map_err(not_relayed)
        }
    }
}

fn own(services: &AdminServices, ask: &Ask) -> Result<Signed, Problem> {
    let snapshot = services.catalog.snapshot();
    match ask {
        Ask::Manifest { release } => {
            let found = snapshot.products().find_map(|product| product.by_id(release));
            let found = found.ok_or_else(|| {
                Problem::with_detail(StatusCode::NOT_FOUND, format!("there is no release with the manifest {release}"))
            })?;
            Ok(statements::manifest(&services.origin.key(), found))
        }
        Ask::Freshness { device, address, platform, product, current } => {
            let now = services.catalog.now();
            let (device, platform) = (device.as_ref(), platform.clone());
            let who = Requester { device, address: *address, platform, current: None };
            let group = group_of(&snapshot, &who, now);
            let has = product.as_ref().zip(current.as_ref());
            let said = statements::freshness(&services.origin, &snapshot, group, &who, has, now);
            Ok(sign(&services.origin.key(), said.text(), &format!("freshness {}", said.sequence)))
        }
    }
}

pub(in crate::serve::admin) fn not_reached() -> Problem {
    Problem::try_again(5, "this server is a mirror and has not reached its upstream yet")
}

/// Why nothing signed can be given now.
pub(in crate::serve) fn not_relayed(error: RelayError) -> Problem {
    match error {
        RelayError::Unknown => Problem::with_detail(StatusCode::NOT_FOUND, error.to_string()),
        RelayError::Away { .. } | RelayError::Untrusted { .. } | RelayError::Busy => {
            Problem::try_again(5, &error.to_string())
        }
    }
}
