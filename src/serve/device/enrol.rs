//! `POST /v1/enrol`: a code that an admin gave a device, for the device's own token or certificate.
//!
//! The code alone says which device it is: no other credential, header or name in the body is looked at. Every code
//! that is not good is answered with the same bytes, and each counts against the address that it came from.

mod wrong_codes;

use std::time::Instant;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::offer::peer_address;
use super::{Answer, Backend, Inner, Problem, RequestBody, read_body};
use crate::model::DeviceId;
use crate::serve::http::BytesBody;
pub(super) use wrong_codes::WrongCodes;

/// Longest body of a request, in bytes: a code and a certificate request with an RSA key of 8,192 bits.
const BODY_MAX_BYTES: usize = 16 * 1024;

/// What a device sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    code: String,
    #[serde(default)]
    csr: Option<String>,
}

/// A device has a credential from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enrolled {
    /// The device that the code was for.
    pub device: DeviceId,
    /// What it proves itself with.
    #[serde(flatten)]
    pub credential: EnrolledCredential,
}

/// What a device proves itself with.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EnrolledCredential {
    /// A bearer token.
    Token {
        /// Its secret, told this once.
        token: String,
        /// Until when it is taken.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// A certificate.
    Certificate {
        /// It and its issuers, as PEM.
        certificate: String,
        /// Until when it is good.
        not_after: Timestamp,
    },
}

impl std::fmt::Debug for EnrolledCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token { .. } => "Token(…)",
            Self::Certificate { .. } => "Certificate(…)",
        })
    }
}

/// Why a device did not enrol; its code is as good as before.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The code is unknown, used, expired or malformed, or its device is denied.
    #[error("the code is not valid")]
    BadCode,
    /// The request for a certificate is not taken; the sentence is for the device.
    #[error("{0}")]
    BadRequest(String),
    /// Devices are enrolled elsewhere; the sentence, for the device, says where.
    #[error("{0}")]
    Elsewhere(String),
    /// Nothing can be given now; the sentence is for the log.
    #[error("{0}")]
    Unavailable(String),
}

impl<B: Backend> Inner<B> {
    pub(super) async fn enrol(&self, request: Request<RequestBody>) -> Answer {
        let address = peer_address(&request);
        if let Some(wait_s) = address.and_then(|address| self.wrong_codes.blocked_s(address, Instant::now())) {
            let detail = "too many wrong codes came from this address; wait a while";
            return Err(Problem::with_detail(StatusCode::TOO_MANY_REQUESTS, detail)
                .header(RETRY_AFTER, wait_s.into())
                .into());
        }
        let body = read_body(request, BODY_MAX_BYTES).await?;
        let Claim { code, csr } = serde_json::from_slice(&body).map_err(|_| {
            // What serde says could repeat the code.
            let detail = "the body is not {\"code\": \"rfe_…\"}, with a \"csr\" in PEM for a certificate";
            Problem::with_detail(StatusCode::BAD_REQUEST, detail)
        })?;
        match self.backend.enrol(code, csr).await {
            Ok(enrolled) => Ok(created(&enrolled)?),
            Err(error) => {
                if let (EnrolError::BadCode, Some(address)) = (&error, address) {
                    tracing::warn!(%address, "a code that is not valid was sent to enrol a device");
                    self.wrong_codes.count(address, Instant::now());
                }
                Err(refused(error).into())
            }
        }
    }
}

fn created(enrolled: &Enrolled) -> Result<Response<BytesBody>, Problem> {
    let text = serde_json::to_vec(enrolled).map_err(|error| {
        tracing::error!(%error, "an enrolment cannot be rendered");
        Problem::internal()
    })?;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(CONTENT_LENGTH, text.len().into());
    Ok(response.map(|()| BytesBody::from(Bytes::from(text))))
}

/// The one place where a failure to enrol becomes an answer.
fn refused(error: EnrolError) -> Problem {
    match error {
        EnrolError::BadCode => Problem::with_detail(StatusCode::FORBIDDEN, "the code is not valid"),
        EnrolError::BadRequest(detail) => Problem::with_detail(StatusCode::BAD_REQUEST, detail),
        EnrolError::Elsewhere(detail) => {
            Problem::with_detail(StatusCode::CONFLICT, detail).of_type("urn:ringfence:read-only")
        }
        EnrolError::Unavailable(error) => {
            tracing::error!(error, "a device cannot be enrolled");
            Problem::try_again(60, "devices cannot be enrolled at the moment")
        }
    }
}
