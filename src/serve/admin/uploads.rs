//! Uploads: bytes on their way to a release, sent in parts that can be resumed.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::access::{Person, Services};
use super::extract::InPath;
use super::refusals::UPLOAD_OFFSET;
use crate::publish::{UploadId, UploadStatus};
use crate::serve::problem::Problem;

static UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");

/// How far an upload is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UploadAnswer {
    id: String,
    /// Bytes that have arrived: where the next part begins.
    offset: u64,
    /// Bytes that were announced.
    length: u64,
    complete: bool,
}

impl UploadAnswer {
    fn new(id: &UploadId, status: UploadStatus) -> Self {
        Self { id: id.to_string(), offset: status.offset, length: status.length, complete: status.is_complete() }
    }
}

/// Opens an upload of exactly `Upload-Length` bytes.
#[utoipa::path(post, path = "/v1/uploads", params(("Upload-Length" = u64, Header)), responses(
    (status = 201, body = UploadAnswer, headers(("Location" = String))),
    (status = 413, description = "larger than this server takes"),
    (status = 507, description = "no space is left"),
))]
pub(super) async fn open(State(services): Services, person: Person, headers: HeaderMap) -> Result<Response, Problem> {
    let length = number(&headers, &UPLOAD_LENGTH)?;
    let uploads = services.publisher.uploads();
    let id = uploads.create(person.on_own_uploads(), length).await?;
    let status = uploads.status(person.on_own_uploads(), &id).await?;
    let location =
        HeaderValue::try_from(format!("/v1/uploads/{id}")).map_err(|error| super::refusals::failed(&error))?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(UploadAnswer::new(&id, status))).into_response())
}

/// How far an upload is; HEAD tells it in the headers.
#[utoipa::path(get, path = "/v1/uploads/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = UploadAnswer, headers(("Upload-Offset" = u64), ("Upload-Length" = u64))),
    (status = 404, description = "no such upload of yours"),
))]
pub(super) async fn show(
    State(services): Services,
    person: Person,
    InPath(id): InPath<String>,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    let status = services.publisher.uploads().status(person.on_own_uploads(), &id).await?;
    let headers = [
        (UPLOAD_OFFSET.clone(), HeaderValue::from(status.offset)),
        (UPLOAD_LENGTH.clone(), HeaderValue::from(status.length)),
    ];
    Ok((headers, Json(UploadAnswer::new(&id, status))).into_response())
}

/// Appends bytes from `Upload-Offset` on. What arrived before a broken connection is kept.
#[utoipa::path(patch, path = "/v1/uploads/{id}", params(("id" = String, Path), ("Upload-Offset" = u64, Header)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
        (status = 204, headers(("Upload-Offset" = u64))),
        (status = 409, description = "go on at the Upload-Offset of this answer", headers(("Upload-Offset" = u64))),
        (status = 413, description = "more bytes than announced; the upload is dropped"),
    ))]
pub(super) async fn append(
    State(services): Services,
    person: Person,
    InPath(id): InPath<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    let offset = number(request.headers(), &UPLOAD_OFFSET)?;
    let uploads = services.publisher.uploads();
    let status = uploads.append(person.on_own_uploads(), &id, offset, request.into_body()).await?;
    Ok((StatusCode::NO_CONTENT, [(UPLOAD_OFFSET.clone(), HeaderValue::from(status.offset))]).into_response())
}

/// Drops an upload.
#[utoipa::path(delete, path = "/v1/uploads/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = 404, description = "no such upload of yours")))]
pub(super) async fn drop_one(
    State(services): Services,
    person: Person,
    InPath(id): InPath<String>,
) -> Result<StatusCode, Problem> {
    services.publisher.uploads().drop_upload(person.on_own_uploads(), &read_id(&id)?)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is no id is no upload.
fn read_id(text: &str) -> Result<UploadId, Problem> {
    text.parse().map_err(|why: &'static str| Problem::with_detail(StatusCode::NOT_FOUND, why))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Problem> {
    let mut values = headers.get_all(name).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    };
    // A sign is no digit, though the parser takes one.
    let value = value.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    value.and_then(|text| text.parse().ok()).ok_or_else(|| {
        let detail = format!("one header {name} with a number of bytes is needed");
        Problem::with_detail(StatusCode::BAD_REQUEST, detail)
    })
}
