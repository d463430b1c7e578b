//! A body that arrives in any order, a group at a time, and keeps what arrived over a restart.
//!
//! Its bytes lie in a file of their own in a directory beside `blobs/`, with the body's digest as its name. Every group
//! is checked before it is written, and again when the file is opened by a later process, so the file needs no list of
//! what is in it, and no fsync before its end.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use bytes::Bytes;
use rustix::fs::{Advice, SeekFrom};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::groups::{GROUP_BYTES, group_count, group_range, root_of_groups, verify_group};
use super::intake;
use super::pipeline::{Content, Hashed, WRITE_BACK_STEP_BYTES, reserve};
use super::{BlobStore as _, Committed, FsBlobs, StagedDone, StoreError};
use crate::model::{Blake3Digest, ObjectRef, Sha256Digest};
use crate::sys::durable;
use crate::sys::unnamed::UnnamedFile;
use claim::{Claim, Refusal, open_file};
pub use claim::{partials, remove_partial};
pub use error::SparseError;

mod claim;
mod error;

/// The most that [`Sparse::read`] gives at once.
pub const PARTIAL_READ_MAX_BYTES: u64 = 4 << 20;

/// A partial body. Dropped, it keeps its file: whoever opens it again goes on from there.
///
/// All its methods but [`Sparse::finish`] block on the disk, for a moment: groups are written to the page cache. They may
/// be called from many threads at once.
#[derive(Debug)]
pub struct Sparse {
    object: ObjectRef,
    values: Vec<[u8; 32]>,
    file: File,
    claim: Claim,
    held: Mutex<Held>,
}

/// Which groups are there.
#[derive(Debug)]
struct Held {
    has: Vec<bool>,
    count: u64,
}

impl Sparse {
    /// Opens the partial body in `dir` or, unless there are `max` in it, begins one and reserves its space. `dir` is in
    /// the file system of the store, and this process alone uses it. `values` are checked against the digest first, then
    /// every group that is there: reading what arrived before takes as long as hashing it.
    pub fn open(dir: &Path, object: ObjectRef, values: Vec<[u8; 32]>, max: usize) -> Result<Self, SparseError> {
        let blob = object.blake3;
        if root_of_groups(&values, object.size) != Some(blob) {
            return Err(SparseError::Values { blob });
        }
        durable::create_dir_durably(dir).map_err(|cause| StoreError::write("create", dir, cause))?;
        let claim = Claim::take(dir.join(blob.to_hex()), max).map_err(|refusal| match refusal {
            Refusal::InUse => SparseError::InUse { blob },
            Refusal::TooMany => SparseError::TooMany { max },
            Refusal::Store(error) => error.into(),
        })?;
        let file = open_file(&claim.0, object.size)?;
        let has = vec![false; values.len()];
        let sparse = Self { object, values, file, claim, held: Mutex::new(Held { has, count: 0 }) };
        sparse.look()?;
        reserve(&sparse.file, dir, object.size.max(1))?;
        Ok(sparse)
    }

    /// What it shall become.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// Whether a group is there.
    pub fn has(&self, index: u64) -> bool {
        usize::try_from(index).ok().and_then(|index| self.held().has.get(index).copied()).unwrap_or(false)
    }

    /// Whether every group is there that has a byte of this range.
    pub fn has_range(&self, range: &Range<u64>) -> bool {
        let held = self.held();
        let groups = range.start / GROUP_BYTES..range.end.min(self.object.size).div_ceil(GROUP_BYTES);
        groups.into_iter().all(|index| held.has.get(index as usize).copied().unwrap_or(false))
    }

    /// Which groups are not there yet, in order.
    pub fn missing(&self) -> Vec<u64> {
        let held = self.held();
        (0_u64..).zip(&held.has).filter(|(_, has)| !**has).map(|(index, _)| index).collect()
    }

    /// Whether all groups are there.
    pub fn is_complete(&self) -> bool {
        self.held().count == group_count(self.object.size)
    }

    /// Checks a group and writes it. One that is there already is passed over.
    pub fn put(&self, index: u64, bytes: &[u8]) -> Result<(), SparseError> {
        let ObjectRef { blake3: blob, size, .. } = self.object;
        let range = group_range(size, index).filter(|_| verify_group(&self.values, size, index, bytes));
        let Some(range) = range else { return Err(SparseError::Group { blob, index }) };
        if self.has(index) {
            return Ok(());
        }
        let wrote = self.file.write_all_at(bytes, range.start);
        wrote.map_err(|cause| StoreError::write("write a group to", &self.claim.0, cause))?;
        self.mark(index);
        self.hand_to_disk(&range);
        Ok(())
    }

    /// Bytes from the start of a range on, at most [`PARTIAL_READ_MAX_BYTES`] of them; none where a group of these is not
    /// there. A range past the end is cut.
    pub fn read(&self, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        let end = range.end.min(self.object.size).min(range.start.saturating_add(PARTIAL_READ_MAX_BYTES));
        let range = range.start.min(end)..end;
        if !self.has_range(&range) {
            return Ok(None);
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let read = self.file.read_exact_at(&mut bytes, range.start);
        read.map_err(|cause| StoreError::read("read", &self.claim.0, cause))?;
        Ok(Some(bytes.into()))
    }

    /// Hashes the whole by both digests, and gives it its name in the store without a copy; durable on return. What is
    /// not whole yet is kept as it is; anything else that fails removes it. Needs a tokio runtime around it.
    pub async fn finish(self, store: &Arc<FsBlobs>) -> Result<Committed, SparseError> {
        let store = Arc::clone(store);
        let finished = spawn_blocking(move || self.finish_blocking(&store)).await;
        finished.map_err(|error| StoreError::write("complete", "partial".as_ref(), io::Error::other(error)))?
    }

    /// [`Sparse::finish`] on a thread that may block.
    pub fn finish_blocking(self, store: &FsBlobs) -> Result<Committed, SparseError> {
        let missing = self.missing().len() as u64;
        let Self { object, file, claim, .. } = self;
        if missing > 0 {
            return Err(SparseError::Incomplete { blob: object.blake3, missing });
        }
        // Removes the name in `dir` when it is dropped, which is before the claim to it ends.
        let file = UnnamedFile::from_named(file, claim.0.clone());
        let hashed = hash(file.file(), object.size).map_err(|cause| StoreError::read("read", &claim.0, cause));
        let (blake3, sha256) = hashed?;
        let done = StagedDone::of_hashed(Hashed { content: Content::File(file), blake3, sha256, size: object.size });
        intake::check(&object, &done)?;
        Ok(store.commit(done)?)
    }

    /// Gives it up, and removes its file.
    pub fn discard(self) -> Result<(), StoreError> {
        let path = &self.claim.0;
        durable::remove_file(path).map_err(|cause| StoreError::write("remove", path, cause))
    }

    /// Finds the groups that an earlier process left. Where nothing was ever written is passed over.
    fn look(&self) -> Result<(), StoreError> {
        let size = self.object.size;
        let failed = |cause| StoreError::read("read", &self.claim.0, cause);
        let mut buffer = vec![0; GROUP_BYTES.min(size) as usize];
        let mut index = 0;
        while let Some(range) = group_range(size, index) {
            let data = if size == 0 { Ok(0) } else { rustix::fs::seek(&self.file, SeekFrom::Data(range.start)) };
            match data {
                Ok(at) if at >= range.end && size > 0 => index = at / GROUP_BYTES,
                Ok(_) => {
                    let bytes = &mut buffer[..(range.end - range.start) as usize];
                    match self.file.read_exact_at(bytes, range.start) {
                        Ok(()) if verify_group(&self.values, size, index, bytes) => self.mark(index),
                        Ok(()) => {}
                        Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {}
                        Err(cause) => return Err(failed(cause)),
                    }
                    index += 1;
                }
                // Nothing from here to the end.
                Err(rustix::io::Errno::NXIO) => break,
                Err(error) => return Err(failed(error.into())),
            }
        }
        Ok(())
    }

    fn mark(&self, index: u64) {
        let mut held = self.held();
        if let Some(has) = held.has.get_mut(index as usize)
            && !std::mem::replace(has, true)
        {
            held.count += 1;
        }
    }

    /// Starts writing to the disk now and then, so that the fsync at the end finds little left to do.
    fn hand_to_disk(&self, written: &Range<u64>) {
        if written.end % WRITE_BACK_STEP_BYTES == 0 {
            // Advice: what it fails to do, the fsync of the commit does.
            let start = written.end - WRITE_BACK_STEP_BYTES;
            let _ = rustix::fs::fadvise(&self.file, start, NonZeroU64::new(WRITE_BACK_STEP_BYTES), Advice::DontNeed);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both digests of a file, each on a thread of its own. Read, not mapped: a failing disk is an error here, not the end of
/// the process.
fn hash(file: &File, size: u64) -> io::Result<(Blake3Digest, Sha256Digest)> {
    let of = |take: &mut dyn FnMut(&[u8])| -> io::Result<()> {
        let mut buffer = vec![0; GROUP_BYTES.min(size) as usize];
        for index in 0..group_count(size) {
            let range = group_range(size, index).unwrap_or_default();
            let bytes = &mut buffer[..(range.end - range.start) as usize];
            file.read_exact_at(bytes, range.start)?;
            take(bytes);
        }
        Ok(())
    };
    let by_sha256 = || -> io::Result<Sha256Digest> {
        let mut sha256 = Sha256::new();
        of(&mut |bytes| sha256.update(bytes))?;
        Ok(Sha256Digest::from_bytes(sha256.finalize().into()))
    };
    let mut blake3 = blake3::Hasher::new();
    let (hashed, sha256) = thread::scope(|scope| {
        let helper = thread::Builder::new().spawn_scoped(scope, by_sha256);
        let hashed = of(&mut |bytes| {
            blake3.update(bytes);
        });
        // Without a second thread (the process is at its limit) the same work is done one after the other.
        let sha256 = helper.ok().and_then(|helper| helper.join().ok());
        (hashed, sha256.unwrap_or_else(by_sha256))
    });
    hashed?;
    Ok((Blake3Digest::from_bytes(*blake3.finalize().as_bytes()), sha256?))
}

#[cfg(test)]
mod tests;
