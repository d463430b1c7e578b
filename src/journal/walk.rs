//! Walking the journal: every line of every segment, in order, each checked against the one before.

use std::ops::ControlFlow;

use crate::model::EventRecord;

use super::chain::Chain;
use super::error::{Fault, JournalError};
use super::reader::{LineReader, Next, Place};
use super::segment::SegmentFile;

/// Where to start: at the line after the first `skip_lines` of the segment at `index`, continuing `chain`.
pub(super) struct Start {
    pub(super) index: usize,
    pub(super) skip_lines: u64,
    pub(super) chain: Chain,
}

impl Start {
    pub(super) fn at_the_beginning() -> Self {
        Self { index: 0, skip_lines: 0, chain: Chain::start() }
    }
}

/// What a walk has found.
pub(super) struct End {
    pub(super) chain: Chain,
    /// Bytes of whole lines in the last segment.
    pub(super) last_segment_bytes: u64,
    /// Bytes of whole lines in all segments walked.
    pub(super) bytes: u64,
    /// The bytes of a cut last line.
    pub(super) cut: Vec<u8>,
}

/// What is done with a record.
pub(super) type Each<'a> = dyn FnMut(&Place<'_>, EventRecord) -> Result<ControlFlow<()>, JournalError> + 'a;

/// Hands every record from `start` on to `each`, until it breaks off.
pub(super) fn walk(segments: &[SegmentFile], start: Start, each: &mut Each<'_>) -> Result<End, JournalError> {
    let mut end = End { chain: start.chain, last_segment_bytes: 0, bytes: 0, cut: Vec::new() };
    for (index, segment) in segments.iter().enumerate().skip(start.index) {
        let is_last = index + 1 == segments.len();
        let mut reader = LineReader::open(&segment.path)?;
        if index == start.index {
            reader.skip(start.skip_lines)?;
        }
        if walk_segment(&mut reader, &mut end, is_last, each)?.is_break() {
            break;
        }
        end.bytes += end.last_segment_bytes;
        if end.last_segment_bytes == 0 && !is_last {
            return Err(JournalError::EmptySegment { path: segment.path.clone() });
        }
    }
    Ok(end)
}

fn walk_segment(
    reader: &mut LineReader,
    end: &mut End,
    is_last: bool,
    each: &mut Each<'_>,
) -> Result<ControlFlow<()>, JournalError> {
    loop {
        let accepted = match reader.next()? {
            Next::Line(line) => end.chain.accept(line),
            Next::Cut(_) if !is_last => Err(Fault::Cut),
            Next::Cut(bytes) => {
                end.cut = bytes.to_vec();
                end.last_segment_bytes = reader.place().offset;
                return Ok(ControlFlow::Continue(()));
            }
            Next::End => {
                end.last_segment_bytes = reader.next_offset();
                return Ok(ControlFlow::Continue(()));
            }
        };
        let place = reader.place();
        let record = accepted.map_err(|fault| place.broken(fault))?;
        if each(&place, record)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// Where the record `seq` stands, or would stand: the newest segment whose first record is not after it, found by
/// reading first lines only. `None` where even the first segment holds no whole line.
pub(super) fn locate(segments: &[SegmentFile], seq: u64) -> Result<Option<Start>, JournalError> {
    for (index, segment) in segments.iter().enumerate().rev() {
        let is_last = index + 1 == segments.len();
        let Some(first) = first_seq(segment, is_last)? else { continue };
        if index == 0 && first != 1 {
            let place = Place { path: &segment.path, line: 1, offset: 0 };
            return Err(place.broken(Fault::Seq { expected: 1, found: first }));
        }
        if first <= seq {
            return Ok(Some(Start { index, skip_lines: seq - first, chain: Chain::resume_at(seq) }));
        }
    }
    Ok(None)
}

/// The number of the segment's first record; `None` in a last segment without a whole line.
pub(super) fn first_seq(segment: &SegmentFile, is_last: bool) -> Result<Option<u64>, JournalError> {
    #[derive(serde::Deserialize)]
    struct Seq {
        seq: u64,
    }
    let mut reader = LineReader::open(&segment.path)?;
    let parsed = match reader.next()? {
        Next::Line(line) => serde_json::from_slice::<Seq>(line).map_err(|error| Fault::NotARecord(error.to_string())),
        Next::Cut(_) | Next::End if is_last => return Ok(None),
        Next::Cut(_) => Err(Fault::Cut),
        Next::End => return Err(JournalError::EmptySegment { path: segment.path.clone() }),
    };
    parsed.map(|seq| Some(seq.seq)).map_err(|fault| reader.place().broken(fault))
}
