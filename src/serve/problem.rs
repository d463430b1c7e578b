//! Problem documents (RFC 9457): how a refusal looks, on both listeners.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{Blake3Digest, GateFinding, GivenReceipt};

/// The media type of a problem document.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A refusal: a status and a sentence for the client. What the client must not learn is logged where it is known, and
/// never put here.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

/// Boxed, so that a `Result` with a problem in it stays small.
#[derive(Debug, Clone)]
struct Parts {
    kind: &'static str,
    status: StatusCode,
    detail: Option<String>,
    headers: HeaderMap,
    findings: Vec<GateFinding>,
    missing: Vec<Blake3Digest>,
    receipt: Option<GivenReceipt>,
}

/// The body of a problem document.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDocument<'a> {
    /// `about:blank` where the status says all, else a URI that names the kind of problem.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// What is wrong, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// Everything that the release gates found, each with its gate and artifact.
    #[serde(skip_serializing_if = "<[GateFinding]>::is_empty")]
    #[schema(value_type = Vec<Object>)]
    findings: &'a [GateFinding],
    /// Objects that are not here, at most 1,000.
    #[serde(skip_serializing_if = "<[Blake3Digest]>::is_empty")]
    #[schema(value_type = Vec<String>)]
    missing: &'a [Blake3Digest],
    /// The receipt that this offline site has given about the bundle that it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    receipt: Option<&'a GivenReceipt>,
}

impl Problem {
    /// A problem that says no more than its status.
    pub fn new(status: StatusCode) -> Self {
        Self(Box::new(Parts {
            kind: "about:blank",
            status,
            detail: None,
            headers: HeaderMap::new(),
            findings: Vec::new(),
            missing: Vec::new(),
            receipt: None,
        }))
    }

    /// A problem with a sentence.
    pub fn with_detail(status: StatusCode, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(status);
        problem.0.detail = Some(detail.into());
        problem
    }

    /// The client must come with a credential, or with a better one.
    pub fn unauthorized(detail: &str) -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"ringfence\"");
        Self::with_detail(StatusCode::UNAUTHORIZED, detail).header(WWW_AUTHENTICATE, challenge)
    }

    /// The server failed; why stands in the log.
    pub fn internal() -> Self {
        Self::with_detail(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log says why")
    }

    /// It may work in a while.
    pub fn try_again(retry_after_s: u32, detail: &str) -> Self {
        Self::with_detail(StatusCode::SERVICE_UNAVAILABLE, detail).header(RETRY_AFTER, retry_after_s.into())
    }

    /// The resource knows only these methods.
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, HeaderValue::from_static(allowed))
    }

    /// Of a kind that programs tell apart from others of the same status, named by a URI.
    pub fn of_type(mut self, kind: &'static str) -> Self {
        self.0.kind = kind;
        self
    }

    /// With what the release gates found.
    pub fn with_findings(mut self, findings: Vec<GateFinding>) -> Self {
        self.0.findings = findings;
        self
    }

    /// With the objects that are not here.
    pub fn with_missing(mut self, missing: Vec<Blake3Digest>) -> Self {
        self.0.missing = missing;
        self
    }

    /// With the receipt about it.
    pub fn with_receipt(mut self, receipt: GivenReceipt) -> Self {
        self.0.receipt = Some(receipt);
        self
    }

    /// With one more header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its sentence.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The whole answer.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let Parts { kind, status, detail, mut headers, findings, missing, receipt } = *self.0;
        let document = ProblemDocument {
            r#type: kind,
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: detail.as_deref(),
            findings: &findings,
            missing: &missing,
            receipt: receipt.as_ref(),
        };
        // Strings and a number always become JSON.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(CONTENT_LENGTH, body.len().into());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let mut response = Response::new(Bytes::from(body).into());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_status_title_and_detail() {
        let response: Response<Bytes> =
            Problem::with_detail(StatusCode::CONFLICT, "version 1 \"exists\"").into_response();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let expected = r#"{"type":"about:blank","title":"Conflict","status":409,"detail":"version 1 \"exists\""}"#;
        assert_eq!(response.headers()[CONTENT_LENGTH], expected.len().to_string());
        assert_eq!(response.body(), expected);
    }

    #[test]
    fn a_challenge_comes_with_401() {
        let response: Response<Bytes> = Problem::unauthorized("come with a token").into_response();
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer realm=\"ringfence\"");
    }
}
