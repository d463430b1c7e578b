//! A directory tree that other people can write to, handled without ever leaving it.
//!
//! Every path is relative to the root and is walked component by component from an open directory, never through a
//! symbolic link (`O_NOFOLLOW`, see open(2)): whoever puts a link into the tree cannot make us read, write or remove
//! anything outside it, not even between a check and its use. What this module deliberately does not do: it does not
//! follow links, does not keep paths, and retries nothing.

mod change;
mod copy;
#[cfg(test)]
pub(crate) mod weak;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

pub use copy::{forget_cached, reflink};

/// An open directory under which everything happens.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, wherever it points.
    Symlink,
    /// A pipe, a socket or a device.
    Other,
}

/// What the file system says about a name, without following it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Last change of the content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// The inode's number.
    pub inode: u64,
    /// How many names the inode has.
    pub links: u64,
    /// Permission bits.
    pub mode: u32,
}

/// A directory on the way to a name: the root itself or one that was opened.
enum Parent<'a> {
    Root(&'a OwnedFd),
    Opened(OwnedFd),
}

impl Parent<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Parent::Root(fd) => fd.as_fd(),
            Parent::Opened(fd) => fd.as_fd(),
        }
    }
}

impl Root {
    /// Opens `dir`, which may itself be reached through links: it is the caller's choice, what is below it is not.
    ///
    /// # Errors
    /// As open(2); `NotADirectory` where it is something else.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::open(dir, flags, Mode::empty())?, path: dir.to_owned() })
    }

    /// The directory as it was given to [`Root::open`], for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that this process may still write here. A file system that does not tell its size, as some network mounts
    /// do not, has room for anything until a write fails.
    ///
    /// # Errors
    /// As fstatvfs(2).
    pub fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.fd)?;
        let is_told = stat.f_blocks > 0;
        Ok(if is_told { stat.f_bavail.saturating_mul(stat.f_frsize) } else { u64::MAX })
    }

    /// What `path` is; `None` where there is nothing, or where a directory on the way is none.
    ///
    /// # Errors
    /// As fstatat(2), and `InvalidInput` for a path that is not relative or climbs.
    pub fn look(&self, path: &Path) -> io::Result<Option<Seen>> {
        let seen = self
            .parent_of(path)
            .and_then(|(parent, name)| Ok(rustix::fs::statat(parent.fd(), name, AtFlags::SYMLINK_NOFOLLOW)?));
        match seen {
            Ok(stat) => Ok(Some(seen_of(&stat))),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names in the directory `path` (the root for an empty path) with what they are, sorted.
    ///
    /// # Errors
    /// As open(2) and getdents(2). A name that vanishes meanwhile is left out.
    pub fn list(&self, path: &Path) -> io::Result<Vec<(OsString, Seen)>> {
        Ok(self.list_at_most(path, usize::MAX)?.unwrap_or_default())
    }

    /// As [`Root::list`]; `None` where there are more than `most` names.
    ///
    /// # Errors
    /// As [`Root::list`].
    pub fn list_at_most(&self, path: &Path, most: usize) -> io::Result<Option<Vec<(OsString, Seen)>>> {
        let dir = self.open_dir(path, OFlags::RDONLY)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(dir.fd())? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if names.len() >= most {
                return Ok(None);
            }
            match rustix::fs::statat(dir.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => names.push((name.to_owned(), seen_of(&stat))),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Some(names))
    }

    /// Opens the file `path` to read.
    ///
    /// # Errors
    /// As open(2); a symbolic link is `ELOOP`. Never waits for the other end of a pipe.
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        let (parent, name) = self.parent_of(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(parent.fd(), name, flags, Mode::empty())?))
    }

    fn open_dir(&self, path: &Path, access: OFlags) -> io::Result<Parent<'_>> {
        let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = Parent::Root(&self.fd);
        let mut components = path.components().peekable();
        if components.peek().is_none() {
            let again = rustix::fs::openat(at.fd(), ".", flags, Mode::empty())?;
            return Ok(Parent::Opened(again));
        }
        while let Some(component) = components.next() {
            let Component::Normal(name) = component else {
                return Err(outside(path));
            };
            let last = components.peek().is_none();
            let flags = if last { flags } else { OFlags::PATH | (flags - access) };
            at = Parent::Opened(rustix::fs::openat(at.fd(), name, flags, Mode::empty())?);
        }
        Ok(at)
    }

    /// The open directory that holds the name of `path`, and that name.
    fn parent_of<'a>(&'a self, path: &'a Path) -> io::Result<(Parent<'a>, &'a OsStr)> {
        let mut components = path.components();
        let Some(Component::Normal(name)) = components.next_back() else {
            return Err(outside(path));
        };
        let parent = components.as_path();
        if parent.as_os_str().is_empty() {
            return Ok((Parent::Root(&self.fd), name));
        }
        Ok((self.open_dir(parent, OFlags::PATH)?, name))
    }
}

fn outside(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not a path inside the directory", path.display()))
}

/// Whether an error only says that a name, or a directory on the way to it, is not there.
fn is_absence(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

fn seen_of(stat: &rustix::fs::Stat) -> Seen {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    };
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "the types differ between architectures")]
    Seen {
        kind,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: (stat.st_mtime as i64).saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec as i64),
        inode: stat.st_ino as u64,
        links: stat.st_nlink as u64,
        mode: (stat.st_mode as u32) & 0o7777,
    }
}
