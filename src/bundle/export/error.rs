//! Why no bundle was made.

use std::io;
use std::path::PathBuf;

use super::SESSIONS_MAX;
use crate::bundle::{EncodeError, ManifestError, PlanError, STATE_MAX_BYTES, ScopeError};
use crate::catalog::ReadOnly;
use crate::journal::JournalError;
use crate::model::{Blake3Digest, GroupName, SiteName};
use crate::store::{IntakeError, StoreError};

/// Why no bundle was made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// What the site is given cannot be told.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// What the site is given does not fit into one event of its journal.
    #[error(
        "what the site is given has {bytes} bytes of decisions, and {STATE_MAX_BYTES} fit into a bundle: give it fewer \
         groups, or a shorter preload"
    )]
    StateTooLong {
        /// How long it is.
        bytes: u64,
    },
    /// A group was named twice.
    #[error("group {0} is named twice")]
    GroupTwice(GroupName),
    /// The bundle's volumes cannot be laid out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Too many are open.
    #[error(
        "{SESSIONS_MAX} exports are open already: wait until one of them is written, or was left alone for two minutes"
    )]
    TooMany,
    /// The same person has asked again.
    #[error("another bundle for site {site} was asked for by the same person before this one was begun")]
    AskedAgain {
        /// The site.
        site: SiteName,
    },
    /// Another bundle for the site was made in between.
    #[error("another bundle for site {site} was made at the same time: export again")]
    Overtaken {
        /// The site.
        site: SiteName,
    },
    /// This server is itself a site.
    #[error("this server serves from a bundle itself; bundles are made by its origin")]
    IsSite,
    /// A blob that has to go along is not there.
    #[error("{what} needs blob {blob}, which is not in the store: publish it again with the same bytes")]
    Missing {
        /// The blob.
        blob: Blake3Digest,
        /// Which product and version.
        what: String,
    },
    /// The bundle would contradict itself: more of something than the format takes.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A body cannot be packed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state could not be stored.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// What is packed could not be set aside.
    #[error("cannot write to {}: {cause}", path.display())]
    Spool {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(JournalError),
    /// The event does not fit.
    #[error("the change contradicts the present state: {0}")]
    Contradiction(String),
    /// Changes are made elsewhere.
    #[error(transparent)]
    ReadOnly(ReadOnly),
}
