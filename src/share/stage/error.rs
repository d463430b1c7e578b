//! Why a directory was not staged: each a sentence that names the share and the path and says what to do.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why staging, planning or verifying did not come to its end. The tree that readers see is the old one or the new
/// one, file by file, whichever it is.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "`share` is whose directory it is, `path` what the sentence is about")]
pub enum StageError {
    /// The target is no directory.
    #[error("share {share}: {} is not a directory; give a directory of its own", .path.display())]
    NotADirectory { share: String, path: PathBuf },
    /// Neither the target nor its parent exists.
    #[error("share {share}: {} does not exist and neither does the directory above it; create or mount it first", .path.display())]
    Missing { share: String, path: PathBuf },
    /// The target holds something that no stager put there.
    #[error("share {share}: {} is not empty and was not staged by us; give an empty directory, or adopt it, which removes what is not in the share", .path.display())]
    NotOurs { share: String, path: PathBuf },
    /// The target is another share's.
    #[error("share {share}: {} belongs to share {other}; give a directory of its own, or adopt this one", .path.display())]
    OtherShare { share: String, path: PathBuf, other: String },
    /// The manifest is there but cannot be read.
    #[error("share {share}: {} cannot be read: {why}; run with --rehash or adopt the directory to write it anew", .path.display())]
    UnreadableManifest { share: String, path: PathBuf, why: String },
    /// There is no manifest to verify against.
    #[error("{} has no manifest; it was never staged, so that there is nothing to verify", .path.display())]
    NoManifest { path: PathBuf },
    /// Nothing can be written there.
    #[error("share {share}: {} cannot be written to: {source}; mount it writable or give us the permission", .path.display())]
    ReadOnly { share: String, path: PathBuf, source: io::Error },
    /// There is no room.
    #[error("share {share}: {} has no room: {need_bytes} bytes are needed, {have_bytes} are free; free some or give a larger disk", .path.display())]
    Full { share: String, path: PathBuf, need_bytes: u64, have_bytes: u64 },
    /// Renaming does not work there.
    #[error("share {share}: the file system of {} cannot rename, so that nothing can be published whole; give another: {source}", .path.display())]
    NoRename { share: String, path: PathBuf, source: io::Error },
    /// Two names that are one where case does not count, or a name that is both a file and a directory.
    #[error(
        "share {share}: {path} and {other} collide where upper and lower case are the same; rename one of the artifacts"
    )]
    Collision { share: String, path: String, other: String },
    /// A path that clients could not open.
    #[error("share {share}: {} has {chars} characters, at most {}; shorten the name or stage to a shorter directory", .path.display(), super::tree::PATH_CHARS_MAX)]
    PathTooLong { share: String, path: PathBuf, chars: usize },
    /// A name that is the stager's own.
    #[error("share {share}: {path} is a name that the stager keeps for itself; rename the artifact")]
    Reserved { share: String, path: String },
    /// Paths that are not sorted, or twice there.
    #[error("share {share}: the planned tree is out of order at {path}; report this as a defect of the layout")]
    Order { share: String, path: String },
    /// More than a tree may hold.
    #[error(
        "share {share}: {files} files are more than the {} a tree may hold; split the share",
        super::tree::FILES_MAX
    )]
    TooManyFiles { share: String, files: usize },
    /// Another stager is at work there.
    #[error("share {share}: {} is being staged by {}; wait for it", .path.display(), holder(.pid))]
    Busy { share: String, path: PathBuf, pid: Option<u32> },
    /// What was written is not what was wanted.
    #[error(
        "share {share}: {path} came out wrong: {why}; nothing was published, check the store with `ringfence store scrub` and run again"
    )]
    WrongBytes { share: String, path: String, why: String },
    /// A body cannot be had.
    #[error(
        "share {share}: the body of {path} cannot be read: {source}; nothing was published, run again when it is there"
    )]
    Body { share: String, path: String, source: io::Error },
    /// Anything else that the operating system refused.
    #[error("share {share}: {} could not be {action}: {source}; run again, it goes on from here", .path.display())]
    Io { share: String, path: PathBuf, action: &'static str, source: io::Error },
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Whose directory errors are about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) share: &'a str,
    pub(super) dir: &'a Path,
}

impl Context<'_> {
    /// The error for an operation on `path` below the directory.
    pub(super) fn failed(&self, path: &Path, action: &'static str, source: io::Error) -> StageError {
        let (share, path) = (self.share.to_owned(), self.dir.join(path));
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT) => self.full(0),
            Some(Errno::ROFS) => StageError::ReadOnly { share, path: self.dir.to_owned(), source },
            _ => StageError::Io { share, path, action, source },
        }
    }

    /// The same as a function for `map_err`.
    pub(super) fn at<'e>(&'e self, path: &'e Path, action: &'static str) -> impl FnOnce(io::Error) -> StageError + 'e {
        move |source| self.failed(path, action, source)
    }

    /// No room for `need_bytes`, or for what was being written.
    pub(super) fn full(&self, need_bytes: u64) -> StageError {
        let have_bytes = crate::sys::durable::free_space_bytes(self.dir).unwrap_or(0);
        let need_bytes = need_bytes.max(have_bytes.saturating_add(1));
        StageError::Full { share: self.share.to_owned(), path: self.dir.to_owned(), need_bytes, have_bytes }
    }
}
