//! Files without a name, which vanish with the process unless they are linked to one.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::durable;

/// A new, empty file open for reading and writing that no directory shows.
///
/// Where the file system has no unnamed files (`O_TMPFILE`), it has a unique name starting with `unnamed-` that is
/// removed on drop; a crash leaves such a name behind, so the owner of the directory clears it at start.
#[derive(Debug)]
pub struct UnnamedFile {
    file: File,
    /// Only in the fallback: the name to remove.
    name: Option<PathBuf>,
}

/// What [`UnnamedFile::link_to`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    /// The name was free and is this file's now.
    New,
    /// The name was taken; nothing changed.
    Existed,
}

impl UnnamedFile {
    /// Creates the file, mode 0600, in the file system of `dir`.
    pub fn create_in(dir: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(Self { file: File::from(file), name: None }),
            // EISDIR is the answer of kernels that do not know O_TMPFILE.
            Err(Errno::OPNOTSUPP | Errno::ISDIR) => Self::create_named(dir),
            Err(error) => Err(error.into()),
        }
    }

    fn create_named(dir: &Path) -> io::Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = dir.join(format!("unnamed-{}-{count}", std::process::id()));
            match rustix::fs::open(&name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => return Ok(Self { file: File::from(file), name: Some(name) }),
                // Left by an earlier process with the same id: the counter moves past it.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes over a file that has the name `name`: it can be linked like any other, and loses that name on drop.
    pub fn from_named(file: File, name: PathBuf) -> Self {
        Self { file, name: Some(name) }
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file the name `path`, never replacing what has it. Not durable before the directory is fsynced.
    pub fn link_to(&self, path: &Path) -> io::Result<Linked> {
        match self.try_link(path) {
            Ok(()) => Ok(Linked::New),
            Err(Errno::EXIST) => Ok(Linked::Existed),
            Err(error) => Err(error.into()),
        }
    }

    fn try_link(&self, path: &Path) -> Result<(), Errno> {
        if let Some(name) = &self.name {
            return rustix::fs::linkat(CWD, name, CWD, path, AtFlags::empty());
        }
        let by_proc = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match rustix::fs::linkat(CWD, by_proc, CWD, path, AtFlags::SYMLINK_FOLLOW) {
            // Without /proc; the kernel allows this form to the opener of the file, or with a capability.
            Err(Errno::NOENT) => rustix::fs::linkat(&self.file, "", CWD, path, AtFlags::EMPTY_PATH),
            linked => linked,
        }
    }
}

impl Drop for UnnamedFile {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed now is cleared at the next start.
            let _ = durable::remove_file(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn links_once(unnamed: UnnamedFile, dir: &Path) {
        unnamed.file().write_all(b"body").unwrap();
        let path = dir.join("name");
        assert_eq!(unnamed.link_to(&path).unwrap(), Linked::New);
        assert_eq!(unnamed.link_to(&path).unwrap(), Linked::Existed);
        assert!(unnamed.link_to(&dir.join("missing/name")).is_err());
        drop(unnamed);
        assert_eq!(std::fs::read(&path).unwrap(), b"body");
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), 1);
    }

    #[test]
    fn an_unnamed_file_gets_a_name_once() {
        let dir = tempfile::tempdir().unwrap();
        links_once(UnnamedFile::create_in(dir.path()).unwrap(), dir.path());
    }

    #[test]
    fn so_does_the_fallback() {
        let dir = tempfile::tempdir().unwrap();
        links_once(UnnamedFile::create_named(dir.path()).unwrap(), dir.path());
    }

    #[test]
    fn so_does_one_that_was_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("partial");
        links_once(UnnamedFile::from_named(File::create_new(&path).unwrap(), path), dir.path());
    }

    #[test]
    fn dropping_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(UnnamedFile::create_in(dir.path()).unwrap());
        drop(UnnamedFile::create_named(dir.path()).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
