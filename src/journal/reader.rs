//! Reading a segment line by line, with the place of each line, whatever the file holds.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::{Fault, JournalError, MAX_LINE_BYTES};

const BUFFER_BYTES: usize = 256 << 10;

/// What comes next in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A whole line, without its line feed.
    Line(&'a [u8]),
    /// The file's last bytes, which no line feed ends.
    Cut(&'a [u8]),
    /// The end of the file.
    End,
}

/// Where a line stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    /// From 1.
    pub(super) line: u64,
    /// Where it starts, in bytes from 0.
    pub(super) offset: u64,
}

impl Place<'_> {
    pub(super) fn broken(&self, fault: Fault) -> JournalError {
        JournalError::Broken { path: self.path.to_owned(), line: self.line, offset: self.offset, fault }
    }

    pub(super) fn rejected(&self, reason: String) -> JournalError {
        JournalError::Rejected { path: self.path.to_owned(), line: self.line, offset: self.offset, reason }
    }
}

pub(super) struct LineReader {
    path: PathBuf,
    input: BufReader<File>,
    buffer: Vec<u8>,
    lines_read: u64,
    /// Where the line last read starts, and where the next one does.
    offset: u64,
    next_offset: u64,
}

impl LineReader {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let file = File::open(path).map_err(JournalError::io("open", path))?;
        Ok(Self {
            path: path.to_owned(),
            input: BufReader::with_capacity(BUFFER_BYTES, file),
            buffer: Vec::new(),
            lines_read: 0,
            offset: 0,
            next_offset: 0,
        })
    }

    /// As [`LineReader::open`], at a line that starts at `offset`. Lines are counted from there.
    pub(super) fn open_at(path: &Path, offset: u64) -> Result<Self, JournalError> {
        let mut reader = Self::open(path)?;
        reader.input.seek(SeekFrom::Start(offset)).map_err(JournalError::io("read", path))?;
        (reader.offset, reader.next_offset) = (offset, offset);
        Ok(reader)
    }

    /// The next line. A line above [`MAX_LINE_BYTES`] is an error, and never held in memory whole.
    pub(super) fn next(&mut self) -> Result<Next<'_>, JournalError> {
        self.buffer.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.buffer);
        let read = read.map_err(JournalError::io("read", &self.path))?;
        if read == 0 {
            return Ok(Next::End);
        }
        self.offset = self.next_offset;
        self.next_offset += read as u64;
        self.lines_read += 1;
        if read > MAX_LINE_BYTES {
            return Err(self.place().broken(Fault::TooLong));
        }
        Ok(match self.buffer.strip_suffix(b"\n") {
            Some(line) => Next::Line(line),
            None => Next::Cut(&self.buffer),
        })
    }

    /// Passes over `lines` lines without looking at them; false where the file has fewer.
    pub(super) fn skip(&mut self, lines: u64) -> Result<bool, JournalError> {
        for _ in 0..lines {
            let skipped = self.input.skip_until(b'\n').map_err(JournalError::io("read", &self.path))?;
            if skipped == 0 {
                return Ok(false);
            }
            self.next_offset += skipped as u64;
            self.lines_read += 1;
        }
        Ok(true)
    }

    /// Where the next line starts, in bytes from 0.
    pub(super) fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// The place of the line last read.
    pub(super) fn place(&self) -> Place<'_> {
        Place { path: &self.path, line: self.lines_read, offset: self.offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> (tempfile::TempDir, LineReader) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        std::fs::write(&path, bytes).unwrap();
        let reader = LineReader::open(&path).unwrap();
        (dir, reader)
    }

    #[test]
    fn lines_come_with_their_places() {
        let (_dir, mut reader) = reader(b"one\n\nthree\ncut");
        assert_eq!(reader.next().unwrap(), Next::Line(b"one"));
        assert_eq!((reader.place().line, reader.place().offset), (1, 0));
        assert_eq!(reader.next().unwrap(), Next::Line(b""));
        assert!(reader.skip(1).unwrap());
        assert_eq!(reader.next().unwrap(), Next::Cut(b"cut"));
        assert_eq!((reader.place().line, reader.place().offset), (4, 11));
        assert_eq!(reader.next().unwrap(), Next::End);
        assert!(!reader.skip(1).unwrap());
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_memory() {
        let (_dir, mut endless) = reader(&vec![b'x'; MAX_LINE_BYTES + 10]);
        assert!(matches!(endless.next(), Err(JournalError::Broken { fault: Fault::TooLong, line: 1, offset: 0, .. })));
        let mut longest = vec![b'x'; MAX_LINE_BYTES];
        longest[MAX_LINE_BYTES - 1] = b'\n';
        let (_dir, mut longest) = reader(&longest);
        assert!(matches!(longest.next().unwrap(), Next::Line(line) if line.len() == MAX_LINE_BYTES - 1));
    }
}
