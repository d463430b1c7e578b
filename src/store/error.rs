//! What can go wrong in the store, each with what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::Blake3Digest;
use crate::sys::durable::is_full;

/// Why the store could not do what was asked. Cloneable, because a failed staged blob repeats its error to every
/// later call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The file system is full, or the quota used up. Only the blob in hand is lost; trying again after space was
    /// made works without a restart.
    #[error("no space left under {} for {}: free some space (`ringfence store sweep` removes unreferenced blobs) and try again", path.display(), Needed(*needed))]
    NoSpace {
        /// Bytes asked for, where known.
        needed: Option<u64>,
        /// A path in the full file system.
        path: PathBuf,
    },
    /// The file system or directory cannot be written.
    #[error("cannot write {} ({cause}): make the data directory writable for the user ringfence runs as", path.display())]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
        /// The system's answer.
        cause: Arc<io::Error>,
    },
    /// An fsync failed: the kernel may have dropped the data, so a second try would lie. The caller must end the
    /// process.
    #[error("{} could not be made durable ({cause}): check the disk; ringfence stops rather than trust it", path.display())]
    NotDurable {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        cause: Arc<io::Error>,
    },
    /// Any other failing system call.
    #[error("cannot {what} {}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The verb of the failing step.
        what: &'static str,
        /// The system's answer.
        cause: Arc<io::Error>,
    },
    /// A blob's file is not the bytes its name promises.
    #[error("blob {digest} is damaged ({why}) in {}: publish or mirror it again; `ringfence store scrub` finds all such blobs", path.display())]
    Corrupt {
        /// The name.
        digest: Blake3Digest,
        /// The file.
        path: PathBuf,
        /// What was seen.
        why: String,
    },
    /// Another process has the index open.
    #[error("the index in {} is in use by another process: stop the other ringfence first", path.display())]
    IndexLocked {
        /// The index directory.
        path: PathBuf,
    },
    /// The index failed while in use. It holds nothing that cannot be rebuilt.
    #[error("cannot {what} the index ({cause}): restart ringfence, or run `ringfence store rebuild`")]
    Index {
        /// The verb of the failing step.
        what: &'static str,
        /// What the index said.
        cause: String,
    },
}

/// A number of bytes that may be unknown.
struct Needed(Option<u64>);

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{bytes} more bytes"),
            None => f.write_str("another file"),
        }
    }
}

impl StoreError {
    /// The error for a failed system call that reads `path`; `what` is a verb that reads before it.
    pub(super) fn read(what: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Io { path: path.to_owned(), what, cause: Arc::new(cause) }
    }

    /// The typed error for a failed system call that changes `path`; `what` is a verb that reads before it.
    pub(super) fn write(what: &'static str, path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        match cause.kind() {
            _ if is_full(&cause) => Self::NoSpace { needed: None, path },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, cause: Arc::new(cause) }
            }
            _ => Self::Io { path, what, cause: Arc::new(cause) },
        }
    }

    /// The error for a failed fsync of a file that has no name yet. A full file system is told apart: delayed
    /// allocation may say so only here, and the file is dropped, so nothing can rely on it.
    pub(super) fn sync_unnamed(path: &Path, cause: io::Error) -> Self {
        if is_full(&cause) { Self::write("fsync", path, cause) } else { Self::sync(path, cause) }
    }

    /// The error for a failed fsync of anything that has a name, whatever the cause: the kernel tells it once only, so
    /// a later commit of the same bytes would fsync without an error and rely on what was lost.
    pub(super) fn sync(path: &Path, cause: io::Error) -> Self {
        Self::NotDurable { path: path.to_owned(), cause: Arc::new(cause) }
    }

    /// Whether the process must end: what was written may not be on the disk, and asking again would not tell.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::NotDurable { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_get_their_type_and_one_sentence() {
        let path = Path::new("/data/blobs");
        let full = StoreError::write("write", path, io::Error::from_raw_os_error(28));
        assert!(matches!(full, StoreError::NoSpace { needed: None, .. }));
        assert!(full.to_string().starts_with("no space left under /data/blobs for another file: free some space"));
        let frozen = StoreError::write("write", path, io::Error::from_raw_os_error(30));
        assert!(matches!(frozen, StoreError::ReadOnly { .. }));
        let broken = StoreError::read("read", path, io::Error::from_raw_os_error(5));
        assert_eq!(broken.to_string(), "cannot read /data/blobs: Input/output error (os error 5)");
        assert!(!broken.is_fatal());
    }

    #[test]
    fn a_failed_fsync_is_fatal_unless_the_disk_is_full_and_the_file_has_no_name() {
        let path = Path::new("/data/blobs");
        let (broken, full) = (5, 28);
        assert!(StoreError::sync(path, io::Error::from_raw_os_error(broken)).is_fatal());
        assert!(StoreError::sync(path, io::Error::from_raw_os_error(full)).is_fatal());
        assert!(StoreError::sync_unnamed(path, io::Error::from_raw_os_error(broken)).is_fatal());
        assert!(!StoreError::sync_unnamed(path, io::Error::from_raw_os_error(full)).is_fatal());
    }
}
