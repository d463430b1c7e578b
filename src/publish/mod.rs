//! The use case of publishing: receive bytes, hash them on the way in, pass the gates, commit blobs, append the event.
//!
//! The write order is the store's promise: bytes are staged and hashed in one pass; gates run; each blob is fsynced and
//! linked to its digest name and the directories are fsynced; only then is the event appended and fsynced, then the
//! index written, then the answer given. An error anywhere before the event leaves unreferenced bytes at most, which a
//! sweep removes. What this room deliberately does not do: it knows no HTTP, and it does not approve.

mod command;
mod error;
mod inspect;
mod publisher;
mod upload;
mod uploads;

#[cfg(test)]
mod gates_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod uploads_tests;

pub use command::{CommandOutcome, GateCommands, StagedBody, Subject};
pub use error::{PublishError, UploadError};
pub use inspect::GateOptions;
pub use publisher::{NewArtifact, NewRelease, Published, Publisher};
pub use upload::{UploadId, UploadStatus};
pub use uploads::{UploadLimits, Uploads};
