//! A body as a patch: Zstandard frames, each of which may refer to a piece of the base as if it stood before it.

use bytes::Bytes;
use zstd::zstd_safe::{self, CCtx, CParameter, ErrorCode};

use super::align::Alignment;
use super::spool::Spool;
use super::{EncodeError, EncodeOptions, PackedBody};
use crate::bundle::decode::{BASE_PIECE_MAX_BYTES, SEGMENT_MAX_BYTES, WINDOW_LOG_MAX};
use crate::bundle::{Encoding, Segment};
use crate::model::ObjectRef;
use crate::sys::map::release_pages;

/// What a segment of a body gives that is too long for one.
const CUT_BYTES: usize = 12 << 20;

/// Body and base up to this together are packed by one frame. All of it is read again and again meanwhile, so it counts
/// as memory, beside the tables.
const WHOLE_MAX_BYTES: usize = 48 << 20;

/// Body and base up to this together are worth the best that there is: it takes less than two seconds.
const THOROUGH_MAX_BYTES: usize = 6 << 20;

/// How hard a frame is tried; the logarithms bound the memory whatever the level would take.
struct Effort {
    level: i32,
    hash_log: u32,
    chain_log: u32,
}

const THOROUGH: Effort = Effort { level: 19, hash_log: 21, chain_log: 22 };
const CAREFUL: Effort = Effort { level: 12, hash_log: 22, chain_log: 22 };
const LONG: Effort = Effort { level: 9, hash_log: 21, chain_log: 21 };

/// The patch, if it has fewer bytes than `below`.
pub(super) fn patch(
    body: &Bytes,
    (base, base_bytes): (&ObjectRef, &Bytes),
    below: u64,
    options: &EncodeOptions<'_>,
) -> Result<Option<PackedBody>, EncodeError> {
    if body.is_empty() || base_bytes.is_empty() {
        return Ok(None);
    }
    let is_whole = body.len() <= SEGMENT_MAX_BYTES
        && base_bytes.len() <= BASE_PIECE_MAX_BYTES
        && body.len() + base_bytes.len() <= WHOLE_MAX_BYTES;
    let alignment = (!is_whole).then(|| Alignment::of(base_bytes));
    let (cut, effort) = match &alignment {
        None if body.len() + base_bytes.len() <= THOROUGH_MAX_BYTES => (body.len(), THOROUGH),
        None => (body.len(), CAREFUL),
        Some(_) => (CUT_BYTES, LONG),
    };
    let mut spool = Spool::new(options.spool, below);
    let mut segments = Vec::new();
    // One for all frames: memory that is given back and taken again stays with the process in pieces.
    let mut context = CCtx::try_create().ok_or_else(|| library_says("it has no memory"))?;
    let room = usize::try_from(spool.room()).unwrap_or(usize::MAX);
    // Pages of it that are never written never come to be.
    let mut frame = Vec::with_capacity(room.min(zstd_safe::compress_bound(cut.min(body.len()))).max(1));
    for (number, part) in body.chunks(cut).enumerate() {
        let piece = match &alignment {
            None => 0..base_bytes.len(),
            Some(alignment) => alignment.piece_for(part, number * cut, body.len()),
        };
        let prefix = &base_bytes[piece.clone()];
        if !pack_frame(&mut context, part, prefix, &effort, &mut frame)? || !spool.push(&frame)? {
            return Ok(None);
        }
        segments.push(Segment {
            size: part.len() as u64,
            packed_size: frame.len() as u64,
            base_offset: piece.start as u64,
            base_size: prefix.len() as u64,
        });
        release_pages(part);
        release_pages(prefix);
    }
    let (packed, bytes) = spool.finish()?;
    Ok(Some(PackedBody { encoding: Encoding::Patch, base: Some(*base), segments, packed, bytes }))
}

/// One frame, instead of what `frame` had; false where it would have more than that has room for.
fn pack_frame<'a>(
    context: &mut CCtx<'a>,
    part: &[u8],
    prefix: &'a [u8],
    effort: &Effort,
    frame: &mut Vec<u8>,
) -> Result<bool, EncodeError> {
    let log = (part.len() + prefix.len()).next_power_of_two().ilog2().clamp(10, WINDOW_LOG_MAX);
    for parameter in [
        CParameter::CompressionLevel(effort.level),
        CParameter::WindowLog(log),
        CParameter::HashLog(effort.hash_log.min(log)),
        CParameter::ChainLog(effort.chain_log.min(log)),
        CParameter::EnableLongDistanceMatching(true),
        CParameter::ContentSizeFlag(true),
    ] {
        context.set_parameter(parameter).map_err(library)?;
    }
    context.ref_prefix(prefix).map_err(library)?;
    // Both ends are whole in memory: the library needs no buffers of its own.
    frame.clear();
    match context.compress2(frame, part) {
        Ok(_) => Ok(true),
        Err(code) if zstd_safe::get_error_name(code).contains("Destination buffer is too small") => Ok(false),
        Err(code) => Err(library(code)),
    }
}

fn library(code: ErrorCode) -> EncodeError {
    library_says(zstd_safe::get_error_name(code))
}

fn library_says(why: &str) -> EncodeError {
    EncodeError::Library { why: why.to_owned() }
}
