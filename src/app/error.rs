//! Why the application cannot start, or had to stop.

use std::io;
use std::path::PathBuf;

use super::service::SocketsError;
use crate::catalog::CatalogError;
use crate::control::ControlError;
use crate::journal::JournalError;
use crate::model::NameError;
use crate::serve::admin::{JwksError, MaintenanceError};
use crate::serve::{BindError, TlsError};
use crate::store::StoreError;
use crate::sys::lock::LockError;
use crate::telemetry::LogError;

/// Why the application cannot start, or had to stop. The text is a whole sentence.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The data directory is not to be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There is no data directory where one is needed.
    #[error("{} is no data directory of Ringfence: it has no journal", .0.display())]
    NoData(PathBuf),
    /// A file or directory cannot be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file with the key of a site's origin holds none.
    #[error("site.origin_key_file {}: {source}", path.display())]
    BadOriginKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: NameError,
    },
    /// The journal and its projection cannot be opened.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The journal is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The blob store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A listener cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The files of a listener's TLS are not in order.
    #[error("{listener}.tls: {source}")]
    Tls {
        /// Of which listener.
        listener: &'static str,
        /// What is wrong.
        source: TlsError,
    },
    /// The log cannot be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The first policy or token cannot be put in place.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The first policy is wrong.
    #[error("{}: {source}", path.display())]
    FirstPolicy {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ControlError>,
    },
    /// The admin token's file holds something else.
    #[error("{} does not hold a token: a token is rf_ and 43 more characters; `ringfence init` makes one", .0.display())]
    BadTokenFile(PathBuf),
    /// The identity provider's keys cannot be used.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// The signing key's file holds something else, or is not there where it must be.
    #[error("{} does not hold a signing key; `ringfence init` makes one in an empty directory, a backup has the old one", .0.display())]
    BadKeyFile(PathBuf),
    /// Work on the store failed.
    #[error(transparent)]
    Maintenance(#[from] MaintenanceError),
    /// The async runtime cannot be started.
    #[error("the server cannot start its threads: {0}")]
    Runtime(io::Error),
    /// The service manager hands over the wrong sockets.
    #[error(transparent)]
    Sockets(#[from] SocketsError),
    /// The CA that signs the certificates of devices cannot be used.
    #[error("{}: {why}", path.display())]
    EnrolmentCa {
        /// Its certificate or its key.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something could not be made durable; the process ends so that nothing false is acknowledged.
    #[error("the server stops: {0}")]
    Fatal(String),
    /// The demo cannot make its history.
    #[error("the demo cannot be set up: {0}")]
    Demo(Box<dyn std::error::Error + Send + Sync>),
}

impl AppError {
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(super) fn demo(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Demo(error.into())
    }

    /// Whether stored bytes are not what they were.
    pub fn is_damage(&self) -> bool {
        let journal = |error: &JournalError| {
            use JournalError::{Broken, EmptySegment, HeadMismatch, MissingSegment, Rejected};
            matches!(
                error,
                Broken { .. } | EmptySegment { .. } | HeadMismatch { .. } | MissingSegment { .. } | Rejected { .. }
            )
        };
        match self {
            Self::Journal(error) | Self::Catalog(CatalogError::Journal(error)) => journal(error),
            Self::Catalog(
                CatalogError::JournalCutShort { .. } | CatalogError::JournalRewritten { .. } | CatalogError::Replay(_),
            ) => true,
            _ => false,
        }
    }
}
