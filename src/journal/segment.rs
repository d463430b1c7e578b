//! Segments: the files of a journal or log, numbered, in one directory.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::sys::durable;

use super::error::JournalError;

/// How segments are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// 00000001, 00000002, …: nothing is ever removed, so a gap is a loss.
    Ordinal,
    /// By the position of the segment's first line, so that positions outlive the removal of old segments.
    FirstPosition,
}

impl Naming {
    const fn digits(self) -> usize {
        match self {
            Self::Ordinal => 8,
            Self::FirstPosition => 20,
        }
    }

    pub(super) fn path(self, dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("{number:0width$}.jsonl", width = self.digits()))
    }

    /// The number of the segment after `number` whose first line is at `position`.
    pub(super) const fn next(self, number: u64, position: u64) -> u64 {
        match self {
            Self::Ordinal => number + 1,
            Self::FirstPosition => position,
        }
    }

    fn number(self, name: &str) -> Option<u64> {
        let digits = name.strip_suffix(".jsonl")?;
        let plain = digits.len() >= self.digits() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse().ok() } else { None }
    }
}

/// A segment found in the directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentFile {
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

/// The segments in `dir`, in order. Other files are left alone.
pub(super) fn list(dir: &Path, naming: Naming) -> Result<Vec<SegmentFile>, JournalError> {
    let failed = || JournalError::io("list the directory", dir);
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if let Some(number) = entry.file_name().to_str().and_then(|name| naming.number(name)) {
            segments.push(SegmentFile { number, path: entry.path() });
        }
    }
    segments.sort();
    Ok(segments)
}

/// The segments of a journal: numbered from 1 without a gap.
pub(super) fn list_gapless(dir: &Path) -> Result<Vec<SegmentFile>, JournalError> {
    let segments = list(dir, Naming::Ordinal)?;
    for (expected, segment) in (1..).zip(&segments) {
        if segment.number != expected {
            return Err(JournalError::MissingSegment { path: Naming::Ordinal.path(dir, expected) });
        }
    }
    Ok(segments)
}

/// A segment that is written. It may still be staged: under a name that no reader looks at, until everything before
/// it is fsynced, so that no crash leaves a cut line in any segment but the last.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) file: File,
    staged: Option<PathBuf>,
}

impl Segment {
    /// Opens an existing segment for writing.
    pub(super) fn existing(path: PathBuf) -> Result<Self, JournalError> {
        let file = OpenOptions::new().write(true).open(&path).map_err(JournalError::io("open", &path))?;
        Ok(Self { path, file, staged: None })
    }

    /// Creates a staged segment that is to become `path`.
    pub(super) fn staged(path: PathBuf) -> Result<Self, JournalError> {
        let staged = staged_path(&path);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o640);
        let file = options.open(&staged).map_err(JournalError::io("create", &staged))?;
        Ok(Self { path, file, staged: Some(staged) })
    }

    /// Gives a staged segment its name, durably.
    pub(super) fn publish(&self) -> std::io::Result<()> {
        match &self.staged {
            Some(staged) => durable::rename_durably(staged, &self.path),
            None => Ok(()),
        }
    }

    /// Takes back a staged segment that nothing was written to.
    pub(super) fn discard(&self) {
        if let Some(staged) = &self.staged {
            // What stays behind is overwritten by the next attempt or removed by the next start.
            let _ = durable::remove_file(staged);
        }
    }
}

fn staged_path(path: &Path) -> PathBuf {
    let mut staged = path.as_os_str().to_owned();
    staged.push(".next");
    staged.into()
}

/// Removes a segment that was still staged when the process ended; nothing in it was ever acknowledged.
pub(super) fn remove_staged(dir: &Path, naming: Naming) -> Result<(), JournalError> {
    let failed = || JournalError::io("clear the directory", dir);
    for entry in fs::read_dir(dir).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let name = entry.file_name();
        let staged = name.to_str().and_then(|name| name.strip_suffix(".next")).and_then(|name| naming.number(name));
        if staged.is_some() {
            durable::remove_file(&entry.path()).map_err(JournalError::io("remove", entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segment_names_count() {
        assert_eq!(Naming::Ordinal.number("00000012.jsonl"), Some(12));
        assert_eq!(Naming::Ordinal.number("123456789.jsonl"), Some(123_456_789));
        for name in ["1.jsonl", "00000001.jsonl.next", "00000001.json", "torn-5.part", "+0000001.jsonl", ".jsonl"] {
            assert_eq!(Naming::Ordinal.number(name), None, "{name}");
        }
        let dir = Path::new("d");
        assert_eq!(Naming::Ordinal.path(dir, 3), Path::new("d/00000003.jsonl"));
        assert_eq!(Naming::FirstPosition.path(dir, 3), Path::new("d/00000000000000000003.jsonl"));
    }

    #[test]
    fn a_gap_names_the_missing_file() {
        let dir = tempfile::tempdir().unwrap();
        for number in [1, 3] {
            fs::write(Naming::Ordinal.path(dir.path(), number), "").unwrap();
        }
        let error = list_gapless(dir.path()).unwrap_err();
        assert!(matches!(error, JournalError::MissingSegment { path } if path.ends_with("00000002.jsonl")));
    }

    #[test]
    fn a_staged_segment_appears_only_when_published() {
        let dir = tempfile::tempdir().unwrap();
        let segment = Segment::staged(Naming::Ordinal.path(dir.path(), 1)).unwrap();
        assert!(list(dir.path(), Naming::Ordinal).unwrap().is_empty());
        segment.publish().unwrap();
        assert_eq!(list(dir.path(), Naming::Ordinal).unwrap().len(), 1);
        Segment::staged(Naming::Ordinal.path(dir.path(), 2)).unwrap();
        remove_staged(dir.path(), Naming::Ordinal).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
