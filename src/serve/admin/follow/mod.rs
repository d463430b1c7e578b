//! What mirrors ask of their upstream: who it is, the journal line by line, blobs by digest, what the origin signs; and
//! what they tell it: what their devices said.
//!
//! A mirror answers the same questions for the mirrors behind it. What this module deliberately does not do: it lets
//! nobody but the roles mirror and admin in (the router's table), and signs nothing that it has not decided itself.

mod blobs;
mod lines;
mod signing;
mod standing;
mod tallies;

use std::sync::Arc;

use axum::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_util::sync::CancellationToken;

use super::access::{Person, Services};
use crate::journal::RawReader;
use crate::mirror::{Elsewhere, FORMAT, Filler, Hello, Mirror};
use crate::serve::problem::Problem;

pub(super) use blobs::{__path_blob, __path_groups, blob, groups};
pub(super) use lines::{__path_journal, journal};
pub(super) use signing::not_reached;
pub(in crate::serve) use signing::not_relayed;
pub(super) use signing::{__path_signed, __path_statement, signed, statement};
pub(super) use standing::{__path_standing, standing};
pub(super) use tallies::{__path_take, take};

/// What following needs.
pub struct Following {
    /// The journal's lines as they stand.
    pub lines: RawReader,
    /// What the devices of mirrors said.
    pub elsewhere: Arc<Elsewhere>,
    /// What is followed, if this server is a mirror itself.
    pub mirror: Option<Arc<Mirror>>,
    /// The token in this server's own file, which a mirror takes although its journal does not know it.
    pub own_token: Option<crate::control::Secret>,
    /// What brings blobs here, if this server is a mirror itself.
    pub filler: Option<Arc<Filler>>,
    /// Ends waits when the server stops.
    pub stop: CancellationToken,
}

/// Who this server is, and what a mirror needs to check devices and signatures.
#[utoipa::path(get, path = "/v1/follow/hello", responses(
    (status = 200, body = Object),
    (status = 503, description = "this server is a mirror and has not reached its own upstream yet"),
))]
pub(super) async fn hello(services: Services, person: Person) -> Result<Json<Hello>, Problem> {
    person.on_everything()?;
    let snapshot = services.catalog.snapshot();
    let (hops, keys) = match &services.follow.mirror {
        None => (0, services.origin.document(&snapshot)),
        Some(mirror) => match mirror.origin() {
            Some((hops, keys)) => (hops, keys),
            None => return Err(signing::not_reached()),
        },
    };
    Ok(Json(Hello {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hops,
        token_key: STANDARD.encode(services.token_key.expose()),
        keys,
        site: snapshot.own_site().map(|own| own.name.clone()),
    }))
}
