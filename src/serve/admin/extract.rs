//! Reading a request: paths, queries and JSON bodies, with problem documents for what is malformed.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::AdminServices;
use crate::serve::problem::Problem;

/// The variables of the path. A name that is none is 404: nothing is there.
pub(super) struct InPath<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<AdminServices>> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Arc<AdminServices>) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, services).await;
        path.map(|Path(value)| Self(value))
            .map_err(|error| Problem::with_detail(StatusCode::NOT_FOUND, error.body_text()))
    }
}

/// The parameters of the query; unknown ones are an error.
pub(super) struct InQuery<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<AdminServices>> for InQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Arc<AdminServices>) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, services).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|error| Problem::with_detail(StatusCode::BAD_REQUEST, error.body_text()))
    }
}

/// A JSON body.
pub(super) struct Sent<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<AdminServices>> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, services: &Arc<AdminServices>) -> Result<Self, Problem> {
        let bytes = read(request, services.json_body_max_bytes).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let detail = format!("the body is not the JSON that is expected here: {error}");
            Problem::with_detail(StatusCode::BAD_REQUEST, detail)
        })
    }
}

/// A body of UTF-8 text.
pub(super) struct SentText(pub(super) String);

impl FromRequest<Arc<AdminServices>> for SentText {
    type Rejection = Problem;

    async fn from_request(request: Request, services: &Arc<AdminServices>) -> Result<Self, Problem> {
        let text = String::from_utf8(read(request, services.json_body_max_bytes).await?.into());
        text.map(Self).map_err(|_| Problem::with_detail(StatusCode::BAD_REQUEST, "the body is not UTF-8 text"))
    }
}

async fn read(request: Request, max_bytes: usize) -> Result<Bytes, Problem> {
    let body = Limited::new(request.into_body(), max_bytes).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let detail =
                format!("a body has at most {max_bytes} bytes here (limits.json_body_max_bytes); send it in parts");
            Problem::with_detail(StatusCode::PAYLOAD_TOO_LARGE, detail)
        } else {
            Problem::with_detail(StatusCode::REQUEST_TIMEOUT, "the body did not come whole")
        }
    })?;
    Ok(body.to_bytes())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        Problem::into_response(self)
    }
}
