//! The keys whose signatures the release gates take.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::extract::{InPath, Sent};
use super::releases::Because;
use crate::control::{revoke_key, trust_key};
use crate::model::{KeyId, NameGlob, PublicKey, TrustedKey};
use crate::serve::problem::Problem;

/// A key to be trusted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    /// The key as minisign writes it: the 56 characters alone, or the whole file.
    #[schema(example = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")]
    key: String,
    /// What people call it.
    name: String,
    /// Globs over the products that it may sign; all of them where empty.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    products: Vec<NameGlob>,
}

/// A key, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyAnswer {
    /// Its id, as minisign shows it.
    #[schema(value_type = String, example = "E7620F1842B4E81F")]
    id: KeyId,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    key: TrustedKey,
}

/// Every key that was ever trusted, in order of time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeysAnswer {
    keys: Vec<KeyAnswer>,
}

impl From<TrustedKey> for KeyAnswer {
    fn from(key: TrustedKey) -> Self {
        Self { id: key.key.id, key }
    }
}

/// Lists every key that was ever trusted to sign releases, the revoked ones too.
#[utoipa::path(get, path = "/v1/keys/trusted", responses((status = 200, body = KeysAnswer)))]
pub(super) async fn list(State(services): Services) -> Json<KeysAnswer> {
    let snapshot = services.catalog.snapshot();
    Json(KeysAnswer { keys: snapshot.trusted_keys().iter().cloned().map(KeyAnswer::from).collect() })
}

/// Trusts a key.
#[utoipa::path(post, path = "/v1/keys/trusted", request_body = KeyRequest, responses(
    (status = 201, body = KeyAnswer),
    (status = 409, description = "it is trusted otherwise, or was revoked"),
    (status = 422, description = "it is no key"),
))]
pub(super) async fn trust(
    State(services): Services,
    person: Person,
    Sent(request): Sent<KeyRequest>,
) -> Result<(StatusCode, Json<KeyAnswer>), Problem> {
    let KeyRequest { key, name, products } = request;
    let key = PublicKey::parse(&key)
        .map_err(|error| Problem::with_detail(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    let trusted = trust_key(&services.catalog, person.on_everything()?, key, name, products).await?;
    Ok((StatusCode::CREATED, Json(trusted.into())))
}

/// Revokes a trusted key: nothing that it signs is published any more. What was published stays.
#[utoipa::path(post, path = "/v1/keys/trusted/{id}/revoke", params(("id" = String, Path)), request_body = Because,
    responses((status = 200, body = KeyAnswer), (status = 404, description = "no such key")))]
pub(super) async fn revoke(
    State(services): Services,
    person: Person,
    InPath(id): InPath<KeyId>,
    Sent(because): Sent<Because>,
) -> Result<Json<KeyAnswer>, Problem> {
    let revoked = revoke_key(&services.catalog, person.on_everything()?, id, because.reason).await?;
    Ok(Json(revoked.into()))
}
