//! Who may do what. One table of roles and actions is asked before any handler runs; how far a role reaches is asked by
//! the handler, which gets the name to journal a change under only by saying what the change is on ([`Person`]).
//!
//! Reading is open to every role, whatever its reach: who steers a part has to see the whole. What this module
//! deliberately does not do: it knows no route and changes nothing.

mod identify;
mod people;
mod person;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{Method, StatusCode};

use super::AdminServices;
use super::refusals::elsewhere;
use crate::catalog::ReadOnly;
use crate::model::Role;
use crate::serve::problem::Problem;
use identify::identify;

pub use people::People;
pub use person::Person;

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
    /// Creates, lists and revokes tokens; trusts and revokes publishers' keys; replaces and retires the origin's.
    Administer,
    /// Follows: reads the journal's lines, every blob, and the key under which tokens are kept; tells what devices said.
    Follow,
}

/// Whether a role allows an action. Every role reads; nobody but an admin has two kinds of change in one hand.
pub const fn may(role: Role, action: Action) -> bool {
    match (role, action) {
        (Role::Admin, _) | (_, Action::Read) => true,
        (Role::Publisher, Action::Publish) => true,
        (Role::Approver, Action::Approve) => true,
        (Role::Operator, Action::Operate) => true,
        (Role::Mirror, Action::Follow) => true,
        (Role::Auditor | Role::Publisher | Role::Approver | Role::Operator | Role::Mirror, _) => false,
    }
}

/// Lets a request through if the role of whoever sends it allows `action`.
pub(super) async fn authorize(
    action: Action,
    services: Arc<AdminServices>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let person = identify(&services, request.headers(), request.extensions())?;
    if !may(person.role(), action) {
        let detail = format!("the role {} does not allow this", person.role());
        return Err(Problem::with_detail(StatusCode::FORBIDDEN, detail));
    }
    if let Some(origin) = services.catalog.origin().filter(|_| changes(action, &request)) {
        // Before the body is read: nobody uploads a release only to be told.
        return Err(elsewhere(&ReadOnly::Mirror { origin: origin.to_owned() }));
    }
    request.extensions_mut().insert(person);
    Ok(next.run(request).await)
}

/// Whether a request would change what a mirror has from its origin. Its store is its own, and so is what stagers say.
fn changes(action: Action, request: &Request) -> bool {
    let path = request.uri().path();
    let is_own = path.starts_with("/v1/store/") || (path.starts_with("/v1/shares/") && path.ends_with("/targets"));
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    !matches!(action, Action::Read | Action::Follow) && !reads && !is_own
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
