//! Who sends a request: a token, an identity provider's token, a client certificate, or the unix socket's user.
//!
//! One name is one person, whichever of these proved it: that is what "someone other than the publisher" and "two
//! distinct approvers" are compared by.

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};

use super::Person;
use crate::control::Secret;
use crate::model::{Actor, Reach, Role, TokenListener, TokenScope};
use crate::serve::admin::AdminServices;
use crate::serve::certificate::{ClientCertificate, IdentityRule};
use crate::serve::device::bearer;
use crate::serve::peer::Peer;
use crate::serve::problem::Problem;

/// Where no credential came at all.
const NONE: &str = "a token is needed: Authorization: Bearer rf_…";
/// Deliberately one sentence for all that may be wrong with a token.
const BAD_TOKEN: &str = "the token is not valid: unknown, expired or revoked";
const BAD_CERTIFICATE: &str = "the client certificate names nobody who is known here";

/// A bearer token; without one the client certificate; without one, on the unix socket, the server's own user or root.
/// A credential that is given must be good: it is never passed over in favour of the next.
pub(super) fn identify(
    services: &AdminServices,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Person, Problem> {
    let peer = extensions.get::<Peer>();
    let mut credentials = headers.get_all(AUTHORIZATION).iter();
    match (credentials.next(), credentials.next()) {
        (Some(credential), None) => {
            let secret = credential.to_str().ok().and_then(bearer);
            by_bearer(services, secret.ok_or_else(|| Problem::unauthorized(BAD_TOKEN))?, peer)
        }
        (Some(_), Some(_)) => Err(Problem::unauthorized("there are two credentials")),
        (None, _) => match extensions.get::<ClientCertificate>() {
            Some(certificate) => {
                let person = by_certificate(services, certificate);
                person.ok_or_else(|| Problem::unauthorized(BAD_CERTIFICATE))
            }
            None => peer.and_then(by_peer).ok_or_else(|| Problem::unauthorized(NONE)),
        },
    }
}

/// Our own tokens begin with `rf_`; everything else can only be an identity provider's.
fn by_bearer(services: &AdminServices, secret: &str, peer: Option<&Peer>) -> Result<Person, Problem> {
    if secret.starts_with("rf_") {
        return by_token(services, secret, peer).ok_or_else(|| Problem::unauthorized(BAD_TOKEN));
    }
    let Some(oidc) = &services.oidc else { return Err(Problem::unauthorized(BAD_TOKEN)) };
    let subject = oidc.verify(secret, services.catalog.now()).map_err(|refusal| {
        tracing::debug!(%refusal, "an identity provider's token was refused");
        Problem::unauthorized(&refusal.to_string())
    })?;
    // Whom the configuration names has the role and reach that stand there; a token whose own roles contradict each
    // other was refused before.
    let by_role = || subject.role.map(|role| Person::new(subject.name.clone(), role, Reach::default()));
    let person = services.people.find(&subject.name).or_else(by_role);
    person.ok_or_else(|| Problem::unauthorized("the token is good, but nobody of its name has a role here"))
}

fn by_token(services: &AdminServices, secret: &str, peer: Option<&Peer>) -> Option<Person> {
    let secret = secret.parse::<Secret>().ok()?;
    if services.follow.own_token.as_ref().is_some_and(|own| own.is(&secret)) {
        return Some(Person::new(Actor::admin(), Role::Admin, Reach::default()));
    }
    let hash = services.token_key.hash(&secret);
    let (snapshot, now) = (services.catalog.snapshot(), services.catalog.now());
    let token = snapshot.token_by_hash(&hash).filter(|token| token.is_valid_at(now))?;
    match &token.scope {
        TokenScope::Person { actor, role, reach } => {
            let listener = match peer {
                Some(Peer::Unix { .. }) => TokenListener::Socket,
                Some(Peer::Tcp(_)) | None => TokenListener::Admin,
            };
            services.catalog.token_uses().note(token.id, listener, now);
            Some(Person::new(actor.clone(), *role, reach.clone()))
        }
        TokenScope::Device(_) => None,
    }
}

fn by_certificate(services: &AdminServices, ClientCertificate(names): &ClientCertificate) -> Option<Person> {
    let name = IdentityRule::first(&services.certificate_identity, names)?;
    services.people.find(&name.parse().ok()?)
}

fn by_peer(peer: &Peer) -> Option<Person> {
    let Peer::Unix { uid } = *peer else { return None };
    let is_trusted = uid == 0 || uid == rustix::process::geteuid().as_raw();
    let actor = format!("uid:{uid}").parse().ok()?;
    is_trusted.then(|| Person::new(actor, Role::Admin, Reach::default()))
}
