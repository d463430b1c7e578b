//! What a verified token says: from whom it is, for whom, until when, and whom it names.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::verify::IdTokenRefusal as Refusal;
use super::{OidcOptions, Subject};
use crate::model::{Actor, Role};

/// By how much the identity provider's clock may differ.
const LEEWAY_S: f64 = 60.0;

/// Checks the claims at `now`.
pub(super) fn read(payload: &[u8], options: &OidcOptions, now: Timestamp) -> Result<Subject, Refusal> {
    let claims: Map<String, Value> = serde_json::from_slice(payload).map_err(|_| Refusal::NotAToken)?;
    let missing = |claim: &str| Refusal::Claim(claim.to_owned());
    if claims.get("iss").ok_or_else(|| missing("iss"))?.as_str() != Some(&options.issuer) {
        return Err(Refusal::Issuer);
    }
    if !texts(claims.get("aud").ok_or_else(|| missing("aud"))?).any(|audience| audience == options.audience) {
        return Err(Refusal::Audience);
    }
    let now_s = now.as_millisecond() as f64 / 1e3;
    let expires = date(&claims, "exp")?.ok_or_else(|| missing("exp"))?;
    if expires + LEEWAY_S <= now_s {
        return Err(Refusal::Expired);
    }
    match date(&claims, "nbf")? {
        Some(begins) if begins - LEEWAY_S > now_s => return Err(Refusal::Early),
        None if options.is_nbf_required => return Err(missing("nbf")),
        _ => {}
    }
    let name = find(&claims, &options.name_claim).and_then(Value::as_str).and_then(|name| name.parse().ok());
    let name = name.filter(|name: &Actor| !name.is_reserved()).ok_or_else(|| missing(&options.name_claim))?;
    let claimed = options.roles_claim.as_ref().and_then(|claim| find(&claims, claim));
    let role = claimed.map_or(Ok(None), |claimed| role(claimed, options))?;
    Ok(Subject { name, role })
}

/// A claim by its whole name, or else by a path of names with dots between.
fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        find(claims.get(first)?.as_object()?, rest)
    })
}

/// A text, or all texts of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    value.as_str().into_iter().chain(list.iter().filter_map(Value::as_str))
}

/// Seconds since 1970, with or without a fraction.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite());
    seconds.map(Some).ok_or_else(|| Refusal::Claim(name.to_owned()))
}

/// The one role that the claimed values stand for. Every role can do what an auditor can, and an admin all that the
/// others can; two others in one hand are what roles are there to prevent.
fn role(claimed: &Value, options: &OidcOptions) -> Result<Option<Role>, Refusal> {
    let roles: Vec<Role> = texts(claimed).filter_map(|value| options.roles.get(value).copied()).collect();
    if roles.contains(&Role::Admin) {
        return Ok(Some(Role::Admin));
    }
    let mut changing = roles.iter().copied().filter(|role| *role != Role::Auditor);
    let first = changing.next();
    if changing.any(|other| Some(other) != first) {
        return Err(Refusal::Roles);
    }
    Ok(first.or(roles.first().copied()))
}
