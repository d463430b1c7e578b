//! Blobs as files: the store that is used.

use std::fs::{File, Permissions};
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::distrust::Distrust;
use super::layout::Layout;
use super::mapped::MappedBodies;
use super::pipeline::{self, Content, Pipeline};
use super::protect::Protections;
use super::{
    BlobBody, BlobStore, CommitOutcome, Committed, Protection, Removal, Staged, StagedDone, StoreError, Verdict,
};
use crate::model::Blake3Digest;
use crate::sys::durable;
use crate::sys::fault;
use crate::sys::map::Mapping;
use crate::sys::unnamed::{Linked, UnnamedFile};

/// How much is read at once when a blob is hashed again.
const VERIFY_BUFFER_BYTES: usize = 1 << 20;

/// Settings of [`FsBlobs`].
#[derive(Debug, Clone)]
pub struct FsBlobsOptions {
    /// Blobs kept mapped between requests; at least this many, rounded up to a multiple of 16. 0 keeps none.
    pub mapped_blobs_max: usize,
}

impl Default for FsBlobsOptions {
    fn default() -> Self {
        Self { mapped_blobs_max: 1_024 }
    }
}

/// Blobs as read-only files under `blobs/`, with `staging/` and `quarantine/` beside it in the same file system.
///
/// One process at a time may have a data directory open; the caller holds its lock.
#[derive(Debug)]
pub struct FsBlobs {
    pub(super) layout: Layout,
    mapped: MappedBodies,
    protections: Protections,
    quarantining: Mutex<()>,
    pub(super) distrust: Distrust,
}

impl FsBlobs {
    /// Opens the store in `data_dir`, creating what is missing and clearing `staging/`. Reads no blob.
    pub fn open(data_dir: &Path, options: &FsBlobsOptions) -> Result<Self, StoreError> {
        Ok(Self {
            layout: Layout::open(data_dir)?,
            mapped: MappedBodies::new(options.mapped_blobs_max),
            protections: Protections::default(),
            quarantining: Mutex::new(()),
            distrust: Distrust::default(),
        })
    }

    /// Turns true, for good, once a blob could not be made durable. Nothing that had to be durable succeeds from then on,
    /// and the process must end.
    pub fn has_failed(&self) -> watch::Receiver<bool> {
        self.distrust.has_failed()
    }

    /// Where the file of a blob is, or would be.
    pub fn path(&self, digest: &Blake3Digest) -> PathBuf {
        self.layout.path(digest)
    }

    /// The blocking half of an upload on its own, for threads without a runtime.
    pub(super) fn pipeline(&self, size_hint: Option<u64>) -> Result<Pipeline, StoreError> {
        Pipeline::to_file(&self.layout.staging, size_hint)
    }

    /// The blob's file, open for reading, with its length.
    fn open_file(&self, digest: &Blake3Digest) -> Result<Option<(File, u64)>, StoreError> {
        let path = self.layout.path(digest);
        let open = || -> io::Result<(File, u64)> {
            let file = File::open(&path)?;
            let size = file.metadata()?.len();
            Ok((file, size))
        };
        match open() {
            Ok(opened) => Ok(Some(opened)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(StoreError::read("open", &path, cause)),
        }
    }

    fn commit_file(&self, file: &UnnamedFile, digest: &Blake3Digest) -> Result<CommitOutcome, StoreError> {
        // The mode before the fsync, so that one fsync covers both.
        let staging = &self.layout.staging;
        let sealed = file.file().set_permissions(Permissions::from_mode(0o444));
        sealed.map_err(|cause| StoreError::write("change the mode of a file in", staging, cause))?;
        file.file().sync_all().map_err(|cause| StoreError::sync_unnamed(staging, cause))?;
        fault::point("store.blob-synced");
        let outcome = self.name(file, digest)?;
        fault::point("store.blob-linked");
        self.layout.sync_names(digest)?;
        Ok(outcome)
    }

    /// Links a file that is already durable to its name.
    pub(super) fn name(&self, file: &UnnamedFile, digest: &Blake3Digest) -> Result<CommitOutcome, StoreError> {
        let path = self.layout.path(digest);
        let link = || file.link_to(&path).map_err(|cause| StoreError::write("link", &path, cause));
        self.layout.create_leaf(digest)?;
        if link()? == Linked::New {
            return Ok(CommitOutcome::New);
        }
        if let Verdict::Intact { .. } = self.quarantine(digest)? {
            self.sync_existing(digest)?;
            return Ok(CommitOutcome::Existed);
        }
        match link()? {
            Linked::New => Ok(CommitOutcome::Replaced),
            // Another commit of the same bytes came between; like this one, it fsynced them first.
            Linked::Existed => Ok(CommitOutcome::Existed),
        }
    }

    /// A file found under the name may have been linked by a process that was killed before anything was durable.
    fn sync_existing(&self, digest: &Blake3Digest) -> Result<(), StoreError> {
        match self.open_file(digest)? {
            Some((file, _)) => file.sync_all().map_err(|cause| StoreError::sync(&self.layout.path(digest), cause)),
            None => Ok(()),
        }
    }
}

impl BlobStore for FsBlobs {
    fn stage(&self, size_hint: Option<u64>) -> Result<Staged, StoreError> {
        self.pipeline(size_hint).map(Staged::new)
    }

    fn commit(&self, staged: StagedDone) -> Result<Committed, StoreError> {
        let digest = *staged.blake3();
        let protection = self.protections.protect(digest);
        let file = match staged.into_content() {
            Content::File(file) => file,
            Content::Memory(pieces) => pipeline::write_unnamed(&self.layout.staging, &pieces)?,
        };
        let outcome = self.distrust.judge(self.commit_file(&file, &digest))?;
        Ok(Committed { outcome, protection })
    }

    fn open(&self, digest: &Blake3Digest, size: u64) -> Result<Option<BlobBody>, StoreError> {
        let body = match self.mapped.get(digest) {
            Some(body) => body,
            None => {
                let epoch = self.mapped.epoch();
                let Some((file, found)) = self.open_file(digest)? else { return Ok(None) };
                check_size(*digest, &self.layout, found, size)?;
                let mapping = Mapping::of_immutable(&file);
                let mapping = mapping.map_err(|cause| StoreError::read("map", &self.layout.path(digest), cause))?;
                let body = BlobBody::from_mapping(mapping);
                self.mapped.insert(*digest, body.clone(), epoch);
                body
            }
        };
        check_size(*digest, &self.layout, body.size(), size)?;
        Ok(Some(body))
    }

    fn cached(&self, digest: &Blake3Digest) -> Option<BlobBody> {
        self.mapped.get(digest)
    }

    fn size(&self, digest: &Blake3Digest) -> Result<Option<u64>, StoreError> {
        let path = self.layout.path(digest);
        match path.metadata() {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(StoreError::read("examine", &path, cause)),
        }
    }

    fn for_each(&self, each: &mut dyn FnMut(Blake3Digest, u64) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.layout.for_each(each)
    }

    fn verify(&self, digest: &Blake3Digest) -> Result<Verdict, StoreError> {
        let Some((file, size)) = self.open_file(digest)? else { return Ok(Verdict::Missing) };
        Ok(match hash(file) {
            Ok(found) if found == *digest => Verdict::Intact { size },
            Ok(found) => Verdict::Damaged { size, why: format!("its bytes hash to {found}") },
            // Read, not mapped: a failing disk is an answer here, not the end of the process.
            Err(cause) => Verdict::Damaged { size, why: format!("it cannot be read: {cause}") },
        })
    }

    fn quarantine(&self, digest: &Blake3Digest) -> Result<Verdict, StoreError> {
        // Two at once could see the same damage, and the slower would move the mended file that came after it.
        let _one_at_a_time = self.quarantining.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = self.verify(digest)?;
        if let Verdict::Damaged { .. } = verdict {
            self.distrust.judge(self.layout.quarantine(digest))?;
            fault::point("store.quarantined");
            self.mapped.forget(digest);
        }
        Ok(verdict)
    }

    fn protect(&self, digest: Blake3Digest) -> Protection {
        self.protections.protect(digest)
    }

    fn remove_unless(
        &self,
        digest: &Blake3Digest,
        is_referenced: &dyn Fn(&Blake3Digest) -> bool,
    ) -> Result<Removal, StoreError> {
        let remove = || {
            if is_referenced(digest) {
                return Ok(Removal::Kept);
            }
            let Some(size) = self.size(digest)? else { return Ok(Removal::Missing) };
            let path = self.layout.path(digest);
            durable::remove_file(&path).map_err(|cause| StoreError::write("remove", &path, cause))?;
            fault::point("store.swept");
            self.mapped.forget(digest);
            Ok(Removal::Removed(size))
        };
        self.protections.unless_protected(digest, remove).unwrap_or(Ok(Removal::Kept))
    }
}

fn check_size(digest: Blake3Digest, layout: &Layout, found: u64, size: u64) -> Result<(), StoreError> {
    if found == size {
        return Ok(());
    }
    let why = format!("it has {found} bytes instead of {size}");
    Err(StoreError::Corrupt { digest, path: layout.path(&digest), why })
}

fn hash(mut file: File) -> io::Result<Blake3Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; VERIFY_BUFFER_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Blake3Digest::from_bytes(*hasher.finalize().as_bytes())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::conformance::receive;
    use super::*;

    fn store(dir: &Path) -> FsBlobs {
        FsBlobs::open(dir, &FsBlobsOptions::default()).unwrap()
    }

    #[test]
    fn a_blob_is_a_read_only_file_named_by_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let _ = store.commit(receive(&store, [Bytes::from_static(b"body")])).unwrap();
        let hex = Blake3Digest::of(b"body").to_hex();
        let path = dir.path().join("blobs").join(&hex[..2]).join(&hex[2..4]).join(&hex);
        let metadata = path.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o444);
        assert_eq!(metadata.len(), 4);
    }

    #[test]
    fn a_new_start_clears_staging_and_keeps_blobs() {
        let dir = tempfile::tempdir().unwrap();
        let _ = store(dir.path()).commit(StagedDone::from_bytes(Bytes::from_static(b"body"))).unwrap();
        std::fs::write(dir.path().join("staging/unnamed-1-1"), b"left by a killed process").unwrap();
        let store = store(dir.path());
        assert_eq!(dir.path().join("staging").read_dir().unwrap().count(), 0);
        assert!(store.open(&Blake3Digest::of(b"body"), 4).unwrap().is_some());
    }

    #[test]
    fn damaged_files_are_kept_apart_under_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let digest = Blake3Digest::of(b"body");
        for number in 1..=2 {
            let _ = store.commit(StagedDone::from_bytes(Bytes::from_static(b"body"))).unwrap();
            let path = store.path(&digest);
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, b"bad").unwrap();
            assert!(matches!(store.quarantine(&digest).unwrap(), Verdict::Damaged { .. }));
            let moved = dir.path().join(format!("quarantine/{digest}.{number}"));
            assert_eq!(std::fs::read(moved).unwrap(), b"bad");
        }
    }

    #[test]
    fn files_that_are_no_blobs_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let stray = dir.path().join("blobs/00/00");
        std::fs::create_dir_all(&stray).unwrap();
        std::fs::write(stray.join("notes.txt"), b"").unwrap();
        std::fs::write(stray.join(Blake3Digest::of(b"elsewhere").to_hex()), b"elsewhere").unwrap();
        std::fs::create_dir(dir.path().join("blobs/lost+found")).unwrap();
        store.for_each(&mut |digest, _| panic!("{digest} is not in its place")).unwrap();
    }
}
