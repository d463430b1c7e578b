//! Why an upload or a publication was refused.

use crate::catalog::{CommitError, ReadOnly};
use crate::gate::Finding;
use crate::journal::JournalError;
use crate::model::{ApplyError, ProductName, ReleaseId, Version};
use crate::store::StoreError;

use super::UploadId;

/// Why an upload cannot go on. Except where it says so, the upload stands as it was.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// No such upload, or another actor's: one answer for both.
    #[error("there is no upload {0}; it may have expired: begin again")]
    Unknown(UploadId),
    /// Larger than the server takes.
    #[error("an upload has at most {max_bytes} bytes, {length} were announced (limits.upload_max_bytes)")]
    TooLarge {
        /// What was announced.
        length: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// Too many at once.
    #[error("{max} uploads are open, as many as the server takes (limits.uploads_open_max); finish or drop one first")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// The client and the server do not agree on where to go on.
    #[error("{expected} bytes have arrived, so the next part begins at {expected}, not at {offset}")]
    WrongOffset {
        /// Where the client wanted to go on.
        offset: u64,
        /// Where it has to.
        expected: u64,
    },
    /// More bytes than announced: the upload is dropped.
    #[error("more bytes arrived than the {length} that were announced; the upload is dropped")]
    TooLong {
        /// What was announced.
        length: u64,
    },
    /// Another request is still writing to it.
    #[error("another request is writing to this upload; wait until it ends")]
    Busy,
    /// The client's stream broke: what arrived is kept.
    #[error("the upload was cut off after {offset} bytes: {why}")]
    Interrupted {
        /// What has arrived in all.
        offset: u64,
        /// What ended it.
        why: String,
    },
    /// Not all bytes have arrived.
    #[error("upload {id} is not complete: {offset} of {length} bytes have arrived")]
    Incomplete {
        /// Which.
        id: UploadId,
        /// What has arrived.
        offset: u64,
        /// What was announced.
        length: u64,
    },
    /// The bytes could not be stored: the upload is dropped.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(std::io::Error),
}

/// Why a release was not published: no device sees anything new. After a refusal the uploads stay until they expire; once
/// blobs were being made durable they are used up.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no such product.
    #[error("there is no product {0}; add it with `ringfence product add {0} --class …`")]
    UnknownProduct(ProductName),
    /// One of its uploads cannot be used.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// One upload for two artifacts.
    #[error("upload {0} is named by two artifacts; each needs an upload of its own")]
    UploadTwice(UploadId),
    /// The gates found something.
    #[error("{product} {version} cannot be published: {}", findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("; "))]
    Findings {
        /// The product.
        product: ProductName,
        /// The version.
        version: Version,
        /// Everything they found.
        findings: Vec<Finding>,
    },
    /// The version is taken.
    #[error(
        "{product} {version} exists with other content (release {found}, this would be {wanted}): a release never changes, publish under a new version"
    )]
    OtherContent {
        /// The product.
        product: ProductName,
        /// The version.
        version: Version,
        /// The release there is.
        found: ReleaseId,
        /// What was to be published.
        wanted: ReleaseId,
    },
    /// The version was taken back.
    #[error("{product} {version} was withdrawn, and a withdrawn version never comes back: publish under a new version")]
    Withdrawn {
        /// The product.
        product: ProductName,
        /// The version.
        version: Version,
    },
    /// The blobs could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An error in this use case.
    #[error("the publication contradicts the present state: {0}")]
    Contradiction(ApplyError),
    /// The journal could not take it.
    #[error(transparent)]
    Journal(JournalError),
    /// Changes are made elsewhere.
    #[error(transparent)]
    ReadOnly(ReadOnly),
}

impl From<CommitError<PublishError>> for PublishError {
    fn from(error: CommitError<PublishError>) -> Self {
        match error {
            CommitError::Refused(refusal) => refusal,
            CommitError::Contradiction(error) => Self::Contradiction(error),
            CommitError::Journal(error) => Self::Journal(error),
            CommitError::ReadOnly(error) => Self::ReadOnly(error),
        }
    }
}
