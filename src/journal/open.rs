//! Opening the journal: verify, hand on every record, set a torn tail aside, and continue where it ends.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::model::{Blake3Digest, EventRecord};
use crate::sys::clock::{Clock as _, SystemClock};
use crate::sys::durable;

use super::Journal;
use super::appender::{Appender, JournalOptions, Resume};
use super::chain::{Chain, NO_HASH};
use super::disk::{Disk, RealDisk};
use super::error::JournalError;
use super::segment::{self, Naming, Segment, SegmentFile};
use super::walk::{End, Start, locate, walk};

/// An opened journal, and what had to be done to open it.
#[derive(Debug)]
pub struct Opened {
    /// The journal, ready for appending.
    pub journal: Journal,
    /// The cut last line, if there was one.
    pub torn: Option<TornTail>,
}

/// A last line that the process did not finish writing. Nobody was told that it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment that it was cut from.
    pub segment: PathBuf,
    /// Where its bytes are kept; reports are not kept.
    pub set_aside: Option<PathBuf>,
    /// How many bytes were cut.
    pub bytes: u64,
}

impl Journal {
    /// Opens the journal in `dir` (created where missing) and verifies it from `from` on: the `seq` and `hash` of the
    /// last record that the caller knows already, from a snapshot; the whole journal where it is `None`. Calls `each`
    /// for every record after it, in order; what is before `from` is not read, but for the first lines of segments.
    /// Returns once what was read is fsynced. The caller holds the data directory's lock.
    ///
    /// # Errors
    /// [`JournalError::SnapshotMismatch`] where the record at `from` is another one or is missing,
    /// [`JournalError::Rejected`] where `each` refuses a record, [`JournalError::Broken`],
    /// [`JournalError::MissingSegment`] or [`JournalError::EmptySegment`] for damage, [`JournalError::Io`]. Nothing is
    /// changed in a journal that cannot be opened.
    pub fn open(
        dir: &Path,
        options: JournalOptions,
        from: Option<(u64, Blake3Digest)>,
        each: &mut dyn FnMut(EventRecord) -> Result<(), String>,
    ) -> Result<Opened, JournalError> {
        Self::open_on(Arc::new(RealDisk), dir, options, from, each)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: JournalOptions,
        from: Option<(u64, Blake3Digest)>,
        each: &mut dyn FnMut(EventRecord) -> Result<(), String>,
    ) -> Result<Opened, JournalError> {
        durable::create_dir_durably(dir).map_err(JournalError::io("create the directory", dir))?;
        let segments = segment::list_gapless(dir)?;
        let end = match from.filter(|(seq, _)| *seq > 0) {
            None => walk(&segments, Start::at_the_beginning(), &mut |place, record| {
                each(record).map(ControlFlow::Continue).map_err(|reason| place.rejected(reason))
            })?,
            Some(snapshot) => continue_from(&segments, snapshot, each)?,
        };
        segment::remove_staged(dir, Naming::Ordinal)?;
        let Some(last) = segments.last() else { return start_empty(disk, dir, options) };
        let torn = if end.cut.is_empty() { None } else { Some(set_aside(dir, last, &end)?) };
        sync_segment(&last.path)?;
        durable::sync_dir(dir).map_err(JournalError::io("fsync", dir))?;
        let (position, mark) = end.chain.head();
        let segment = Segment::existing(last.path.clone())?;
        let resume = Resume { segment, number: last.number, len_bytes: end.last_segment_bytes, position, mark };
        Ok(Opened { journal: started(disk, dir, options, resume, end.chain)?, torn })
    }
}

fn started(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: JournalOptions,
    resume: Resume<Blake3Digest>,
    chain: Chain,
) -> Result<Journal, JournalError> {
    let appender = Appender::start(dir.to_owned(), Naming::Ordinal, options, disk, resume)?;
    Ok(Journal { chain: Mutex::new(chain), appender })
}

fn start_empty(disk: Arc<dyn Disk>, dir: &Path, options: JournalOptions) -> Result<Opened, JournalError> {
    let segment = first_segment(Naming::Ordinal.path(dir, 1))?;
    let resume = Resume { segment, number: 1, len_bytes: 0, position: 0, mark: NO_HASH };
    Ok(Opened { journal: started(disk, dir, options, resume, Chain::start())?, torn: None })
}

/// Creates the first segment of an empty directory, durably.
pub(super) fn first_segment(path: PathBuf) -> Result<Segment, JournalError> {
    let segment = Segment::staged(path.clone())?;
    segment.publish().map_err(JournalError::io("create", &path))?;
    Segment::existing(path)
}

/// What a killed process wrote may still be only in memory: it is read as written, so it has to be made so.
pub(super) fn sync_segment(path: &Path) -> Result<(), JournalError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(JournalError::io("fsync", path))
}

fn continue_from(
    segments: &[SegmentFile],
    (seq, expected): (u64, Blake3Digest),
    each: &mut dyn FnMut(EventRecord) -> Result<(), String>,
) -> Result<End, JournalError> {
    let mut is_known = false;
    let mismatch = |found| JournalError::SnapshotMismatch { seq, expected, found };
    let Some(start) = locate(segments, seq)? else { return Err(mismatch(None)) };
    let end = walk(segments, start, &mut |place, record| {
        if is_known {
            each(record).map_err(|reason| place.rejected(reason))?;
        } else if record.hash != expected {
            return Err(mismatch(Some(record.hash)));
        }
        is_known = true;
        Ok(ControlFlow::Continue(()))
    })?;
    if is_known { Ok(end) } else { Err(mismatch(None)) }
}

fn set_aside(dir: &Path, last: &SegmentFile, end: &End) -> Result<TornTail, JournalError> {
    let time = SystemClock.now().strftime("%Y%m%dT%H%M%S.%6fZ");
    let seq = end.chain.head().0.saturating_add(1);
    let kept = dir.join(format!("torn-{seq}-{time}.part"));
    durable::write_atomically(&kept, &end.cut, 0o640).map_err(JournalError::io("write", &kept))?;
    cut(&last.path, end.last_segment_bytes)?;
    Ok(TornTail { segment: last.path.clone(), set_aside: Some(kept), bytes: end.cut.len() as u64 })
}

/// Cuts a segment to its whole lines, durably.
pub(super) fn cut(path: &Path, len_bytes: u64) -> Result<(), JournalError> {
    let file = File::options().write(true).open(path).map_err(JournalError::io("open", path))?;
    durable::truncate_durably(&file, len_bytes).map_err(JournalError::io("truncate", path))
}
