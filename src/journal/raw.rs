//! Lines of the journal as they stand in its segments, for whoever follows it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::chain::Chain;
use super::error::{Fault, JournalError, MAX_LINE_BYTES};
use super::reader::{LineReader, Next};
use super::segment;
use super::walk::locate;
use crate::model::{Blake3Digest, EventRecord};

/// The most places that are remembered: one for each reader that comes again.
const MARKS_MAX: usize = 256;

/// Reads whole lines, unchecked: readers follow the chain themselves. Where a reading ended is remembered, so that the
/// next one need not look for it.
#[derive(Debug)]
pub struct RawReader {
    dir: PathBuf,
    marks: Mutex<BTreeMap<u64, Mark>>,
}

/// Where the line with a number starts, or would start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    segment: u64,
    offset: u64,
}

impl RawReader {
    /// A reader of the journal in this directory.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, marks: Mutex::default() }
    }

    /// The lines of the records above `after`, up to `upto`, each with its line feed: as many as fit into `max_bytes`,
    /// at least one if there is one. The caller says up to where they are fsynced. Blocks.
    ///
    /// # Errors
    /// The damage errors of [`Journal::open`](super::Journal::open), as far as reading lines comes upon it.
    pub fn read(&self, after: u64, upto: u64, max_bytes: usize) -> Result<Vec<u8>, JournalError> {
        let mut lines = Vec::new();
        if after >= upto {
            return Ok(lines);
        }
        let segments = segment::list_gapless(&self.dir)?;
        let known = self.marks().get(&(after + 1)).copied();
        let known = known.and_then(|mark| {
            let index = segments.iter().position(|segment| segment.number == mark.segment)?;
            Some((index, mark.offset))
        });
        let (first, mut reader) = match known {
            Some((index, offset)) => (index, LineReader::open_at(&segments[index].path, offset)?),
            None => {
                let Some(start) = locate(&segments, after + 1)? else { return Ok(lines) };
                let mut reader = LineReader::open(&segments[start.index].path)?;
                reader.skip(start.skip_lines)?;
                (start.index, reader)
            }
        };
        let (mut seq, mut index) = (after, first);
        let mut mark = Mark { segment: segments[index].number, offset: reader.next_offset() };
        while seq < upto {
            match reader.next()? {
                Next::Line(line) => {
                    if !lines.is_empty() && lines.len() + line.len() >= max_bytes {
                        break;
                    }
                    lines.extend_from_slice(line);
                    lines.push(b'\n');
                    seq += 1;
                    mark.offset = reader.next_offset();
                }
                Next::Cut(_) | Next::End => {
                    index += 1;
                    let Some(next) = segments.get(index) else { break };
                    reader = LineReader::open(&next.path)?;
                    mark = Mark { segment: next.number, offset: 0 };
                }
            }
        }
        self.remember(seq + 1, mark);
        Ok(lines)
    }

    fn remember(&self, seq: u64, mark: Mark) {
        let mut marks = self.marks();
        marks.insert(seq, mark);
        // The lowest belongs to the reader that is furthest behind, which is the one that is busy anyway.
        while marks.len() > MARKS_MAX {
            marks.pop_first();
        }
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks lines of another server's journal as they come: whether each continues the one before, hash by hash.
#[derive(Debug, Clone)]
pub struct Continuation(Chain);

impl Continuation {
    /// Of a journal whose last record has this `seq` and `hash`; 0 and zeros for an empty one.
    pub fn after(seq: u64, hash: Blake3Digest) -> Self {
        Self(Chain::after(seq, hash))
    }

    /// Takes the next line, without its line feed.
    ///
    /// # Errors
    /// What is wrong with it; nothing was taken then.
    pub fn accept(&mut self, line: &[u8]) -> Result<EventRecord, Fault> {
        if line.len() >= MAX_LINE_BYTES { Err(Fault::TooLong) } else { self.0.accept(line) }
    }

    /// The last record's `seq` and `hash`.
    pub fn head(&self) -> (u64, Blake3Digest) {
        self.0.head()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{actor, event, time};
    use super::super::{Journal, JournalOptions};
    use super::*;

    #[test]
    fn every_stretch_is_verbatim_however_it_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let opened =
            Journal::open(dir.path(), JournalOptions { segment_max_bytes: 1_000 }, None, &mut |_| Ok(())).unwrap();
        for number in 1..=40 {
            let records = opened.journal.enqueue(time(1), &actor(), vec![event(number)]).unwrap();
            opened.journal.synced_blocking(records[0].seq).unwrap();
        }
        let segments = segment::list_gapless(dir.path()).unwrap();
        assert!(segments.len() > 3);
        let whole: Vec<u8> = segments.iter().flat_map(|segment| std::fs::read(&segment.path).unwrap()).collect();
        for max_bytes in [1, 300, 1_000, 1 << 20] {
            let reader = RawReader::new(dir.path().to_owned());
            let (mut after, mut all) = (0, Vec::new());
            loop {
                let lines = reader.read(after, 40, max_bytes).unwrap();
                if lines.is_empty() {
                    break;
                }
                after += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
                all.extend(lines);
            }
            assert_eq!((after, all == whole), (40, true), "{max_bytes}");
        }
        let reader = RawReader::new(dir.path().to_owned());
        let lines = reader.read(17, 19, 1 << 20).unwrap();
        let text = String::from_utf8(lines).unwrap();
        assert!(text.starts_with("{\"seq\":18,") && text.lines().count() == 2, "{text}");
        assert!(reader.read(40, 40, 1).unwrap().is_empty() && reader.read(50, 40, 1).unwrap().is_empty());
    }
}
