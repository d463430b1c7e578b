//! Where packed bytes wait: the heap while they are few, then a file without a name.

use std::io::{self, Write as _};
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::EncodeError;
use crate::bundle::Packed;
use crate::model::Sha256Digest;
use crate::sys::map::Mapping;
use crate::sys::unnamed::UnnamedFile;

/// More than this goes to a file.
const HEAP_MAX_BYTES: usize = 1 << 20;

/// Counts and hashes what passes.
#[derive(Default)]
pub(super) struct Counted {
    sha256: Sha256,
    size: u64,
}

impl Counted {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub(super) fn packed(self) -> Packed {
        Packed { size: self.size, sha256: Sha256Digest::from_bytes(self.sha256.finalize().into()) }
    }
}

/// Packed bytes of a bounded number, hashed as they come.
pub(super) struct Spool<'a> {
    dir: &'a Path,
    /// It takes fewer bytes than this.
    below: u64,
    counted: Counted,
    heap: Vec<u8>,
    file: Option<UnnamedFile>,
}

impl<'a> Spool<'a> {
    pub(super) fn new(dir: &'a Path, below: u64) -> Self {
        Self { dir, below, counted: Counted::default(), heap: Vec::new(), file: None }
    }

    /// How many more bytes it takes.
    pub(super) fn room(&self) -> u64 {
        self.below.saturating_sub(1).saturating_sub(self.counted.size)
    }

    /// Adds bytes at the end; false where there are too many, which is the end of it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<bool, EncodeError> {
        if bytes.is_empty() {
            return Ok(true);
        }
        if bytes.len() as u64 > self.room() {
            return Ok(false);
        }
        self.counted.take(bytes);
        if self.file.is_none() && self.heap.len() + bytes.len() > HEAP_MAX_BYTES {
            let file = UnnamedFile::create_in(self.dir).map_err(|cause| self.failed(cause))?;
            file.file().write_all(&std::mem::take(&mut self.heap)).map_err(|cause| self.failed(cause))?;
            self.file = Some(file);
        }
        match &self.file {
            Some(file) => file.file().write_all(bytes).map_err(|cause| self.failed(cause))?,
            None => self.heap.extend_from_slice(bytes),
        }
        Ok(true)
    }

    /// What was added.
    pub(super) fn finish(self) -> Result<(Packed, Bytes), EncodeError> {
        let bytes = match &self.file {
            // Nobody writes to it from here on, and nobody else can: it has no name.
            Some(file) => {
                let mapping = Mapping::of_immutable(file.file()).map_err(|cause| self.failed(cause))?;
                Bytes::from_owner(mapping)
            }
            None => Bytes::from(self.heap),
        };
        Ok((self.counted.packed(), bytes))
    }

    fn failed(&self, cause: io::Error) -> EncodeError {
        EncodeError::Spool { path: self.dir.to_owned(), cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_less_than_its_bound_and_leaves_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(dir.path(), 3 << 20);
        let piece = vec![7; 1 << 20];
        assert!(spool.push(&piece).unwrap() && spool.push(&piece).unwrap());
        assert!(!spool.push(&piece).unwrap());
        assert!(spool.push(&piece[1..]).unwrap());
        let (packed, bytes) = spool.finish().unwrap();
        assert_eq!(packed.size, (3 << 20) - 1);
        assert_eq!(packed.sha256, Sha256Digest::of(&bytes));
        assert_eq!(bytes, vec![7; (3 << 20) - 1]);
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let mut spool = Spool::new(Path::new("/nowhere/at/all"), u64::MAX);
        assert!(spool.push(&[1; 10]).unwrap());
        let error = spool.push(&vec![1; HEAP_MAX_BYTES]).unwrap_err();
        assert!(error.to_string().starts_with("cannot write packed bytes to /nowhere/at/all (No such file"), "{error}");
    }
}
