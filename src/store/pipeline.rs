//! The blocking half of a staged upload: each batch of bytes is written and hashed in one pass.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::thread;

use bytes::Bytes;
use rustix::fs::{Advice, FallocateFlags};
use sha2::{Digest as _, Sha256};

use super::StoreError;
use crate::model::{Blake3Digest, Sha256Digest};
use crate::sys::unnamed::UnnamedFile;

/// Below this a second thread costs more than it gains.
const PARALLEL_MIN_BYTES: usize = 128 << 10;
/// Written bytes are handed to the disk in steps of this size while the upload goes on, so that the fsync of the
/// commit finds little left to do.
pub(super) const WRITE_BACK_STEP_BYTES: u64 = 16 << 20;

/// Where staged bytes go.
#[derive(Debug)]
pub(super) enum Content {
    /// A file without a name, in the file system of the store.
    File(UnnamedFile),
    /// The heap, for tests and for small bodies made in this process.
    Memory(Vec<Bytes>),
}

/// The bytes of one upload so far, and both hashes of them.
#[derive(Debug)]
pub(super) struct Pipeline {
    content: Content,
    /// What errors name.
    path: PathBuf,
    blake3: Box<blake3::Hasher>,
    sha256: Sha256,
    written: u64,
    /// Up to here the kernel was told to write to the disk.
    handed_to_disk: u64,
}

/// What a finished pipeline knows.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) content: Content,
    pub(super) blake3: Blake3Digest,
    pub(super) sha256: Sha256Digest,
    pub(super) size: u64,
}

impl Pipeline {
    /// Starts in an unnamed file in `dir`, with space for `size_hint` bytes reserved where the file system can.
    pub(super) fn to_file(dir: &Path, size_hint: Option<u64>) -> Result<Self, StoreError> {
        let file = UnnamedFile::create_in(dir).map_err(|cause| StoreError::write("create a file in", dir, cause))?;
        if let Some(size) = size_hint.filter(|size| *size > 0) {
            reserve(file.file(), dir, size)?;
        }
        Ok(Self::new(Content::File(file), dir))
    }

    /// Starts on the heap.
    pub(super) fn to_memory() -> Self {
        Self::new(Content::Memory(Vec::new()), Path::new("memory"))
    }

    fn new(content: Content, path: &Path) -> Self {
        let (blake3, sha256) = (Box::new(blake3::Hasher::new()), Sha256::new());
        Self { content, path: path.to_owned(), blake3, sha256, written: 0, handed_to_disk: 0 }
    }

    /// Writes and hashes these bytes in order. SHA-256, the slowest of the three, has a thread of its own for the
    /// time of the batch; write and BLAKE3 share the caller's.
    pub(super) fn take(&mut self, batch: &[Bytes]) -> Result<(), StoreError> {
        let length: usize = batch.iter().map(Bytes::len).sum();
        let Self { content, path, blake3, sha256, .. } = self;
        let mut hash_sha256 = || batch.iter().for_each(|bytes| sha256.update(bytes));
        let mut write = || -> io::Result<()> {
            match content {
                Content::File(file) => write_all(file, batch)?,
                Content::Memory(bodies) => bodies.extend_from_slice(batch),
            }
            batch.iter().for_each(|bytes| {
                blake3.update(bytes);
            });
            Ok(())
        };
        let parallel = length >= PARALLEL_MIN_BYTES;
        let (wrote, hashed) = thread::scope(|scope| {
            // Without a second thread (the process is at its limit) the same work is done one after the other.
            let helper = parallel.then(|| thread::Builder::new().spawn_scoped(scope, &mut hash_sha256));
            (write(), matches!(helper, Some(Ok(_))))
        });
        if !hashed {
            hash_sha256();
        }
        wrote.map_err(|cause| match StoreError::write("write a staged upload in", path, cause) {
            StoreError::NoSpace { path, .. } => StoreError::NoSpace { needed: Some(length as u64), path },
            other => other,
        })?;
        self.written += length as u64;
        self.hand_to_disk(WRITE_BACK_STEP_BYTES);
        Ok(())
    }

    /// Starts writing what was written since the last time, if it is at least `step` bytes, without waiting.
    fn hand_to_disk(&mut self, step: u64) {
        let Content::File(file) = &self.content else { return };
        let Some(fresh) = NonZeroU64::new(self.written - self.handed_to_disk).filter(|fresh| fresh.get() >= step)
        else {
            return;
        };
        // On Linux this advice starts the write-back of dirty pages and drops only clean ones. It is advice: what it
        // fails to do, the fsync of the commit does.
        let _ = rustix::fs::fadvise(file.file(), self.handed_to_disk, Some(fresh), Advice::DontNeed);
        self.handed_to_disk = self.written;
    }

    /// Ends the hashes and gives back what was reserved and not used.
    pub(super) fn finish(mut self) -> Result<Hashed, StoreError> {
        if let Content::File(file) = &self.content {
            let cut = file.file().set_len(self.written);
            cut.map_err(|cause| StoreError::write("trim a staged upload in", &self.path, cause))?;
        }
        self.hand_to_disk(1);
        Ok(Hashed {
            blake3: Blake3Digest::from_bytes(*self.blake3.finalize().as_bytes()),
            sha256: Sha256Digest::from_bytes(self.sha256.finalize().into()),
            size: self.written,
            content: self.content,
        })
    }
}

/// Writes a body from the heap to an unnamed file in `dir`.
pub(super) fn write_unnamed(dir: &Path, pieces: &[Bytes]) -> Result<UnnamedFile, StoreError> {
    let failed = |cause| StoreError::write("write a body in", dir, cause);
    let file = UnnamedFile::create_in(dir).map_err(failed)?;
    write_all(&file, pieces).map_err(failed)?;
    Ok(file)
}

/// Reserves blocks without changing the file's length.
pub(super) fn reserve(file: &File, dir: &Path, size: u64) -> Result<(), StoreError> {
    use rustix::io::Errno;
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, size) {
        // Not every file system can; then a full disk shows while appending.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        // A size that no file of this file system can have is a lack of space, too.
        Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::INVAL) => {
            Err(StoreError::NoSpace { needed: Some(size), path: dir.to_owned() })
        }
        Err(error) => Err(StoreError::write("reserve space in", dir, error.into())),
    }
}

/// Writes all of the batch with as few system calls as possible.
fn write_all(file: &UnnamedFile, batch: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = batch.iter().map(|bytes| IoSlice::new(bytes)).collect();
    let mut left = slices.as_mut_slice();
    // Passes over empty slices, which would make a write of nothing look like a full disk.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match file.file().write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
