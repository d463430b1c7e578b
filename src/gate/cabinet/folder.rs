//! One folder of a cabinet, dressed as a cabinet of its own.

use std::io::{self, Read, Seek, SeekFrom};

use super::Folder;

/// What the single file is called.
pub(super) const NAME: &str = "f";
/// The header with its reserve sizes, one folder, one file with its name.
const HEAD_BYTES: u32 = 36 + 4 + 8 + 16 + 2;

/// The directory of a cabinet whose one file is all of `folder`, and whose blocks follow at once.
pub(super) fn header(folder: &Folder, block_reserve_bytes: u8) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES as usize);
    head.extend(super::CABINET_SIGNATURE);
    let words: [u32; 5] = [0, HEAD_BYTES, 0, 36 + 4 + 8, 0];
    head.extend(words.into_iter().flat_map(u32::to_le_bytes));
    head.extend([3, 1]); // version 1.3
    let counts: [u16; 5] = [1, 1, 4, 0, 0]; // folders, files, reserve sizes follow, set, number in set
    head.extend(counts.into_iter().flat_map(u16::to_le_bytes));
    head.extend([0, 0, 0, block_reserve_bytes]);
    head.extend(HEAD_BYTES.to_le_bytes());
    head.extend(folder.block_count.to_le_bytes());
    head.extend(folder.compression.to_le_bytes());
    head.extend(folder.unpacked_bytes.to_le_bytes());
    head.extend([0; 12]); // offset, folder, date, time, attributes
    head.extend(NAME.as_bytes());
    head.push(0);
    head
}

/// Two slices read as one file.
pub(super) struct Joined<'j> {
    head: &'j [u8],
    tail: &'j [u8],
    at: u64,
}

impl<'j> Joined<'j> {
    pub(super) fn new(head: &'j [u8], tail: &'j [u8]) -> Self {
        Self { head, tail, at: 0 }
    }
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        let from = match self.head.get(at..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => self.tail.get(at.saturating_sub(self.head.len())..).unwrap_or_default(),
        };
        let count = from.len().min(buffer.len());
        buffer[..count].copy_from_slice(&from[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Joined<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = (self.head.len() + self.tail.len()) as u64;
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => length.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before the start"))?;
        Ok(self.at)
    }
}
