//! Tokens. A secret is in exactly one answer: that to its creation.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::extract::{InPath, Sent};
use crate::control::{create_token, revoke_token};
use crate::model::{Actor, DeviceId, Role, Token, TokenId, TokenScope};
use crate::serve::problem::Problem;

/// A token to be created: for a person or program with `actor` and `role`, or for a `device`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRequest {
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "alice@corp")]
    actor: Option<Actor>,
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "operator")]
    role: Option<Role>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// A token with its secret, which is told this once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedToken {
    /// The secret.
    token: String,
    #[serde(flatten)]
    #[schema(value_type = TokenAnswer)]
    created: TokenAnswer,
}

/// A token without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenAnswer {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    token: Token,
    /// Whether it is taken now.
    valid: bool,
}

impl TokenAnswer {
    fn new(token: &Token, now: Timestamp) -> Self {
        Self { token: token.clone(), valid: token.is_valid_at(now) }
    }
}

/// All tokens, in order of id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokensAnswer {
    tokens: Vec<TokenAnswer>,
}

/// Lists all tokens ever created.
#[utoipa::path(get, path = "/v1/tokens", responses((status = 200, body = TokensAnswer)))]
pub(super) async fn list(State(services): Services) -> Json<TokensAnswer> {
    let now = services.catalog.now();
    let tokens = services.catalog.snapshot().tokens().map(|token| TokenAnswer::new(token, now)).collect();
    Json(TokensAnswer { tokens })
}

/// Creates a token.
#[utoipa::path(post, path = "/v1/tokens", request_body = TokenRequest, responses(
    (status = 201, body = CreatedToken),
    (status = 422, description = "it speaks for nobody or for two, or would end in the past"),
))]
pub(super) async fn create(
    State(services): Services,
    person: Person,
    Sent(request): Sent<TokenRequest>,
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    let scope = match (request.actor, request.role, request.device) {
        (Some(actor), Some(role), None) => TokenScope::Person { actor, role, reach: Default::default() },
        (None, None, Some(device)) => TokenScope::Device(device),
        _ => {
            let detail = "a token is for actor and role, or for a device";
            return Err(Problem::with_detail(StatusCode::UNPROCESSABLE_ENTITY, detail));
        }
    };
    let (key, expires_at) = (&services.token_key, request.expires_at);
    let (token, secret) = create_token(&services.catalog, &person.actor, key, scope, expires_at).await?;
    let created = TokenAnswer::new(&token, services.catalog.now());
    Ok((StatusCode::CREATED, Json(CreatedToken { token: secret.expose(), created })))
}

/// Revokes a token, from the next request on.
#[utoipa::path(post, path = "/v1/tokens/{id}/revoke", params(("id" = u64, Path)), responses(
    (status = 200, body = TokenAnswer),
    (status = 404, description = "no such token"),
    (status = 409, description = "it is revoked"),
))]
pub(super) async fn revoke(
    State(services): Services,
    person: Person,
    InPath(id): InPath<TokenId>,
) -> Result<Json<TokenAnswer>, Problem> {
    let token = revoke_token(&services.catalog, &person.actor, id).await?;
    Ok(Json(TokenAnswer::new(&token, services.catalog.now())))
}
