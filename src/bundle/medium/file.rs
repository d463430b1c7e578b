//! A file of a medium.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use super::MediumError;

/// A file of a medium, open to read.
#[derive(Debug)]
pub struct MediumFile {
    file: File,
    name: String,
    place: String,
    size: u64,
}

impl MediumFile {
    /// An open file; `place` is for messages.
    pub(super) fn new(file: File, name: String, place: String, size: u64) -> Self {
        Self { file, name, place, size }
    }

    /// Its length when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its name, without the directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file, for whoever reads it as a stream.
    pub fn into_file(self) -> File {
        self.file
    }

    /// Reads from `offset` until `bytes` is full or the file ends; says how much.
    ///
    /// # Errors
    /// The medium cannot be read there.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, MediumError> {
        let mut read = 0;
        while read < bytes.len() {
            let at = offset.saturating_add(read as u64);
            match self.file.read_at(&mut bytes[read..], at) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(MediumError::of(format!("{}, byte {at}", self.place), &cause)),
            }
        }
        Ok(read)
    }

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// The medium cannot be read there, or the file ends before.
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), MediumError> {
        let read = self.read_at(bytes, offset)?;
        match read == bytes.len() {
            true => Ok(()),
            false => Err(MediumError::Short { name: self.name.clone(), end: offset.saturating_add(read as u64) }),
        }
    }

    /// `size` bytes from `offset` on. Its errors carry a [`MediumError`]; a file that ends before is one.
    pub fn span(&self, offset: u64, size: u64) -> impl Read {
        SpanReader { file: self, at: offset, left: size }
    }
}

struct SpanReader<'a> {
    file: &'a MediumFile,
    at: u64,
    left: u64,
}

impl Read for SpanReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(bytes.len(), |left| bytes.len().min(left));
        self.file.read_exact_at(&mut bytes[..wanted], self.at).map_err(io::Error::other)?;
        self.at += wanted as u64;
        self.left -= wanted as u64;
        Ok(wanted)
    }
}
