//! Bundles for offline sites: having one made, and reading it volume by volume.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Frame, SizeHint};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminServices;
use super::access::{Person, Services};
use super::extract::{InPath, Sent};
use crate::bundle::{ExportRequest, ExportSession, Issuer, SIZE_MAX_BYTES, Since, Volume, VolumeStream};
use crate::model::{BundleBase, BundleId, GroupName, Sha256Digest, SiteName};
use crate::serve::problem::Problem;

/// A bundle that is asked for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BundleRequest {
    #[schema(value_type = String)]
    site: SiteName,
    /// The groups whose decisions it carries; those of the policy's site where absent or empty, else all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupName>,
    /// What an increment starts from: `auto` (what the site has proven to hold), `full`, `last` (the newest bundle).
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    since: Since,
    /// The longest that a volume may be; 4 GiB where absent.
    #[serde(default = "volume_size")]
    volume_size_bytes: u64,
}

fn volume_size() -> u64 {
    4 << 30
}

/// A bundle that can be read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BundleAnswer {
    #[schema(value_type = String)]
    bundle: BundleId,
    #[schema(value_type = String)]
    site: SiteName,
    /// Its place among the site's bundles, from 1.
    sequence: u64,
    /// What it starts from.
    #[schema(value_type = Object)]
    base: BundleBase,
    /// The root that the site reaches with it.
    #[schema(value_type = String)]
    root: Sha256Digest,
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupName>,
    /// How many objects are in it.
    objects: u64,
    /// How many the site holds once it is applied.
    held_objects: u64,
    /// How many the site need not hold any more.
    removals: u64,
    #[schema(value_type = Vec<Object>)]
    volumes: Vec<Volume>,
    /// Bytes of the volumes.
    bytes: u64,
    /// Until when it may be imported.
    #[schema(value_type = String)]
    expires_at: Timestamp,
    /// Bytes of BUNDLE.json.
    manifest_bytes: u64,
}

impl BundleAnswer {
    fn new(session: &ExportSession) -> Self {
        let manifest = session.manifest();
        Self {
            bundle: session.id(),
            site: manifest.site.clone(),
            sequence: manifest.sequence,
            base: manifest.base,
            root: manifest.root,
            groups: manifest.groups.clone(),
            objects: manifest.totals.objects,
            held_objects: manifest.held.objects,
            removals: manifest.removals.len() as u64,
            volumes: manifest.volumes.clone(),
            bytes: manifest.totals.volume_bytes,
            expires_at: manifest.expires,
            manifest_bytes: session.text().len() as u64,
        }
    }
}

/// Makes a bundle for an offline site. It is journaled, and can be read until it was left alone for an hour.
#[utoipa::path(post, path = "/v1/bundles", request_body = BundleRequest, responses(
    (status = 201, body = BundleAnswer),
    (status = 409, description = "there is no policy, another bundle for the site was made at the same time, or this server is itself a site"),
    (status = 422, description = "a group is unknown, the volumes cannot be laid out, or the preload is too long"),
    (status = 503, description = "too many exports are open"),
))]
pub(super) async fn export(
    State(services): Services,
    person: Person,
    Sent(request): Sent<BundleRequest>,
) -> Result<(StatusCode, Json<BundleAnswer>), Problem> {
    let actor = person.on_everything()?;
    let BundleRequest { site, groups, since, volume_size_bytes } = request;
    let volume_bytes = volume_size_bytes.min(SIZE_MAX_BYTES);
    let request = ExportRequest { site, groups, since, volume_bytes };
    let origin = services.origin.clone();
    let issuer = move |snapshot: &_| Issuer { key: origin.key(), keys: origin.document(snapshot) };
    let session = services.exporter.export(actor, request, issuer).await?;
    Ok((StatusCode::CREATED, Json(BundleAnswer::new(&session))))
}

/// The manifest of a bundle that is open.
#[utoipa::path(get, path = "/v1/bundles/{bundle}/BUNDLE.json", params(("bundle" = String, Path)), responses(
    (status = 200, body = Vec<u8>, content_type = "application/json"),
    (status = 404, description = "no such bundle is open"),
))]
pub(super) async fn manifest(
    State(services): Services,
    person: Person,
    InPath(bundle): InPath<BundleId>,
) -> Result<Response, Problem> {
    person.on_everything()?;
    let session = open(&services, &bundle)?;
    Ok(whole(session.text(), "application/json"))
}

/// The signature of its manifest, as minisign writes it.
#[utoipa::path(get, path = "/v1/bundles/{bundle}/BUNDLE.sig", params(("bundle" = String, Path)), responses(
    (status = 200, body = String),
    (status = 404, description = "no such bundle is open"),
))]
pub(super) async fn signature(
    State(services): Services,
    person: Person,
    InPath(bundle): InPath<BundleId>,
) -> Result<Response, Problem> {
    person.on_everything()?;
    let session = open(&services, &bundle)?;
    Ok(whole(session.signature().to_owned().into(), "text/plain; charset=utf-8"))
}

/// A volume of a bundle that is open, whole or from a byte on.
#[utoipa::path(get, path = "/v1/bundles/{bundle}/volumes/{volume}",
    params(("bundle" = String, Path), ("volume" = u32, Path), ("Range" = Option<String>, Header)), responses(
        (status = 200, body = Vec<u8>, content_type = "application/x-tar"),
        (status = 206, description = "the bytes from the first of the range on"),
        (status = 404, description = "no such bundle is open, or it has no such volume"),
        (status = 416, description = "the volume ends before that"),
    ))]
pub(super) async fn volume(
    State(services): Services,
    person: Person,
    InPath((bundle, number)): InPath<(BundleId, u32)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    person.on_everything()?;
    let session = open(&services, &bundle)?;
    let size = session.volume_bytes(number).ok_or_else(|| {
        let detail = format!("the bundle has no volume {number}");
        Problem::with_detail(StatusCode::NOT_FOUND, detail)
    })?;
    let from = headers.get(RANGE).and_then(from_byte);
    let start = from.unwrap_or(0);
    if from.is_some() && start >= size {
        let problem = Problem::with_detail(StatusCode::RANGE_NOT_SATISFIABLE, format!("the volume has {size} bytes"));
        return Err(problem.header(CONTENT_RANGE, value(&format!("bytes */{size}"))));
    }
    let stream = session.volume(number, start);
    let mut response = Response::new(Body::new(VolumeBody(stream)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers.insert(CONTENT_LENGTH, (size - start).into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if from.is_some() {
        headers.insert(CONTENT_RANGE, value(&format!("bytes {start}-{}/{size}", size - 1)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// Closes a bundle that was read.
#[utoipa::path(delete, path = "/v1/bundles/{bundle}", params(("bundle" = String, Path)),
    responses((status = 204), (status = 404, description = "no such bundle is open")))]
pub(super) async fn close(
    State(services): Services,
    person: Person,
    InPath(bundle): InPath<BundleId>,
) -> Result<StatusCode, Problem> {
    person.on_everything()?;
    if services.exporter.close(&bundle) { Ok(StatusCode::NO_CONTENT) } else { Err(not_open(&bundle)) }
}

fn open(services: &AdminServices, bundle: &BundleId) -> Result<Arc<ExportSession>, Problem> {
    services.exporter.session(bundle).ok_or_else(|| not_open(bundle))
}

fn not_open(bundle: &BundleId) -> Problem {
    Problem::with_detail(StatusCode::NOT_FOUND, format!("bundle {bundle} is not open here: export again"))
}

fn whole(bytes: Bytes, media_type: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CONTENT_LENGTH, bytes.len().into());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = Body::from(bytes);
    response
}

/// The first byte of a range that is open at its end, the only one that is understood; of any other there is no range.
fn from_byte(range: &HeaderValue) -> Option<u64> {
    let digits = range.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?;
    // A sign is no digit, though the parser takes one.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Numbers and words are always a value.
fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

struct VolumeBody(VolumeStream);

impl http_body::Body for VolumeBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_next(context).map(|next| next.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.left_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_range_that_is_open_at_its_end_is_understood() {
        let of = |text: &str| from_byte(&HeaderValue::from_str(text).unwrap());
        assert_eq!(of("bytes=0-"), Some(0));
        assert_eq!(of("bytes=4096-"), Some(4096));
        for other in
            ["bytes=0-1", "bytes=-5", "bytes=1-,3-", "bytes=+1-", "bytes=", "items=1-", "bytes=99999999999999999999-"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
