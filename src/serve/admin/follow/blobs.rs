//! Blobs straight from the store: whoever follows may have them all.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::super::AdminServices;
use super::super::access::{Person, Services};
use super::super::extract::InPath;
use super::super::refusals::failed;
use super::super::shares::off_thread;
use crate::model::Blake3Digest;
use crate::serve::http::range::{Selection, select};
use crate::serve::problem::Problem;
use crate::store::{BlobStore as _, group_values};

/// The bytes of a blob, or one range of them. More than one is answered with the whole.
#[utoipa::path(get, path = "/v1/follow/blobs/{blake3}",
    params(("blake3" = String, Path), ("Range" = Option<String>, Header)), responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "it is not in the store"),
        (status = 416, description = "no byte of it lies in the range"),
    ))]
pub(in crate::serve::admin) async fn blob(
    services: Services,
    person: Person,
    InPath(blake3): InPath<Blake3Digest>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    person.on_everything()?;
    let bytes = off_thread(move || stored(&services, &blake3)).await?;
    let length = bytes.len() as u64;
    let asked = headers.get(RANGE).map_or(Selection::Whole, |range| select(range.as_bytes(), length));
    let (status, bytes, content_range) = match asked {
        Selection::One(range) => {
            // Resolved against the length, which fits.
            let (first, last) = (range.first as usize, range.last as usize);
            let told = format!("bytes {first}-{last}/{length}");
            (StatusCode::PARTIAL_CONTENT, bytes.slice(first..=last), Some(told))
        }
        Selection::Unsatisfiable => {
            (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), Some(format!("bytes */{length}")))
        }
        Selection::Whole | Selection::Several(_) => (StatusCode::OK, bytes, None),
    };
    let mut response = answer(bytes);
    *response.status_mut() = status;
    response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(value) = content_range.and_then(|told| HeaderValue::try_from(told).ok()) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    Ok(response)
}

/// The chaining values of a blob's groups of 1 MiB, 32 bytes each: by them each group can be checked alone, and they
/// themselves against the blob's digest.
#[utoipa::path(get, path = "/v1/follow/blobs/{blake3}/groups", params(("blake3" = String, Path)), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = 404, description = "it is not in the store"),
))]
pub(in crate::serve::admin) async fn groups(
    services: Services,
    person: Person,
    InPath(blake3): InPath<Blake3Digest>,
) -> Result<Response, Problem> {
    person.on_everything()?;
    let values = off_thread(move || Ok(group_values(&stored(&services, &blake3)?).concat())).await?;
    Ok(answer(values.into()))
}

fn stored(services: &AdminServices, blake3: &Blake3Digest) -> Result<Bytes, Problem> {
    let store = services.catalog.store();
    let none = || Problem::with_detail(StatusCode::NOT_FOUND, format!("there is no blob {blake3} in the store"));
    let size = store.size(blake3).map_err(|error| failed(&error))?.ok_or_else(none)?;
    let body = services.catalog.body(blake3, size).map_err(|error| failed(&error))?;
    body.ok_or_else(none)
}

fn answer(bytes: Bytes) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, bytes.len().into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = Body::from(bytes);
    response
}
