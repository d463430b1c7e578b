//! `GET /v1/offers/{product}`: which release a device is to have now.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;

use super::query::Query;
use super::{Answer, Backend, Inner, Problem, Refusal, RequestBody};
use crate::model::{DeviceId, ProductName, Snapshot};
use crate::policy::{Decision, Requester, decide_in_group};
use crate::serve::http::BytesBody;
use crate::serve::http::etag::{Comparison, field_matches};
use crate::serve::peer::Peer;

impl<B: Backend> Inner<B> {
    pub(super) fn offer(&self, product: Option<&str>, request: &Request<RequestBody>) -> Answer {
        let snapshot = self.backend.snapshot();
        let now = self.backend.now(&snapshot);
        let address = peer_address(request);
        let device = self
            .identify(request, &snapshot, now)
            .map_err(|_| Problem::unauthorized("the device's credential is not valid"))?;
        self.admit(request, device.as_ref())?;
        let query = Query::parse(request.uri().query().unwrap_or_default(), &["platform", "current"])?;
        let product: ProductName = product.and_then(|text| text.parse().ok()).ok_or(Refusal::NotFound)?;
        let who = Requester { device: device.as_ref(), address, platform: query.platform, current: query.current };
        let decision = self.decide(&snapshot, &who, &product, now)?;
        let next_check_s = self.next_check_s(&decision, device.as_ref(), now);
        let Some(release) = decision.release.as_ref().filter(|_| !decision.is_current) else {
            return Ok(nothing(next_check_s));
        };
        // The inventory's word on the platform comes before the request's, as in the decision.
        let record = device.as_ref().and_then(|id| snapshot.device(id)).and_then(|history| history.at(now));
        let platform = record.and_then(|device| device.platform.as_ref()).or(who.platform.as_ref());
        if let (Some(device), Some(ring)) = (&device, &decision.ring) {
            self.backend.note_offer(&snapshot, device, release, ring, now);
        }
        let etag = release_etag(release.id.0.as_bytes());
        if is_known(request.headers(), &etag) {
            return Ok(not_modified(&etag));
        }
        let text = self.texts.render(release, platform, &decision.reason, next_check_s).map_err(|error| {
            tracing::error!(%error, release = %release.id, "an offer cannot be rendered");
            Problem::internal()
        })?;
        Ok(offered(request.method(), text, &etag))
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        who: &Requester<'_>,
        product: &ProductName,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let group = self.groups.group(snapshot, who, now).ok_or(Refusal::NotFound)?;
        let decision = decide_in_group(snapshot, group, who, product, now);
        if decision.visible { Ok(decision) } else { Err(Refusal::NotFound) }
    }

    /// Seconds until the device should ask again: when the decision may change, within the configured bounds. Devices
    /// that were told of the same moment come within a tenth of the time after it: before it they would come in vain.
    fn next_check_s(&self, decision: &Decision, device: Option<&DeviceId>, now: Timestamp) -> u64 {
        let (least, most) = self.options.next_check;
        let (least, most) = (least.as_secs(), most.as_secs().max(least.as_secs()));
        let until = decision.valid_until.map(|until| {
            // Up to the next whole second.
            let millis = until.as_millisecond().saturating_sub(now.as_millisecond());
            u64::try_from(millis).unwrap_or(0).div_ceil(1000)
        });
        let spread = |seconds: u64| device.map_or(0, |device| seconds / 10 * spread_permille(device) / 1000);
        match until {
            Some(until) if until < most => (until.max(least) + spread(until.max(least))).min(most),
            // Nothing is known to happen then, so some may as well come earlier.
            _ => most - spread(most),
        }
    }
}

/// A device's own place among all, from 0 to 1000: FNV-1a of its id, which is the same on every server.
fn spread_permille(device: &DeviceId) -> u64 {
    let bytes = device.as_str().bytes();
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash >> 32) % 1001
}

pub(super) fn peer_address(request: &Request<RequestBody>) -> Option<IpAddr> {
    request.extensions().get::<Peer>().and_then(Peer::address)
}

/// Names the release. Weak, because the reason and the time of the next check may differ between two answers that offer
/// the same.
fn release_etag(digest: &[u8; 32]) -> Etag {
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    // Hexadecimal digits and quotes are always a valid value.
    let value = |text: String| HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
    Etag { opaque: value(format!("\"{hex}\"")), weak: value(format!("W/\"{hex}\"")) }
}

struct Etag {
    opaque: HeaderValue,
    weak: HeaderValue,
}

fn is_known(headers: &HeaderMap, etag: &Etag) -> bool {
    let mut lines = headers.get_all(IF_NONE_MATCH).iter().peekable();
    lines.peek().is_some() && field_matches(lines, &etag.opaque, Comparison::Weak)
}

/// What 200 and 304 have in common.
fn common_headers(etag: &Etag) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(ETAG, etag.weak.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(VARY, VARIES.clone());
    headers
}

pub(super) static VARIES: HeaderValue = HeaderValue::from_static("authorization, ringfence-device");

fn offered(method: &Method, text: Bytes, etag: &Etag) -> Response<BytesBody> {
    let mut headers = common_headers(etag);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, text.len().into());
    let body = if method == Method::HEAD { BytesBody::empty() } else { BytesBody::from(text) };
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

fn not_modified(etag: &Etag) -> Response<BytesBody> {
    let mut response = Response::new(BytesBody::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.headers_mut() = common_headers(etag);
    response
}

/// 204: the device has what it should have, or nothing is for it now.
fn nothing(next_check_s: u64) -> Response<BytesBody> {
    let mut response = Response::new(BytesBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, next_check_s.into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(VARY, VARIES.clone());
    response
}
