//! Answers that are bytes: lines of a journal, and stretches of a blob.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;

use super::body::RequestBody;
use super::{Client, ClientError, Download, Problem};

impl Client {
    /// `GET path`, answered with at most `max_bytes`.
    ///
    /// # Errors
    /// As [`Client::get`]; a longer answer is broken off.
    pub async fn get_bytes(&self, path: &str, max_bytes: usize) -> Result<Bytes, ClientError> {
        let wait = self.options.answer_timeout;
        let exchange = async {
            let response = self.send(Method::GET, path, HeaderMap::new(), nothing()).await?;
            if !response.status().is_success() {
                return Err(self.refusal(response).await?);
            }
            let collected = Limited::new(response.into_body(), max_bytes).collect().await;
            Ok(collected.map_err(|cause| self.broken(&*cause))?.to_bytes())
        };
        tokio::time::timeout(wait, exchange).await.map_err(|_| self.timed_out(wait))?
    }

    /// `GET path` for these bytes of it, returning once the answer's head is there. An answer with other bytes than
    /// those is not understood.
    ///
    /// # Errors
    /// As [`Client::download`].
    pub async fn download_range(&self, path: &str, range: Range<u64>) -> Result<Download, ClientError> {
        let wait = self.options.answer_timeout;
        let mut headers = HeaderMap::new();
        let asked = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        if let Ok(value) = HeaderValue::try_from(asked) {
            headers.insert(header::RANGE, value);
        }
        let head = self.send(Method::GET, path, headers, nothing());
        let response = tokio::time::timeout(wait, head).await.map_err(|_| self.timed_out(wait))??;
        if !response.status().is_success() {
            return Err(self.refusal(response).await?);
        }
        let not_understood = |what: String| ClientError::NotUnderstood { server: self.endpoint.to_string(), what };
        let given = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let expected = format!("bytes {}-{}/", range.start, range.end.saturating_sub(1));
        if response.status() != StatusCode::PARTIAL_CONTENT || !given.is_some_and(|given| given.starts_with(&expected))
        {
            return Err(not_understood(format!("the answer is not {}", expected.trim_end_matches('/'))));
        }
        Ok(self.body_of(response, range.end - range.start, wait))
    }

    async fn refusal(&self, response: http::Response<Incoming>) -> Result<ClientError, ClientError> {
        let (status, bytes) = self.read(response).await?;
        Ok(ClientError::Refused(Problem::read(status.as_u16(), &bytes)))
    }
}

fn nothing() -> RequestBody {
    RequestBody::Whole(Full::new(Bytes::new()))
}
