//! Who a device request comes from.
//!
//! A bearer token proves a device. Without one, the header `Ringfence-Device` is believed from configured addresses
//! only (a proxy that has authenticated the device) and ignored from all others. Without either, the request has no
//! identity, and the policy's `unidentified` group takes it.
//!
//! A credential that is wrong, expired, revoked or a person's is never taken for no credential: a device whose token was
//! revoked must notice. Offers and reports answer it 401; blobs and shares answer
//! [`not_found`](crate::serve::not_found()) as they do to everything they refuse.
//!
//! Shares also take the token as the password of `Basic`, with any user name: the clients that read them can send
//! nothing else.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use jiff::Timestamp;

use super::Backend;
use crate::model::{DeviceId, Snapshot, TokenScope};

/// The header of a trusted proxy.
static DEVICE_HEADER: HeaderName = HeaderName::from_static("ringfence-device");

/// A credential is there, and it is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadCredential;

/// The proven identity of a request, if it has one.
pub(super) fn identify(
    backend: &impl Backend,
    trusted: &[IpNet],
    snapshot: &Snapshot,
    headers: &HeaderMap,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Option<DeviceId>, BadCredential> {
    prove(backend, trusted, snapshot, headers, (address, now), |credential: &str| bearer(credential).map(Cow::Borrowed))
}

/// As [`identify`], for a reader of a share.
pub(super) fn identify_reader(
    backend: &impl Backend,
    trusted: &[IpNet],
    snapshot: &Snapshot,
    headers: &HeaderMap,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Option<DeviceId>, BadCredential> {
    prove(backend, trusted, snapshot, headers, (address, now), |credential: &str| {
        bearer(credential).map(Cow::Borrowed).or_else(|| password(credential).map(Cow::Owned))
    })
}

fn prove(
    backend: &impl Backend,
    trusted: &[IpNet],
    snapshot: &Snapshot,
    headers: &HeaderMap,
    (address, now): (Option<IpAddr>, Timestamp),
    secret: impl for<'c> Fn(&'c str) -> Option<Cow<'c, str>>,
) -> Result<Option<DeviceId>, BadCredential> {
    let mut credentials = headers.get_all(AUTHORIZATION).iter();
    if let Some(credential) = credentials.next() {
        if credentials.next().is_some() {
            return Err(BadCredential);
        }
        let secret = credential.to_str().ok().and_then(secret).ok_or(BadCredential)?;
        let hash = backend.token_hash(&secret).ok_or(BadCredential)?;
        let token = snapshot.token_by_hash(&hash).filter(|token| token.is_valid_at(now)).ok_or(BadCredential)?;
        return match &token.scope {
            TokenScope::Device(device) => {
                backend.note_token_use(token.id, now);
                Ok(Some(device.clone()))
            }
            TokenScope::Person { .. } => Err(BadCredential),
        };
    }
    if !address.is_some_and(|address| trusted.iter().any(|network| network.contains(&address))) {
        return Ok(None);
    }
    let mut names = headers.get_all(&DEVICE_HEADER).iter();
    match (names.next(), names.next()) {
        (None, _) => Ok(None),
        (Some(name), None) => {
            let device = name.to_str().ok().and_then(|text| text.parse().ok());
            device.map(Some).ok_or(BadCredential)
        }
        (Some(_), Some(_)) => Err(BadCredential),
    }
}

/// The token of `Bearer …` (RFC 6750 section 2.1); the scheme's case does not matter.
pub(in crate::serve) fn bearer(credential: &str) -> Option<&str> {
    let (scheme, secret) = credential.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim_start_matches(' '))
}

/// The password of `Basic …` (RFC 7617 section 2): what follows the first colon.
fn password(credential: &str) -> Option<String> {
    let (scheme, encoded) = credential.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim_start_matches(' ')).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}
