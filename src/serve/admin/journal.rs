//! The journal: its events, its head, and whether it is whole.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::Services;
use super::extract::{InQuery, Sent};
use super::refusals::failed;
use crate::journal::{JournalError, read, verify};
use crate::model::{Blake3Digest, EventRecord};
use crate::serve::problem::Problem;

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// Which events to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Those behind this one; from the first where absent.
    #[serde(default)]
    after: u64,
    /// At most this many, and at most 1,000; 100 where absent.
    #[serde(default)]
    limit: Option<usize>,
}

/// Events in order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventsAnswer {
    #[schema(value_type = Vec<Object>)]
    events: Vec<EventRecord>,
}

/// One event's number and hash. Kept elsewhere, it proves later that the journal up to it was not rewritten.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadAnswer {
    seq: u64,
    #[schema(value_type = String)]
    hash: Blake3Digest,
}

/// Heads that were kept elsewhere.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyRequest {
    #[serde(default)]
    heads: Vec<HeadAnswer>,
}

/// A journal that is whole.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VerifyAnswer {
    seq: u64,
    hash: String,
    segments: u64,
    bytes: u64,
}

/// Shows events.
#[utoipa::path(get, path = "/v1/journal", params(Which), responses((status = 200, body = EventsAnswer)))]
pub(super) async fn list(
    State(services): Services,
    InQuery(which): InQuery<Which>,
) -> Result<Json<EventsAnswer>, Problem> {
    let limit = which.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let work = move || read(&services.about.journal_dir, which.after, limit);
    let events = tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))?;
    Ok(Json(EventsAnswer { events: events.map_err(|error| failed(&error))? }))
}

/// The last durable event. What is asked afterwards is answered by it, or by a later one.
#[utoipa::path(get, path = "/v1/journal/head", responses((status = 200, body = HeadAnswer)))]
pub(super) async fn head(State(services): Services) -> Json<HeadAnswer> {
    let (seq, hash) = services.catalog.head_that_is_seen().await;
    Json(HeadAnswer { seq, hash })
}

/// Reads the whole journal and checks every line of the chain, and each head that was kept elsewhere.
#[utoipa::path(post, path = "/v1/journal/verify", request_body = VerifyRequest, responses(
    (status = 200, body = VerifyAnswer),
    (status = 409, description = "the journal is damaged, or does not hold a head; the detail has the place"),
))]
pub(super) async fn check(
    State(services): Services,
    Sent(request): Sent<VerifyRequest>,
) -> Result<Json<VerifyAnswer>, Problem> {
    let heads: Vec<_> = request.heads.iter().map(|head| (head.seq, head.hash)).collect();
    let work = move || verify(&services.about.journal_dir, &heads);
    let verified = tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))?.map_err(damaged)?;
    let (hash, seq) = (verified.hash.to_hex(), verified.seq);
    Ok(Json(VerifyAnswer { seq, hash, segments: verified.segments, bytes: verified.bytes }))
}

/// Damage is what was asked about, so it is told: it is no failure of this request.
fn damaged(error: JournalError) -> Problem {
    match error {
        JournalError::Io { .. } => failed(&error),
        error => {
            tracing::error!(%error, "the journal does not verify");
            Problem::with_detail(StatusCode::CONFLICT, error.to_string()).of_type("urn:ringfence:damage")
        }
    }
}
