//! Where a blob lies: `blobs/ab/cd/<64 hexadecimal characters>`, two levels so that no directory grows large.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::StoreError;
use crate::model::Blake3Digest;
use crate::sys::durable;

/// The directories of one store.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) blobs: PathBuf,
    pub(super) staging: PathBuf,
    pub(super) quarantine: PathBuf,
    /// One bit for each of the 65,536 leaf directories: known durable since this process started. A directory found
    /// on the disk may be younger than the last fsync of its parent, if an earlier process was killed in between.
    durable_leaves: Mutex<Vec<u64>>,
}

impl Layout {
    /// Creates what is missing, durably, and clears what a killed process left in `staging`.
    pub(super) fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let layout = Self {
            blobs: data_dir.join("blobs"),
            staging: data_dir.join("staging"),
            quarantine: data_dir.join("quarantine"),
            durable_leaves: Mutex::new(vec![0; 65_536 / 64]),
        };
        for dir in [&layout.blobs, &layout.staging, &layout.quarantine] {
            durable::create_dir_durably(dir).map_err(|cause| StoreError::write("create", dir, cause))?;
        }
        for entry in list(&layout.staging)? {
            let path = entry.path();
            durable::remove_file(&path).map_err(|cause| StoreError::write("remove", &path, cause))?;
        }
        Ok(layout)
    }

    /// The file of a blob.
    pub(super) fn path(&self, digest: &Blake3Digest) -> PathBuf {
        let hex = digest.to_hex();
        let mut path = self.leaf(digest);
        path.push(hex);
        path
    }

    fn leaf(&self, digest: &Blake3Digest) -> PathBuf {
        let [first, second, ..] = digest.as_bytes();
        self.blobs.join(format!("{first:02x}")).join(format!("{second:02x}"))
    }

    /// Makes sure the leaf directory of a blob exists.
    pub(super) fn create_leaf(&self, digest: &Blake3Digest) -> Result<(), StoreError> {
        let leaf = self.leaf(digest);
        durable::create_dir_durably(&leaf).map_err(|cause| match cause.raw_os_error() {
            // A failed fsync of a parent: later ones would not tell of it again.
            Some(code) if code == rustix::io::Errno::IO.raw_os_error() => StoreError::sync(&leaf, cause),
            _ => StoreError::write("create", &leaf, cause),
        })
    }

    /// The same for whoever brings the whole file system to the disk before anybody relies on it.
    pub(super) fn create_leaf_for_now(&self, digest: &Blake3Digest) -> Result<(), StoreError> {
        let leaf = self.leaf(digest);
        fs::create_dir_all(&leaf).map_err(|cause| StoreError::write("create", &leaf, cause))
    }

    /// Makes every name on the way to a blob durable: its leaf each time, the levels above once in a process's life.
    pub(super) fn sync_names(&self, digest: &Blake3Digest) -> Result<(), StoreError> {
        let leaf = self.leaf(digest);
        sync(&leaf)?;
        let number = usize::from(u16::from_be_bytes([digest.as_bytes()[0], digest.as_bytes()[1]]));
        let (word, bit) = (number / 64, 1_u64 << (number % 64));
        if self.leaves()[word] & bit == 0 {
            sync(leaf.parent().unwrap_or(&self.blobs))?;
            sync(&self.blobs)?;
            self.leaves()[word] |= bit;
        }
        Ok(())
    }

    fn leaves(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.durable_leaves.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Calls `each` for every blob in ascending order of digest, holding one leaf directory in memory at a time.
    /// Names that are not a blob's, or not in its place, are passed over.
    pub(super) fn for_each(
        &self,
        each: &mut dyn FnMut(Blake3Digest, u64) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        for upper in list(&self.blobs)?.iter().filter(|entry| is_level(&entry.file_name())) {
            for leaf in list(&upper.path())?.iter().filter(|entry| is_level(&entry.file_name())) {
                for file in list(&leaf.path())? {
                    let Some(digest) = file.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
                    if self.path(&digest) != file.path() {
                        continue;
                    }
                    let size = match file.metadata() {
                        Ok(metadata) => metadata.len(),
                        // Swept or quarantined since the directory was listed.
                        Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
                        Err(cause) => return Err(StoreError::read("examine", &file.path(), cause)),
                    };
                    if each(digest, size).is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Moves a blob's file away from where it could be served, to `quarantine/<digest>.<n>`; durable on return.
    pub(super) fn quarantine(&self, digest: &Blake3Digest) -> Result<PathBuf, StoreError> {
        let from = self.path(digest);
        let mut number = 1_u64;
        let to = loop {
            let to = self.quarantine.join(format!("{digest}.{number}"));
            if !to.exists() {
                break to;
            }
            number += 1;
        };
        durable::rename_durably(&from, &to).map_err(|cause| StoreError::write("quarantine", &from, cause))?;
        Ok(to)
    }
}

/// Fsyncs a directory.
fn sync(dir: &Path) -> Result<(), StoreError> {
    durable::sync_dir(dir).map_err(|cause| StoreError::sync(dir, cause))
}

/// Two lower-case hexadecimal characters.
fn is_level(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.len() == 2 && name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The entries of a directory, sorted by name; none if it is missing.
fn list(dir: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let read = || -> io::Result<Vec<DirEntry>> { fs::read_dir(dir)?.collect() };
    match read() {
        Ok(mut entries) => {
            entries.sort_by_key(DirEntry::file_name);
            Ok(entries)
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(cause) => Err(StoreError::read("list", dir, cause)),
    }
}
