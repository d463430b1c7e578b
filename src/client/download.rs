//! Answers that are asked for again and again, and bodies that are read as they come.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::Value;

use super::body::RequestBody;
use super::{Client, ClientError, Problem};

/// An answer with the tag under which the server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// To be shown when asking again.
    pub etag: Option<String>,
    /// The answer's bytes.
    pub body: Bytes,
}

/// A body on its way.
#[derive(Debug)]
pub struct Download {
    body: Incoming,
    left_bytes: u64,
    wait: Duration,
    server: String,
}

impl Client {
    /// `GET path`, unless the answer is still the one with `etag`: then `None`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn get_if_changed(&self, path: &str, etag: Option<&str>) -> Result<Option<Tagged>, ClientError> {
        let mut headers = HeaderMap::new();
        if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
            headers.insert(header::IF_NONE_MATCH, etag);
        }
        let wait = self.options.answer_timeout;
        let exchange = async {
            let response = self.send(Method::GET, path, headers, nothing()).await?;
            if response.status() == StatusCode::NOT_MODIFIED {
                return Ok(None);
            }
            let etag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
            let (status, body) = self.read(response).await?;
            if !status.is_success() {
                return Err(ClientError::Refused(Problem::read(status.as_u16(), &body)));
            }
            Ok(Some(Tagged { etag, body }))
        };
        tokio::time::timeout(wait, exchange).await.map_err(|_| self.timed_out(wait))?
    }

    /// `PUT path` with a JSON body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.call(Method::PUT, path, headers, Bytes::from(body.to_string())).await
    }

    /// `GET path`, returning once the answer's head is there. Each piece of the body may then take as long as a whole
    /// answer may.
    ///
    /// # Errors
    /// As [`Client::get`]; an answer that does not declare its length is not understood.
    pub async fn download(&self, path: &str) -> Result<Download, ClientError> {
        self.download_from(path, 0).await
    }

    /// As [`Client::download`], from a byte on.
    ///
    /// # Errors
    /// As [`Client::download`]; an answer that begins elsewhere is not understood.
    pub async fn download_from(&self, path: &str, from: u64) -> Result<Download, ClientError> {
        let wait = self.options.answer_timeout;
        let mut headers = HeaderMap::new();
        let range = (from > 0).then(|| HeaderValue::try_from(format!("bytes={from}-")).ok()).flatten();
        let is_part = range.is_some();
        headers.extend(range.map(|range| (header::RANGE, range)));
        let head = self.send(Method::GET, path, headers, nothing());
        let response = tokio::time::timeout(wait, head).await.map_err(|_| self.timed_out(wait))??;
        if !response.status().is_success() {
            let (status, bytes) = self.read(response).await?;
            return Err(ClientError::Refused(Problem::read(status.as_u16(), &bytes)));
        }
        let server = self.endpoint.to_string();
        if is_part != (response.status() == StatusCode::PARTIAL_CONTENT) {
            return Err(ClientError::NotUnderstood { server, what: "the body begins at another byte".to_owned() });
        }
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let Some(left_bytes) = length else {
            return Err(ClientError::NotUnderstood { server, what: "the body has no length".to_owned() });
        };
        Ok(Download { body: response.into_body(), left_bytes, wait, server })
    }
}

impl Download {
    /// The bytes that are still to come.
    pub fn left_bytes(&self) -> u64 {
        self.left_bytes
    }

    /// The next piece; `None` at the end of the declared length.
    ///
    /// # Errors
    /// The connection broke before that, or nothing came for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while self.left_bytes > 0 {
            let frame = tokio::time::timeout(self.wait, self.body.frame()).await;
            let frame = frame.map_err(|_| self.broken(format!("nothing came for {} s", self.wait.as_secs())))?;
            let Some(frame) = frame else {
                return Err(self.broken(format!("{} bytes are missing", self.left_bytes)));
            };
            let frame = frame.map_err(|cause| self.broken(cause.to_string()))?;
            if let Ok(bytes) = frame.into_data()
                && !bytes.is_empty()
            {
                self.left_bytes = self.left_bytes.saturating_sub(bytes.len() as u64);
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn broken(&self, cause: String) -> ClientError {
        ClientError::Broken { server: self.server.clone(), cause }
    }
}

fn nothing() -> RequestBody {
    RequestBody::Whole(Full::new(Bytes::new()))
}
