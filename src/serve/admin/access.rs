//! Who may do what: one table of roles and actions, asked before any handler runs.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Extensions, HeaderMap, StatusCode};

use super::AdminServices;
use crate::catalog::Catalog;
use crate::control::Secret;
use crate::model::{Actor, DeviceId, GroupName, ProductName, Reach, Role, TokenScope};
use crate::policy::{Requester, group_of};
use crate::serve::device::bearer;
use crate::serve::peer::Peer;
use crate::serve::problem::Problem;

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Reads.
    Read,
    /// Adds products, uploads and publishes.
    Publish,
    /// Approves and withdraws releases, asks for emergencies and approves them.
    Approve,
    /// Adds and lifts holds and pins, steers rollouts, applies policies, imports, enrols and denies devices, keeps the
    /// store in order.
    Operate,
    /// Creates, lists and revokes tokens.
    Administer,
}

/// Whether a role allows an action. Every role reads; nobody but an admin has two kinds of change in one hand.
pub const fn may(role: Role, action: Action) -> bool {
    match (role, action) {
        (Role::Admin, _) | (_, Action::Read) => true,
        (Role::Publisher, Action::Publish) => true,
        (Role::Approver, Action::Approve) => true,
        (Role::Operator, Action::Operate) => true,
        (Role::Auditor | Role::Publisher | Role::Approver | Role::Operator, _) => false,
    }
}

/// Whoever sends the request, proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name under which changes are journaled.
    pub actor: Actor,
    /// What may be done.
    pub role: Role,
    /// Over which products and groups.
    pub reach: Reach,
}

impl Person {
    /// Whoever makes a change to this product, if the role reaches it.
    pub fn on_product(&self, product: &ProductName) -> Result<&Actor, Problem> {
        let is_within = self.reach.has_product(product);
        is_within.then_some(&self.actor).ok_or_else(|| beyond(format_args!("product {product}")))
    }

    /// Whoever makes a change to what this group sees, if the role reaches it.
    pub fn on_group(&self, group: &GroupName) -> Result<&Actor, Problem> {
        let is_within = self.reach.has_group(group);
        is_within.then_some(&self.actor).ok_or_else(|| beyond(format_args!("group {group}")))
    }

    /// Whoever makes a change that concerns everything.
    pub fn on_everything(&self) -> Result<&Actor, Problem> {
        let is_everywhere = self.reach.is_everywhere();
        is_everywhere.then_some(&self.actor).ok_or_else(|| beyond(format_args!("everything, which this concerns")))
    }
}

/// Whoever changes what one device may do at all: it concerns all products, and the group that the device is in, as far
/// as its name and the inventory tell.
pub(super) fn on_device<'p>(person: &'p Person, catalog: &Catalog, device: &DeviceId) -> Result<&'p Actor, Problem> {
    if !person.reach.has_all_products() || person.reach.is_everywhere() {
        return person.on_everything();
    }
    let who = Requester { device: Some(device), ..Requester::default() };
    match group_of(&catalog.snapshot(), &who, catalog.now()) {
        Some(group) => person.on_group(group.name()),
        None => person.on_everything(),
    }
}

fn beyond(what: std::fmt::Arguments<'_>) -> Problem {
    Problem::with_detail(StatusCode::FORBIDDEN, format!("the role does not reach {what}"))
}

/// Lets a request through if the role of whoever sends it allows `action`.
pub(super) async fn authorize(
    action: Action,
    services: Arc<AdminServices>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let person = identify(&services, request.headers(), request.extensions())?;
    if !may(person.role, action) {
        let detail = format!("the role {} does not allow this", person.role);
        return Err(Problem::with_detail(StatusCode::FORBIDDEN, detail));
    }
    request.extensions_mut().insert(person);
    Ok(next.run(request).await)
}

/// A bearer token, or, on the unix socket, the server's own user or root. A token that is given must be good: it is
/// never passed over in favour of the socket's user.
fn identify(services: &AdminServices, headers: &HeaderMap, extensions: &Extensions) -> Result<Person, Problem> {
    let mut credentials = headers.get_all(AUTHORIZATION).iter();
    match (credentials.next(), credentials.next()) {
        (Some(credential), None) => {
            let person = credential.to_str().ok().and_then(bearer).and_then(|secret| by_token(services, secret));
            person.ok_or_else(|| Problem::unauthorized("the token is not valid: unknown, expired or revoked"))
        }
        (Some(_), Some(_)) => Err(Problem::unauthorized("there are two credentials")),
        (None, _) => {
            let peer = extensions.get::<Peer>().and_then(by_peer);
            peer.ok_or_else(|| Problem::unauthorized("a token is needed: Authorization: Bearer rf_…"))
        }
    }
}

fn by_token(services: &AdminServices, secret: &str) -> Option<Person> {
    let hash = services.token_key.hash(&secret.parse::<Secret>().ok()?);
    let snapshot = services.catalog.snapshot();
    let token = snapshot.token_by_hash(&hash).filter(|token| token.is_valid_at(services.catalog.now()))?;
    match &token.scope {
        TokenScope::Person { actor, role, reach } => {
            Some(Person { actor: actor.clone(), role: *role, reach: reach.clone() })
        }
        TokenScope::Device(_) => None,
    }
}

fn by_peer(peer: &Peer) -> Option<Person> {
    let Peer::Unix { uid } = *peer else { return None };
    let is_trusted = uid == 0 || uid == rustix::process::geteuid().as_raw();
    let actor = format!("uid:{uid}").parse().ok()?;
    is_trusted.then_some(Person { actor, role: Role::Admin, reach: Reach::default() })
}

impl FromRequestParts<Arc<AdminServices>> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<AdminServices>) -> Result<Self, Problem> {
        parts.extensions.get::<Person>().cloned().ok_or_else(|| {
            tracing::error!(path = parts.uri.path(), "a route that needs a person is not behind an action");
            Problem::internal()
        })
    }
}

/// The services of the request.
pub(super) type Services = State<Arc<AdminServices>>;
