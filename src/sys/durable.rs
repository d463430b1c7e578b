//! Durable file operations: the one place that renames, removes and fsyncs directories.
//!
//! What the sequences rest on:
//! - fsync(2): "Calling fsync() does not necessarily ensure that the entry in the directory containing the file has
//!   also reached disk. For that an explicit fsync() on a file descriptor for the directory is also needed." So a new
//!   name is followed by an fsync of its directory, and the file's bytes are fsynced before the name appears.
//! - rename(2): a reader of the name sees the old file or the new one, never neither. File systems do not order the
//!   new file's data before the rename (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014), so the
//!   file is fsynced first.
//! - After a failed fsync the kernel may have marked the pages clean: a second fsync can succeed although the bytes
//!   never reached the disk (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020). So nothing
//!   here retries one, and callers treat a failure as fatal for what was being written.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::random::random_bytes;

/// Makes the names in `dir` durable: creations, renames and removals done before this call survive a power cut.
///
/// # Errors
/// Any failure to open or fsync the directory; do not retry (see the module's text).
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Creates `dir` and its missing parents, each made durable in its parent. An existing directory is a success.
///
/// # Errors
/// Any failure to create or fsync, and a path that exists but is no directory.
pub fn create_dir_durably(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = parent_of(dir);
    if parent != dir {
        create_dir_durably(parent)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => {}
        // Another thread may have been faster; what it has not synced yet, the sync below does.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        Err(error) => return Err(error),
    }
    sync_dir(parent)
}

/// Puts `bytes` at `path` with exactly the permissions `mode`, replacing what is there: a reader or a power cut finds
/// the old file or the whole new one. Returns once that is durable.
///
/// # Errors
/// Any failure to write, fsync or rename; the temporary file is removed and `path` is as it was, except that after a
/// failed fsync of the directory the new file may be in place without being durable.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary_beside(path)?;
    let written = write_new(&temporary, bytes, mode).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // The first failure is the one worth telling; a file that stays behind is only clutter.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_dir(parent_of(path))
}

/// Renames a file or directory, replacing a file at `to`, and returns once the new name is durable. The bytes of the
/// file must have been fsynced before.
///
/// # Errors
/// Any failure to rename or to fsync either directory.
pub fn rename_durably(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_dir(parent_of(to))?;
    if parent_of(from) != parent_of(to) {
        sync_dir(parent_of(from))?;
    }
    Ok(())
}

/// Cuts `file` to `len_bytes` and returns once that is durable.
///
/// # Errors
/// Any failure to truncate or fsync.
pub fn truncate_durably(file: &File, len_bytes: u64) -> io::Result<()> {
    file.set_len(len_bytes)?;
    file.sync_all()
}

/// Removes a file. A power cut may bring it back until [`sync_dir`] on its directory has returned, so that many
/// removals can share one fsync.
///
/// # Errors
/// As `unlink`, also where the file does not exist.
pub fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// Removes a directory and everything in it, following no symbolic link. Durable as [`remove_file`].
///
/// # Errors
/// As `std::fs::remove_dir_all`, also where the directory does not exist.
pub fn remove_dir_all(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path)
}

/// Makes everything durable that was written on the file system of `dir` before this call: files, with or without a name,
/// and the names in all directories. Tells of failed writes since Linux 5.8.
///
/// # Errors
/// Any failure to open or to write back; do not retry (see the module's text).
pub fn sync_file_system(dir: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(dir)?)?;
    Ok(())
}

/// The longest file that the file system of `dir` can hold, where that is less than anybody asks for: FAT.
///
/// # Errors
/// As `statfs`.
pub fn file_max_bytes(dir: &Path) -> io::Result<Option<u64>> {
    const FAT_MAGIC: u32 = 0x4d44;
    let magic = rustix::fs::statfs(dir)?.f_type as u32;
    Ok((magic == FAT_MAGIC).then_some(u64::from(u32::MAX)))
}

/// Bytes that this process may still write on the file system of `dir` (what is reserved for root left out).
///
/// # Errors
/// As `statvfs`.
pub fn free_space_bytes(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The directory that holds the name of `path`; the current directory for a bare name.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a file name"));
    };
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}.tmp", u64::from_le_bytes(random_bytes()?)));
    Ok(path.with_file_name(temporary))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // The umask may have taken bits away at creation.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Whether it is only space that is missing: the disk is full, or a quota used up.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn directories_are_created_with_their_parents_and_again_without_complaint() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        create_dir_durably(&deep).unwrap();
        create_dir_durably(&deep).unwrap();
        assert!(deep.is_dir());
        fs::write(dir.path().join("file"), b"x").unwrap();
        assert!(create_dir_durably(&dir.path().join("file")).is_err());
        assert!(create_dir_durably(&dir.path().join("file/below")).is_err());
    }

    #[test]
    fn an_atomic_write_replaces_with_the_exact_mode_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        write_atomically(&path, b"one", 0o600).unwrap();
        write_atomically(&path, b"two", 0o666).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        assert_eq!(names(dir.path()), ["token"]);
    }

    #[test]
    fn a_failed_atomic_write_leaves_everything_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(write_atomically(&taken, b"x", 0o600).is_err());
        assert_eq!(names(dir.path()), ["taken"]);
        assert!(write_atomically(&dir.path().join("missing/file"), b"x", 0o600).is_err());
        assert!(write_atomically(Path::new("/"), b"x", 0o600).is_err());
    }

    #[test]
    fn files_move_between_directories_and_go_away() {
        let dir = tempfile::tempdir().unwrap();
        let (from, below) = (dir.path().join("from"), dir.path().join("below"));
        fs::write(&from, b"x").unwrap();
        create_dir_durably(&below).unwrap();
        rename_durably(&from, &below.join("to")).unwrap();
        assert!(!from.exists());
        let file = OpenOptions::new().write(true).open(below.join("to")).unwrap();
        truncate_durably(&file, 0).unwrap();
        assert_eq!(fs::metadata(below.join("to")).unwrap().len(), 0);
        remove_file(&below.join("to")).unwrap();
        assert_eq!(remove_file(&below.join("to")).unwrap_err().kind(), io::ErrorKind::NotFound);
        remove_dir_all(&below).unwrap();
        assert!(names(dir.path()).is_empty());
        assert!(free_space_bytes(dir.path()).unwrap() > 0);
    }
}
