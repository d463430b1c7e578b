//! Who a device request comes from.
//!
//! 1. An `Authorization` header decides where there is one: a bearer token proves a device.
//! 2. Else a client certificate: the configured rules say which name in it is the device.
//! 3. Else the header `Ringfence-Device`, believed from configured addresses only (a proxy that has authenticated the
//!    device) and ignored from all others.
//! 4. Else the request has no identity, and the policy's `unidentified` group takes it.
//!
//! A credential that is wrong, expired, revoked, a person's, or a denied device's is never taken for no credential: a
//! device whose token was revoked must notice. So it is with a certificate that names nobody, where no token does, and
//! with a token and a certificate of two different devices. Offers and reports answer it 401; blobs and shares answer
//! [`not_found`](crate::serve::not_found()) as they do to everything they refuse.
//!
//! A proxy may have a certificate itself. It then is a device like any other, whose header is ignored, unless its name
//! is one of the configured proxies: such a certificate proves no device, and token or header decide as if there were
//! none, the header still from configured addresses only.
//!
//! Shares also take the token as the password of `Basic`, with any user name: the clients that read them can send
//! nothing else.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::Cell;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Request};
use jiff::Timestamp;

use super::offer::peer_address;
use super::{Backend, DeviceOptions, Inner, RequestBody};
use crate::model::{Blake3Digest, DeviceId, Snapshot, TokenScope};
use crate::serve::certificate::{ClientCertificate, IdentityRule};

/// The header of a trusted proxy.
static DEVICE_HEADER: HeaderName = HeaderName::from_static("ringfence-device");

/// A credential is there, and it is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadCredential;

/// All of a request that can say who sends it.
#[derive(Debug, Clone, Copy)]
struct Shown<'r> {
    headers: &'r HeaderMap,
    certificate: Option<&'r ClientCertificate>,
    address: Option<IpAddr>,
}

impl<'r> Shown<'r> {
    fn of(request: &'r Request<RequestBody>) -> Self {
        let certificate = request.extensions().get::<ClientCertificate>();
        Self { headers: request.headers(), certificate, address: peer_address(request) }
    }
}

impl<B: Backend> Inner<B> {
    /// The proven identity of a request, if it has one.
    pub(super) fn identify(
        &self,
        request: &Request<RequestBody>,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<DeviceId>, BadCredential> {
        let secret = |credential: &str| bearer(credential).and_then(|secret| self.backend.token_hash(secret));
        self.identify_by(secret, request, snapshot, now)
    }

    /// As [`Inner::identify`], for a reader of a share.
    pub(super) fn identify_reader(
        &self,
        request: &Request<RequestBody>,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<DeviceId>, BadCredential> {
        let secret = |credential: &str| {
            let secret = bearer(credential).map(Cow::Borrowed).or_else(|| password(credential).map(Cow::Owned));
            secret.and_then(|secret| self.backend.token_hash(&secret))
        };
        self.identify_by(secret, request, snapshot, now)
    }

    /// Identifies by what `token_hash` makes of the `Authorization` header, and notes that its token was used.
    fn identify_by(
        &self,
        token_hash: impl Fn(&str) -> Option<Blake3Digest>,
        request: &Request<RequestBody>,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<DeviceId>, BadCredential> {
        let shown_hash = Cell::new(None);
        let hash = |credential: &str| {
            shown_hash.set(token_hash(credential));
            shown_hash.get()
        };
        let device = identify(hash, &self.options, &Shown::of(request), snapshot, now)?;
        if let Some(token) = shown_hash.get().and_then(|hash| snapshot.token_by_hash(&hash)) {
            self.backend.note_token_use(token.id, now);
        }
        Ok(device)
    }
}

/// Who proves what, and whether that device may have anything at all. `token_hash` is the hash of the token in an
/// `Authorization` header, if there is one in it.
fn identify(
    token_hash: impl Fn(&str) -> Option<Blake3Digest>,
    options: &DeviceOptions,
    shown: &Shown<'_>,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Option<DeviceId>, BadCredential> {
    let by_certificate = shown.certificate.map(|certificate| by_certificate(options, certificate));
    let device = match (by_token(token_hash, shown.headers, snapshot, now)?, by_certificate) {
        (Some(token), Some(Named::Device(certificate))) if token != certificate => return Err(BadCredential),
        (Some(token), _) => Some(token),
        (None, Some(Named::Device(certificate))) => Some(certificate),
        (None, Some(Named::Nobody)) => return Err(BadCredential),
        (None, Some(Named::Proxy) | None) => by_header(options, shown)?,
    };
    match device {
        Some(device) if snapshot.denial(&device).is_some() => Err(BadCredential),
        device => Ok(device),
    }
}

fn by_token(
    token_hash: impl Fn(&str) -> Option<Blake3Digest>,
    headers: &HeaderMap,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Option<DeviceId>, BadCredential> {
    let mut credentials = headers.get_all(AUTHORIZATION).iter();
    let Some(credential) = credentials.next() else { return Ok(None) };
    if credentials.next().is_some() {
        return Err(BadCredential);
    }
    let hash = credential.to_str().ok().and_then(token_hash).ok_or(BadCredential)?;
    let token = snapshot.token_by_hash(&hash).filter(|token| token.is_valid_at(now)).ok_or(BadCredential)?;
    match &token.scope {
        TokenScope::Device(device) => Ok(Some(device.clone())),
        TokenScope::Person { .. } => Err(BadCredential),
    }
}

/// What a certificate says.
enum Named {
    Device(DeviceId),
    Proxy,
    Nobody,
}

fn by_certificate(options: &DeviceOptions, ClientCertificate(names): &ClientCertificate) -> Named {
    let name = IdentityRule::first(&options.certificate_identity, names);
    match name.and_then(|name| name.parse::<DeviceId>().ok()) {
        Some(name) if options.proxies.contains(&name) => Named::Proxy,
        Some(device) => Named::Device(device),
        None => Named::Nobody,
    }
}

fn by_header(options: &DeviceOptions, shown: &Shown<'_>) -> Result<Option<DeviceId>, BadCredential> {
    let trusted = &options.header_trusted_from;
    if !shown.address.is_some_and(|address| trusted.iter().any(|network| network.contains(&address))) {
        return Ok(None);
    }
    let mut names = shown.headers.get_all(&DEVICE_HEADER).iter();
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
