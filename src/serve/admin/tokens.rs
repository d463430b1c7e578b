//! Tokens. A secret is in exactly one answer: that to its creation.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::extract::{InPath, Sent};
use crate::catalog::Catalog;
use crate::control::{ControlError, create_token, revoke_token};
use crate::model::{Actor, DeviceId, NameGlob, Reach, Role, Token, TokenId, TokenListener, TokenScope};
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
    /// The products over which the role holds, as globs; all where empty.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["defender-*"]))]
    products: Vec<NameGlob>,
    /// The groups over which it holds, as globs; all where empty.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["pos-*"]))]
    groups: Vec<NameGlob>,
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
    /// When it was last used, to the minute; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// Where: `device`, `admin` or `socket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    last_used_on: Option<TokenListener>,
}

impl TokenAnswer {
    fn new(catalog: &Catalog, token: &Token, now: Timestamp) -> Self {
        let last = catalog.token_uses().last(token.id);
        let (last_used_at, last_used_on) = (last.map(|last| last.at), last.map(|last| last.listener));
        Self { token: token.clone(), valid: token.is_valid_at(now), last_used_at, last_used_on }
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
    let snapshot = services.catalog.snapshot();
    let tokens = snapshot.tokens().map(|token| TokenAnswer::new(&services.catalog, token, now)).collect();
    Json(TokensAnswer { tokens })
}

/// Creates a token.
#[utoipa::path(post, path = "/v1/tokens", request_body = TokenRequest, responses(
    (status = 201, body = CreatedToken),
    (status = 403, description = "it would reach further than whoever creates it"),
    (status = 422, description = "it speaks for nobody or for two, under the server's own name, or would end in the past"),
))]
pub(super) async fn create(
    State(services): Services,
    person: Person,
    Sent(request): Sent<TokenRequest>,
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    let (key, expires_at) = (&services.token_key, request.expires_at);
    let scope = scope(request)?;
    let actor = on_token(&person, &scope)?;
    let (token, secret) = create_token(&services.catalog, actor, key, scope, expires_at).await?;
    let created = TokenAnswer::new(&services.catalog, &token, services.catalog.now());
    Ok((StatusCode::CREATED, Json(CreatedToken { token: secret.expose(), created })))
}

fn scope(request: TokenRequest) -> Result<TokenScope, Problem> {
    let bad = |detail: String| Err(Problem::with_detail(StatusCode::UNPROCESSABLE_ENTITY, detail));
    let TokenRequest { actor, role, products, groups, device, .. } = request;
    let reach = Reach { products, groups };
    if reach.products.len() > Reach::GLOBS_MAX || reach.groups.len() > Reach::GLOBS_MAX {
        return bad(format!("at most {} products and {0} groups can be named", Reach::GLOBS_MAX));
    }
    match (actor, role, device) {
        (Some(actor), Some(_), None) if actor.is_reserved() => {
            bad(format!("{actor} is the server's own name, or a user's of this machine"))
        }
        (Some(actor), Some(role), None) => Ok(TokenScope::Person { actor, role, reach }),
        (None, None, Some(device)) if reach.is_everywhere() => Ok(TokenScope::Device(device)),
        _ => bad("a token is for actor and role, over products and groups or all of them; or for a device".to_owned()),
    }
}

/// Whoever creates or revokes a token: nobody gives or takes what they do not have. Which group a device is in is the
/// policy's business, so its tokens are everybody's.
fn on_token<'p>(person: &'p Person, scope: &TokenScope) -> Result<&'p Actor, Problem> {
    match scope {
        TokenScope::Person { reach, .. } => person.on_reach(reach),
        TokenScope::Device(_) => person.on_everything(),
    }
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
    let snapshot = services.catalog.snapshot();
    let token = snapshot.token(id).ok_or(ControlError::UnknownId { what: "token", id })?;
    let token = revoke_token(&services.catalog, on_token(&person, &token.scope)?, id).await?;
    Ok(Json(TokenAnswer::new(&services.catalog, &token, services.catalog.now())))
}
