//! Where a member's bytes come from: memory, or a stream that can be read once.

use std::io::{self, Read};

/// A member's bytes from here on.
pub(super) enum Source<'r> {
    /// All of them are at hand.
    Slice(&'r [u8]),
    /// They come one after the other.
    Stream(&'r mut dyn Read),
}

impl Source<'_> {
    /// Reads until `buffer` is full or the bytes end; returns how many there were.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// Passes over `bytes`; false where they end before.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<bool> {
        match self {
            Self::Slice(slice) => {
                let count = usize::try_from(bytes).unwrap_or(usize::MAX).min(slice.len());
                *slice = &slice[count..];
                Ok(count as u64 == bytes)
            }
            Self::Stream(stream) => Ok(io::copy(&mut Read::take(&mut **stream, bytes), &mut io::sink())? == bytes),
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Slice(slice) => slice.read(buffer),
            Self::Stream(stream) => stream.read(buffer),
        }
    }
}
