//! Sending pieces of volumes: a file's bytes from a place on, read as they are sent.

use std::io::SeekFrom;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;
use tokio::fs::File;
use tokio::io::AsyncSeekExt as _;

use super::body::{FileBody, RequestBody, Sent};
use super::{Client, ClientError};

/// How the sending of a piece ended.
#[derive(Debug)]
pub enum SentPiece {
    /// All of it went, and the server's answer came.
    Answered(Value),
    /// The file could not be read on from this place; what was sent before it, the server keeps.
    Unreadable {
        /// Where.
        at: u64,
        /// Why.
        why: String,
    },
}

impl Client {
    /// `PUT path` with the bytes of a file from `offset` on, `size` of them. `progress` is told the place in the file that
    /// was reached.
    ///
    /// # Errors
    /// The server refuses, or cannot be reached to the end.
    pub async fn put_piece(
        &self,
        path: &str,
        file: std::fs::File,
        (offset, size): (u64, u64),
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<SentPiece, ClientError> {
        let unreadable = |cause: std::io::Error| SentPiece::Unreadable { at: offset, why: cause.to_string() };
        let mut open = File::from_std(file);
        if let Err(cause) = open.seek(SeekFrom::Start(offset)).await {
            return Ok(unreadable(cause));
        }
        let sent = Arc::new(Mutex::new(Sent::default()));
        let body = FileBody::new(open, offset, offset.saturating_add(size), Arc::clone(&sent));
        let outcome = self.put_body(path, body, &sent, progress).await;
        let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        match &sent.failure {
            Some(why) => Ok(SentPiece::Unreadable { at: sent.position, why: why.clone() }),
            None => outcome.map(SentPiece::Answered),
        }
    }

    async fn put_body(
        &self,
        path: &str,
        body: FileBody,
        sent: &Mutex<Sent>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Value, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let exchange = async {
            let response = self.send(Method::PUT, path, headers, RequestBody::File(body)).await?;
            let (status, bytes) = self.read(response).await?;
            self.accept(status, &bytes)
        };
        self.watched(exchange, sent, 0, progress).await
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.call(Method::DELETE, path, HeaderMap::new(), bytes::Bytes::new()).await
    }
}
