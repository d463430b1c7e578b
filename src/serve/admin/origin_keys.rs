//! The keys that the origin signs its answers with, and its signed word on where the journal stands.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminServices;
use super::access::{Person, Services};
use super::extract::{InPath, Sent};
use super::follow::not_reached;
use crate::control::sign;
use crate::model::{KeyId, Reason, TrustedKey};
use crate::serve::problem::Problem;
use crate::signing::{JournalStatement, KeyEntry, Signed, public_key_file};

/// The keys of the origin and those of publishers, each in order of time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeysAnswer {
    /// The key that signs answers now.
    #[schema(value_type = String)]
    signing: KeyId,
    /// Its public key as a file that minisign takes.
    public_key_file: String,
    /// Every key that the origin has signed with. One that was replaced is retired at the end of its overlap.
    #[schema(value_type = Vec<Object>)]
    origin: Vec<KeyEntry>,
    /// Every publisher's key that was ever trusted.
    #[schema(value_type = Vec<Object>)]
    trusted: Vec<TrustedKey>,
}

/// Why a key is retired.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetireRequest {
    #[schema(value_type = String)]
    reason: Reason,
}

/// Where the journal stands, signed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JournalFreshnessAnswer {
    /// Lines of text: origin, sequence, head, at, expires.
    statement: String,
    /// The origin's signature, as minisign writes it.
    signature: String,
}

fn answer(services: &Services) -> KeysAnswer {
    let snapshot = services.catalog.snapshot();
    // A mirror signs nothing: the key is its origin's.
    let document = match &services.follow.mirror {
        None => services.origin.document(&snapshot),
        Some(mirror) => mirror.keys(),
    };
    let newest = document.keys.last().filter(|_| services.follow.mirror.is_some()).map(|entry| entry.key);
    let public = newest.unwrap_or_else(|| services.origin.key().public());
    KeysAnswer {
        signing: public.id,
        public_key_file: public_key_file(&public),
        origin: document.keys,
        trusted: snapshot.trusted_keys().to_vec(),
    }
}

/// Lists the keys.
#[utoipa::path(get, path = "/v1/keys", responses((status = 200, body = KeysAnswer)))]
pub(super) async fn list(services: Services) -> Json<KeysAnswer> {
    Json(answer(&services))
}

/// Makes a new key for the origin, for which the present one vouches, and signs with it from now on.
#[utoipa::path(post, path = "/v1/keys/rotate", responses(
    (status = 200, body = KeysAnswer),
    (status = 409, description = "the key is a systemd credential, which the server cannot change"),
    (status = 500, description = "the key's file cannot be written"),
))]
pub(super) async fn rotate(services: Services, person: Person) -> Result<Json<KeysAnswer>, Problem> {
    let actor = person.on_everything()?;
    services.origin.rotate(&services.catalog, actor).await?;
    Ok(Json(answer(&services)))
}

/// From now on nothing that this key has signed is to be believed.
#[utoipa::path(post, path = "/v1/keys/{id}/retire", params(("id" = String, Path)), request_body = RetireRequest, responses(
    (status = 200, body = KeysAnswer),
    (status = 404, description = "no such key"),
    (status = 409, description = "it signs, or it is retired"),
))]
pub(super) async fn retire(
    services: Services,
    person: Person,
    InPath(id): InPath<KeyId>,
    Sent(request): Sent<RetireRequest>,
) -> Result<Json<KeysAnswer>, Problem> {
    let actor = person.on_everything()?;
    services.origin.retire(&services.catalog, actor, id, request.reason).await?;
    Ok(Json(answer(&services)))
}

/// Where the journal stands, signed, for whoever follows it. A mirror gives the origin's word up to which it followed.
#[utoipa::path(get, path = "/v1/freshness", responses((status = 200, body = JournalFreshnessAnswer)))]
pub(super) async fn freshness(State(services): Services) -> Result<Json<JournalFreshnessAnswer>, Problem> {
    let signed = match &services.follow.mirror {
        None => journal_statement(&services),
        Some(mirror) => mirror.statement().ok_or_else(not_reached)?,
    };
    Ok(Json(JournalFreshnessAnswer { statement: signed.text, signature: signed.signature }))
}

/// This origin's word on where its journal stands.
pub(super) fn journal_statement(services: &AdminServices) -> Signed {
    let snapshot = services.catalog.snapshot();
    let (at, expires) = services.origin.times(services.catalog.now());
    let key = services.origin.key();
    let (sequence, head) = (snapshot.seq(), snapshot.head());
    let said = JournalStatement { origin: key.public().id, sequence, head, at, expires };
    sign(&key, said.text(), &format!("journal {sequence}"))
}
