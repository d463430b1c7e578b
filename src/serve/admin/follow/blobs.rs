//! Blobs straight from the store: whoever follows may have them all.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::super::AdminServices;
use super::super::access::{Person, Services};
use super::super::extract::InPath;
use super::super::refusals::failed;
use super::super::shares::off_thread;
use crate::mirror::{Pulls, Urgency, object_of};
use crate::model::{Blake3Digest, ObjectRef};
use crate::serve::http::range::{Selection, select};
use crate::serve::http::{Representation, plan};
use crate::serve::problem::Problem;
use crate::serve::pulled::{FIRST_WORD, pulled};
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
    let pulled_by = services.clone();
    let bytes = match off_thread(move || Ok(stored(&services, &blake3))).await? {
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            return pulled_through(&pulled_by, &blake3, &headers, problem).await;
        }
        stored => stored?,
    };
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
    let pulled_by = services.clone();
    let values = off_thread(move || Ok(stored(&services, &blake3).map(|bytes| group_values(&bytes).concat()))).await?;
    match values {
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            let (pulls, object) = coming(&pulled_by, &blake3).ok_or(problem)?;
            let pull = pulls.pull(object, Urgency::OnDemand).map_err(|error| away(&error))?;
            let values = tokio::time::timeout(FIRST_WORD, pull.values()).await.map_err(|_| away(&"nothing comes"))?;
            Ok(answer(values.map_err(|error| away(&error))?.concat().into()))
        }
        values => Ok(answer(values?.into())),
    }
}

/// A blob that is not here, as this mirror's own upstream gives it.
async fn pulled_through(
    services: &AdminServices,
    blake3: &Blake3Digest,
    headers: &HeaderMap,
    missing: Problem,
) -> Result<Response, Problem> {
    let (pulls, object) = coming(services, blake3).ok_or(missing)?;
    let representation = Representation {
        size: object.size,
        blake3: object.blake3,
        sha256: None,
        last_modified: None,
        media_type: HeaderValue::from_static("application/octet-stream"),
        cache_control: Some(HeaderValue::from_static("no-store")),
        longest_transfer: None,
        boundary_salt: 0,
    };
    let mut asked = HeaderMap::new();
    asked.extend(headers.get(RANGE).map(|range| (RANGE, range.clone())));
    let plan = plan(&Method::GET, &asked, &representation);
    let ranges = plan.ranges().iter().map(|range| range.first..range.last + 1).collect();
    let sources = pulled(pulls, object, ranges).await.map_err(|error| away(&error))?;
    Ok(plan.respond_arriving(sources).map(Body::new))
}

/// The pulls of a mirror, for a blob that its journal names.
fn coming<'s>(services: &'s AdminServices, blake3: &Blake3Digest) -> Option<(&'s Pulls, ObjectRef)> {
    let filler = services.follow.filler.as_ref()?;
    Some((filler.pulls(), object_of(&services.catalog.snapshot(), blake3)?))
}

fn away(error: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%error, "a missing blob cannot be passed on");
    Problem::try_again(15, "the blob is not here yet, and the upstream does not give it")
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
