//! What changes a tree: each call one operation of the kernel, and one step for tests that stop in between.

use std::fs::{File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::{Kind, Root, is_absence};

/// Only tests make an operation fail that the kernel would do.
macro_rules! step {
    ($operation:ident, $($path:expr),*) => {
        #[cfg(test)]
        super::weak::step(super::weak::Operation::$operation, &[$($path),*])?;
    };
}

impl Root {
    /// Creates the file `path`, which must not exist, to write and read, mode 0644 whatever the umask says.
    ///
    /// # Errors
    /// As open(2).
    pub fn create_file(&self, path: &Path) -> io::Result<File> {
        step!(Create, path);
        let (parent, name) = self.parent_of(path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(parent.fd(), name, flags, Mode::from_raw_mode(0o644))?);
        set_mode(&file, 0o644)?;
        Ok(file)
    }

    /// Creates the directory `path`, mode 0755; one that is there already is a success.
    ///
    /// # Errors
    /// As mkdir(2); `AlreadyExists` where something else has the name.
    pub fn make_dir(&self, path: &Path) -> io::Result<()> {
        if self.look(path)?.is_some_and(|seen| seen.kind == Kind::Directory) {
            return Ok(());
        }
        step!(MakeDir, path);
        let (parent, name) = self.parent_of(path)?;
        rustix::fs::mkdirat(parent.fd(), name, Mode::from_raw_mode(0o755))?;
        let made = self.open_dir(path, OFlags::RDONLY)?;
        match rustix::fs::fchmod(made.fd(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Creates the directory `path` and those above it.
    ///
    /// # Errors
    /// As [`Root::make_dir`].
    pub fn make_dirs(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || self.look(path)?.is_some_and(|seen| seen.kind == Kind::Directory) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.make_dirs(parent)?;
        }
        self.make_dir(path)
    }

    /// Renames, replacing a file at `to`. Not durable before [`Root::sync_dir`] on both directories.
    ///
    /// # Errors
    /// As rename(2).
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        step!(Rename, from, to);
        let ((from, from_name), (to, to_name)) = (self.parent_of(from)?, self.parent_of(to)?);
        Ok(rustix::fs::renameat(from.fd(), from_name, to.fd(), to_name)?)
    }

    /// Swaps what two names stand for, in one step that no reader can see half of.
    ///
    /// # Errors
    /// As renameat2(2) with `RENAME_EXCHANGE`: `InvalidInput` where the file system cannot.
    pub fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        step!(Exchange, one, other);
        let ((one, one_name), (other, other_name)) = (self.parent_of(one)?, self.parent_of(other)?);
        Ok(rustix::fs::renameat_with(one.fd(), one_name, other.fd(), other_name, RenameFlags::EXCHANGE)?)
    }

    /// Gives the file `from` the second name `to`, which must not exist. Both are inside this tree.
    ///
    /// # Errors
    /// As link(2).
    pub fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        step!(Link, from, to);
        let ((from, from_name), (to, to_name)) = (self.parent_of(from)?, self.parent_of(to)?);
        Ok(rustix::fs::linkat(from.fd(), from_name, to.fd(), to_name, AtFlags::empty())?)
    }

    /// Removes a name that is no directory.
    ///
    /// # Errors
    /// As unlink(2).
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        step!(Remove, path);
        let (parent, name) = self.parent_of(path)?;
        Ok(rustix::fs::unlinkat(parent.fd(), name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As rmdir(2).
    pub fn remove_dir(&self, path: &Path) -> io::Result<()> {
        step!(Remove, path);
        let (parent, name) = self.parent_of(path)?;
        Ok(rustix::fs::unlinkat(parent.fd(), name, AtFlags::REMOVEDIR)?)
    }

    /// Removes `path`, whatever it is, with all that is below it, as far as that can be removed; nothing there is a
    /// success.
    ///
    /// # Errors
    /// The first failure, after everything else was tried.
    pub fn remove_all(&self, path: &Path) -> io::Result<()> {
        let mut first = Ok(());
        let mut waiting: Vec<(PathBuf, bool)> = vec![(path.to_owned(), false)];
        while let Some((path, is_emptied)) = waiting.pop() {
            let outcome = match self.look(&path) {
                Ok(None) => Ok(()),
                Ok(Some(seen)) if seen.kind != Kind::Directory => self.remove(&path),
                Ok(Some(_)) if is_emptied => self.remove_dir(&path),
                Ok(Some(_)) => self.list(&path).map(|names| {
                    waiting.push((path.clone(), true));
                    waiting.extend(names.into_iter().map(|(name, _)| (path.join(name), false)));
                }),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome
                && !is_absence(&error)
            {
                first = first.and(Err(error));
            }
        }
        first
    }

    /// Sets permissions 0644 and the time of the last change of the file `path`, a whole second.
    ///
    /// # Errors
    /// As utimensat(2). Permissions that a file system does not have are no error.
    pub fn stamp(&self, path: &Path, mtime_s: i64) -> io::Result<()> {
        step!(Stamp, path);
        if let Ok(file) = self.open_file(path) {
            set_mode(&file, 0o644)?;
        }
        let (parent, name) = self.parent_of(path)?;
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as _ },
            last_modification: Timespec { tv_sec: mtime_s, tv_nsec: 0 },
        };
        Ok(rustix::fs::utimensat(parent.fd(), name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Makes the names in the directory `path` (the root for an empty path) durable.
    ///
    /// # Errors
    /// As fsync(2), save where a file system has no fsync for directories (`EINVAL`).
    pub fn sync_dir(&self, path: &Path) -> io::Result<()> {
        step!(Sync, path);
        match rustix::fs::fsync(self.open_dir(path, OFlags::RDONLY)?.fd()) {
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes the bytes and times of a file of this tree durable.
    ///
    /// # Errors
    /// As fsync(2); do not retry.
    pub fn sync_file(&self, file: &File) -> io::Result<()> {
        step!(Sync, &self.path);
        file.sync_all()
    }

    /// Puts `bytes` at `path`, whose directory must exist: a reader or a power cut finds the old file or the whole new
    /// one. `temporary` is a free name for the time being, left behind only by a crash.
    ///
    /// # Errors
    /// Any failure to write, fsync or rename.
    pub fn write_atomically(&self, path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
        let write = || {
            let mut file = self.create_file(temporary)?;
            file.write_all(bytes)?;
            self.sync_file(&file)?;
            self.rename(temporary, path)
        };
        if let Err(error) = write() {
            // The first failure is the one worth telling.
            let _ = self.remove(temporary);
            return Err(error);
        }
        self.sync_dir(path.parent().unwrap_or(Path::new("")))
    }

    /// Locks the file `path`, creating it, until the answer is dropped. The error is the process that has it, where
    /// it wrote its id.
    ///
    /// # Errors
    /// As open(2) and flock(2).
    pub fn lock(&self, path: &Path) -> io::Result<Result<File, Option<u32>>> {
        let (parent, name) = self.parent_of(path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(parent.fd(), name, flags, Mode::from_raw_mode(0o644))?);
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _ = (&file).take(16).read_to_string(&mut text);
                return Ok(Err(text.trim().parse().ok()));
            }
            Err(errno) => return Err(errno.into()),
        }
        file.set_len(0)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        Ok(Ok(file))
    }
}

fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    match file.set_permissions(Permissions::from_mode(mode)) {
        // A mounted SMB share or FAT has its own idea of modes.
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::PERM | Errno::OPNOTSUPP)) => Ok(()),
        done => done,
    }
}
