//! Uploads that survive a broken connection: the server is asked how far it got, and the rest is sent.

use std::io::SeekFrom;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncSeekExt as _;

use super::body::{FileBody, RequestBody, Sent};
use super::{Client, ClientError};
use crate::model::Blake3Digest;

const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// How often progress is reported and a stall looked for.
const TICK: Duration = Duration::from_millis(100);

/// How uploads are retried.
#[derive(Debug, Clone)]
pub struct UploadOptions {
    /// Failures in a row, without any byte arriving between them, after which the upload is given up.
    pub attempts_without_progress_max: u32,
    /// The pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// How long nothing may move before the connection counts as broken.
    pub stall_timeout: Duration,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            attempts_without_progress_max: 6,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(120),
        }
    }
}

/// A file that the server holds whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The upload's name on the server, for the release that takes it.
    pub id: String,
    /// The file's length in bytes.
    pub size: u64,
    /// The digest of the bytes as they were read here: declared with the release, so that the server can tell whether
    /// it received the same.
    pub blake3: Option<Blake3Digest>,
    /// How often the upload was taken up again.
    pub resumed: u32,
}

#[derive(Deserialize)]
struct Created {
    id: String,
    #[serde(default)]
    offset: u64,
}

impl Client {
    /// Sends a file, in pieces as small as the network makes them and never whole in memory. `progress` is told the
    /// bytes read so far, now and then; after a broken connection it may be told fewer than before.
    ///
    /// # Errors
    /// The file cannot be read or changes its length; the server refuses; or the connection broke too often without
    /// any progress between.
    pub async fn upload(&self, path: &Path, progress: &(dyn Fn(u64) + Sync)) -> Result<Uploaded, ClientError> {
        let file_error =
            |cause: std::io::Error| ClientError::File { path: path.display().to_string(), cause: cause.to_string() };
        let metadata = tokio::fs::metadata(path).await.map_err(file_error)?;
        if !metadata.is_file() {
            return Err(file_error(std::io::Error::other("it is not a file")));
        }
        let size = metadata.len();
        let created = self.create_upload(size).await?;
        let sent = Arc::new(Mutex::new(Sent::default()));
        let mut offset = created.offset;
        let (mut failures, mut resumed) = (0, 0);
        while offset < size {
            let mut file = File::open(path).await.map_err(file_error)?;
            file.seek(SeekFrom::Start(offset)).await.map_err(file_error)?;
            let body = FileBody::new(file, offset, size, Arc::clone(&sent));
            let failure = match self.send_part(&created.id, offset, body, &sent, progress).await {
                Ok(reached) => {
                    offset = reached;
                    continue;
                }
                Err(failure) => failure,
            };
            if let Some(cause) = sent.lock().unwrap_or_else(PoisonError::into_inner).failure.take() {
                return Err(ClientError::File { path: path.display().to_string(), cause });
            }
            let reached = self.take_up(&created.id, offset, failure, &mut failures).await?;
            failures = if reached > offset { 0 } else { failures };
            offset = reached;
            resumed += 1;
        }
        progress(size);
        let digest = sent.lock().unwrap_or_else(PoisonError::into_inner).digest(size);
        Ok(Uploaded { id: created.id, size, blake3: digest.map(Blake3Digest::from_bytes), resumed })
    }

    async fn create_upload(&self, size: u64) -> Result<Created, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(LENGTH, HeaderValue::from(size));
        let answer = self.call(Method::POST, "/v1/uploads", headers, Bytes::new()).await?;
        serde_json::from_value(answer).map_err(|cause| self.not_understood(&cause.to_string()))
    }

    /// Sends the rest of the file from `offset` on; returns the offset that the server confirms.
    async fn send_part(
        &self,
        id: &str,
        offset: u64,
        body: FileBody,
        sent: &Mutex<Sent>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<u64, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(OFFSET, HeaderValue::from(offset));
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/offset+octet-stream"));
        let path = upload_path(id);
        let exchange = async {
            let response = self.send(Method::PATCH, &path, headers, RequestBody::File(body)).await?;
            let confirmed = offset_of(&response);
            let (status, bytes) = self.read(response).await?;
            self.accept(status, &bytes)?;
            confirmed.filter(|reached| *reached > offset).ok_or_else(|| self.not_understood("no Upload-Offset"))
        };
        self.watched(exchange, sent, offset, progress).await
    }

    /// An exchange that sends a file from `from` on: tells how far it is, and gives it up when nothing moves any more.
    pub(super) async fn watched<T>(
        &self,
        exchange: impl Future<Output = Result<T, ClientError>>,
        sent: &Mutex<Sent>,
        from: u64,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<T, ClientError> {
        tokio::pin!(exchange);
        let mut ticks = tokio::time::interval(TICK);
        let (mut last, mut quiet) = (from, Duration::ZERO);
        loop {
            tokio::select! {
                answer = &mut exchange => return answer,
                _ = ticks.tick() => {}
            }
            let position = sent.lock().unwrap_or_else(PoisonError::into_inner).position;
            quiet = if position == last { quiet + TICK } else { Duration::ZERO };
            last = position;
            if quiet >= self.options.upload.stall_timeout {
                return Err(self.timed_out(quiet));
            }
            progress(position);
        }
    }

    /// After a failed part: waits, and asks the server how far it got. Gives up after too many failures, and at once
    /// when the server's answer will not change.
    async fn take_up(
        &self,
        id: &str,
        offset: u64,
        failure: ClientError,
        failures: &mut u32,
    ) -> Result<u64, ClientError> {
        let UploadOptions { attempts_without_progress_max, first_pause, longest_pause, .. } = self.options.upload;
        let mut failure = failure;
        loop {
            *failures += 1;
            let passing = match &failure {
                ClientError::Broken { .. } | ClientError::Unreachable { .. } => true,
                ClientError::Refused(problem) => problem.may_pass(),
                _ => false,
            };
            if !passing || *failures > attempts_without_progress_max {
                return Err(failure);
            }
            let pause = first_pause.saturating_mul(1 << (*failures - 1).min(16)).min(longest_pause);
            tokio::time::sleep(pause).await;
            match self.confirmed_offset(id).await {
                Ok(reached) => return Ok(reached),
                Err(ClientError::Refused(problem)) if problem.status == 404 => {
                    let detail = format!("the server no longer knows the upload, after {offset} bytes; publish again");
                    return Err(ClientError::Refused(super::Problem { detail: Some(detail), ..problem }));
                }
                Err(error) => failure = error,
            }
        }
    }

    async fn confirmed_offset(&self, id: &str) -> Result<u64, ClientError> {
        let wait = self.options.answer_timeout;
        let asked = async {
            let body = RequestBody::Whole(Full::new(Bytes::new()));
            let response = self.send(Method::HEAD, &upload_path(id), HeaderMap::new(), body).await?;
            let offset = offset_of(&response);
            let (status, bytes) = self.read(response).await?;
            self.accept(status, &bytes)?;
            offset.ok_or_else(|| self.not_understood("no Upload-Offset"))
        };
        tokio::time::timeout(wait, asked).await.map_err(|_| self.timed_out(wait))?
    }

    fn not_understood(&self, what: &str) -> ClientError {
        ClientError::NotUnderstood { server: self.endpoint.to_string(), what: what.to_owned() }
    }
}

fn upload_path(id: &str) -> String {
    format!("/v1/uploads/{id}")
}

fn offset_of(response: &Response<Incoming>) -> Option<u64> {
    response.headers().get(OFFSET)?.to_str().ok()?.parse().ok()
}
