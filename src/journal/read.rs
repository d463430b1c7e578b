//! Reading a stretch of the journal, for people and mirrors.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;

use crate::model::EventRecord;

use super::error::JournalError;
use super::segment;
use super::walk::{first_seq, locate, walk};

/// Up to `limit` records with a `seq` above `after`, in order; fewer at the end. Records are checked against each
/// other, those before them are passed over unread. Safe while a writer runs: an incomplete last line is not there
/// yet, and records may be returned that are written but not fsynced.
///
/// # Errors
/// The damage errors of [`Journal::open`](super::Journal::open), for what had to be read.
pub fn read(dir: &Path, after: u64, limit: usize) -> Result<Vec<EventRecord>, JournalError> {
    let mut records = Vec::new();
    if limit == 0 || after == u64::MAX {
        return Ok(records);
    }
    let segments = segment::list_gapless(dir)?;
    let Some(start) = locate(&segments, after + 1)? else { return Ok(records) };
    walk(&segments, start, &mut |_, record| {
        records.push(record);
        Ok(if records.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(records)
}

/// The newest `limit` records, in order; all where there are fewer. Reads the last segment and what `limit` needs of
/// those before it. Otherwise as [`read`].
///
/// # Errors
/// As [`read`].
pub fn read_newest(dir: &Path, limit: usize) -> Result<Vec<EventRecord>, JournalError> {
    let segments = segment::list_gapless(dir)?;
    let mut newest = VecDeque::new();
    for (index, segment) in segments.iter().enumerate().rev() {
        let is_last = index + 1 == segments.len();
        let Some(first) = first_seq(segment, is_last)? else { continue };
        let from = first.saturating_sub(limit as u64).max(1);
        let Some(start) = locate(&segments, from)? else { break };
        walk(&segments, start, &mut |_, record| {
            newest.push_back(record);
            if newest.len() > limit {
                newest.pop_front();
            }
            Ok(ControlFlow::Continue(()))
        })?;
        break;
    }
    Ok(newest.into())
}
