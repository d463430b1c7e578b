//! Where missing bytes come from: an upstream, as pulling sees it.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

use bytes::Bytes;

use super::upstream::Upstream;
use crate::client::{ClientError, Download};
use crate::model::Blake3Digest;

/// Why a source gave nothing, or stopped in the middle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It cannot be reached, or the connection broke; the sentence says how.
    #[error("{0}")]
    Away(String),
    /// It answers, but does not have the bytes now.
    #[error("the upstream does not have them")]
    NotThere,
    /// It answers with something that cannot be what was asked for; the sentence says what.
    #[error("{0}")]
    Nonsense(String),
}

/// What a source does, while it does it.
pub type SourceFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, SourceError>> + Send + 'a>>;

/// Bytes of a blob as they come in.
pub trait RangeBody: Send {
    /// The next of them; `None` after the last.
    fn next(&mut self) -> SourceFuture<'_, Option<Bytes>>;
}

/// Somebody who has blobs. Nothing that comes from it is believed before it was checked against the blob's digest.
pub trait BlobSource: Send + Sync + 'static {
    /// The chaining values of the blob's groups, in order.
    fn groups<'a>(&'a self, blob: &'a Blake3Digest) -> SourceFuture<'a, Vec<[u8; 32]>>;

    /// These bytes of the blob. Returns once the source has begun to answer.
    fn range<'a>(&'a self, blob: &'a Blake3Digest, range: Range<u64>) -> SourceFuture<'a, Box<dyn RangeBody>>;
}

impl BlobSource for Upstream {
    fn groups<'a>(&'a self, blob: &'a Blake3Digest) -> SourceFuture<'a, Vec<[u8; 32]>> {
        Box::pin(async { Self::groups(self, blob).await.map_err(SourceError::from) })
    }

    fn range<'a>(&'a self, blob: &'a Blake3Digest, range: Range<u64>) -> SourceFuture<'a, Box<dyn RangeBody>> {
        Box::pin(async { Ok(Box::new(self.blob_range(blob, range).await?) as Box<dyn RangeBody>) })
    }
}

impl RangeBody for Download {
    fn next(&mut self) -> SourceFuture<'_, Option<Bytes>> {
        Box::pin(async { Self::next(self).await.map_err(SourceError::from) })
    }
}

impl From<ClientError> for SourceError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(problem) if problem.status == 404 => Self::NotThere,
            ClientError::NotUnderstood { .. } => Self::Nonsense(error.to_string()),
            error => Self::Away(error.to_string()),
        }
    }
}
