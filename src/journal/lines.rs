//! Lines without a chain: the journal's group-committed segments for device reports, which are many, are kept for a
//! while only, and need no proof of their order.
//!
//! A line's position counts from 1 and outlives the removal of old segments: a segment is named by the position of
//! its first line.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::sys::durable;

use super::appender::{Appender, JournalOptions, JournalStats, Resume};
use super::disk::{Disk, RealDisk};
use super::error::{Fault, JournalError, MAX_LINE_BYTES};
use super::open::{TornTail, cut, first_segment, sync_segment};
use super::reader::{LineReader, Next};
use super::segment::{self, Naming, Segment, SegmentFile};

/// A log of lines: the only writer of its directory. Dropping it writes and fsyncs what is still queued.
#[derive(Debug)]
pub struct Lines {
    dir: PathBuf,
    appender: Appender<()>,
    /// Held while segments are read or removed, so that none goes away under a reader.
    retention: Mutex<()>,
}

/// An opened log, and what had to be dropped to open it.
#[derive(Debug)]
pub struct OpenedLines {
    /// The log, ready for appending.
    pub lines: Lines,
    /// The cut last line, if there was one; its bytes are not kept.
    pub torn: Option<TornTail>,
}

/// What is done with a line and its position; the text of an error ends the iteration.
pub type EachLine<'a> = dyn FnMut(u64, &[u8]) -> Result<(), String> + 'a;

/// What [`Lines::remove_segments_before`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemovedSegments {
    /// How many segments.
    pub segments: u64,
    /// How many bytes they held.
    pub bytes: u64,
}

impl Lines {
    /// Opens the log in `dir` (created where missing). Only the last segment is read. A cut last line is dropped.
    /// The caller holds the data directory's lock.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Broken`] for a line above [`MAX_LINE_BYTES`].
    pub fn open(dir: &Path, options: JournalOptions) -> Result<OpenedLines, JournalError> {
        Self::open_on(Arc::new(RealDisk), dir, options)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: JournalOptions,
    ) -> Result<OpenedLines, JournalError> {
        durable::create_dir_durably(dir).map_err(JournalError::io("create the directory", dir))?;
        segment::remove_staged(dir, Naming::FirstPosition)?;
        let (resume, torn) = match segment::list(dir, Naming::FirstPosition)?.pop() {
            Some(last) => resume(&last)?,
            None => {
                let segment = first_segment(Naming::FirstPosition.path(dir, 1))?;
                (Resume { segment, number: 1, len_bytes: 0, position: 0, mark: () }, None)
            }
        };
        durable::sync_dir(dir).map_err(JournalError::io("fsync", dir))?;
        let appender = Appender::start(dir.to_owned(), Naming::FirstPosition, options, disk, resume)?;
        Ok(OpenedLines { lines: Self { dir: dir.to_owned(), appender, retention: Mutex::new(()) }, torn })
    }

    /// Queues a line (without its line feed) and returns its position. Does not wait: nothing may be acknowledged
    /// before [`synced`](Self::synced) has returned.
    ///
    /// # Errors
    /// Without any effect: [`JournalError::NotOneLine`], [`JournalError::TooLong`], [`JournalError::NoSpace`],
    /// [`JournalError::Backlog`], [`JournalError::Failed`], [`JournalError::Io`].
    pub fn append(&self, mut line: Vec<u8>) -> Result<u64, JournalError> {
        if line.is_empty() || line.contains(&b'\n') {
            return Err(JournalError::NotOneLine);
        }
        line.push(b'\n');
        if line.len() > MAX_LINE_BYTES {
            return Err(JournalError::TooLong { bytes: line.len() });
        }
        self.appender.enqueue_next((), line)
    }

    /// Returns once every line up to `position` is fsynced.
    ///
    /// # Errors
    /// [`JournalError::Failed`] when a write or fsync failed, [`JournalError::NeverQueued`].
    pub async fn synced(&self, position: u64) -> Result<(), JournalError> {
        self.appender.synced(position).await
    }

    /// As [`synced`](Self::synced), for threads outside the async runtime.
    ///
    /// # Errors
    /// As [`synced`](Self::synced).
    pub fn synced_blocking(&self, position: u64) -> Result<(), JournalError> {
        self.appender.synced_blocking(position)
    }

    /// The last position that was handed out; its line may not be written yet.
    pub fn queued_to(&self) -> u64 {
        self.appender.queued_to()
    }

    /// The last fsynced position; 0 where nothing was ever appended.
    pub fn head(&self) -> u64 {
        self.appender.synced_to().0
    }

    /// Turns true, for good, when a write or fsync has failed: fatal, as for the journal.
    pub fn failed(&self) -> tokio::sync::watch::Receiver<bool> {
        self.appender.failed()
    }

    /// What has been written since the log was opened.
    pub fn stats(&self) -> JournalStats {
        self.appender.stats()
    }

    /// Hands every line still kept with a position above `after` to `each`, in order, and returns the last position
    /// read (`after` where there was none). Lines that are written but not yet fsynced may be among them. Segments
    /// are not removed meanwhile.
    ///
    /// # Errors
    /// [`JournalError::Rejected`] where `each` refuses a line, [`JournalError::MissingSegment`] or
    /// [`JournalError::Broken`] where lines are missing between segments, [`JournalError::Io`].
    pub fn iterate(&self, after: u64, each: &mut EachLine<'_>) -> Result<u64, JournalError> {
        let _guard = self.retention.lock().unwrap_or_else(PoisonError::into_inner);
        let segments = segment::list(&self.dir, Naming::FirstPosition)?;
        let mut last = after;
        for (index, segment) in segments.iter().enumerate() {
            let next = segments.get(index + 1);
            // A segment whose lines are all known already need not be read.
            if next.is_some_and(|next| next.number <= after.saturating_add(1)) {
                continue;
            }
            last = iterate_segment(segment, next, last, each)?;
        }
        Ok(last)
    }

    /// Removes every segment whose last line was written before `time`, except the one being written to. A time of
    /// writing is the file's modification time: a file restored later is kept longer, never shorter. Durable on
    /// return.
    ///
    /// # Errors
    /// [`JournalError::Io`]; what was removed before it stays removed.
    pub fn remove_segments_before(&self, time: Timestamp) -> Result<RemovedSegments, JournalError> {
        let _guard = self.retention.lock().unwrap_or_else(PoisonError::into_inner);
        let mut segments = segment::list(&self.dir, Naming::FirstPosition)?;
        segments.pop();
        let mut removed = RemovedSegments::default();
        for segment in segments {
            let metadata = fs::metadata(&segment.path).map_err(JournalError::io("read", &segment.path))?;
            let written = metadata.modified().map_err(JournalError::io("read", &segment.path))?;
            // In order, so that what is kept has no gap.
            if Timestamp::try_from(written).map_or(true, |written| written >= time) {
                break;
            }
            durable::remove_file(&segment.path).map_err(JournalError::io("remove", &segment.path))?;
            removed.segments += 1;
            removed.bytes += metadata.len();
        }
        if removed.segments > 0 {
            durable::sync_dir(&self.dir).map_err(JournalError::io("fsync", &self.dir))?;
        }
        Ok(removed)
    }
}

/// Counts the last segment's lines, dropping a cut one.
fn resume(last: &SegmentFile) -> Result<(Resume<()>, Option<TornTail>), JournalError> {
    let mut reader = LineReader::open(&last.path)?;
    let mut lines = 0;
    let mut torn = None;
    loop {
        match reader.next()? {
            Next::Line(_) => lines += 1,
            Next::Cut(bytes) => {
                let bytes = bytes.len() as u64;
                torn = Some(TornTail { segment: last.path.clone(), set_aside: None, bytes });
            }
            Next::End => break,
        }
    }
    let len_bytes = reader.next_offset() - torn.as_ref().map_or(0, |torn| torn.bytes);
    if torn.is_some() {
        cut(&last.path, len_bytes)?;
    }
    sync_segment(&last.path)?;
    let segment = Segment::existing(last.path.clone())?;
    let position = last.number.saturating_sub(1) + lines;
    Ok((Resume { segment, number: last.number, len_bytes, position, mark: () }, torn))
}

fn iterate_segment(
    segment: &SegmentFile,
    next: Option<&SegmentFile>,
    mut last: u64,
    each: &mut EachLine<'_>,
) -> Result<u64, JournalError> {
    let mut reader = LineReader::open(&segment.path)?;
    let mut position = segment.number;
    loop {
        let rejected = match reader.next()? {
            Next::Line(line) if position > last => each(position, line).err(),
            Next::Line(_) => None,
            Next::Cut(_) if next.is_some() => return Err(reader.place().broken(Fault::Cut)),
            Next::Cut(_) | Next::End => break,
        };
        if let Some(reason) = rejected {
            return Err(reader.place().rejected(reason));
        }
        last = last.max(position);
        position += 1;
    }
    match next {
        Some(next) if next.number > position => {
            let dir = segment.path.parent().unwrap_or_else(|| Path::new("."));
            Err(JournalError::MissingSegment { path: Naming::FirstPosition.path(dir, position) })
        }
        Some(next) if next.number < position => {
            Err(reader.place().broken(Fault::Seq { expected: next.number, found: position }))
        }
        _ => Ok(last),
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
