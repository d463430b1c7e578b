//! Packing one body: as it is, as a Zstandard frame, or as a patch over a body that the site has proven to hold.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation as _, OutBuffer};

use super::decode::{RATIO_MAX, RATIO_SLACK_BYTES};
use super::{Encoding, Packed, Segment};
use crate::model::ObjectRef;
use crate::sys::map::release_pages;
use spool::Spool;

mod align;
mod patch;
mod spool;

/// How many bases are tried at most; the first ones given are.
pub const BASES_MAX: usize = 4;

/// A frame that saves less than a tenth is not worth the time that reading it takes.
const WORTH_PERCENT: u64 = 90;
/// What is compressed to see whether it is worth it: pieces of this length from the beginning, the middle and the end.
const SAMPLE_BYTES: usize = 64 << 10;
/// Bodies up to this length are packed at the better level.
const THOROUGH_MAX_BYTES: u64 = 64 << 20;
/// Shorter bodies are packed on the caller's thread.
const PARALLEL_MIN_BYTES: u64 = 8 << 20;
/// Threads that pack one long body.
const WORKERS: u32 = 2;
/// What each of them packs at once.
const JOB_BYTES: u32 = 1 << 20;
/// What is packed at once; afterwards its pages are given back.
const STEP_BYTES: usize = 8 << 20;

/// Why a body could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// What was packed could not be set aside.
    #[error("cannot write packed bytes to {} ({cause}): make room there, and export again", path.display())]
    Spool {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// The library that packs refused.
    #[error("a body cannot be packed: {why}")]
    Library {
        /// What it said.
        why: String,
    },
}

/// How to pack.
#[derive(Debug, Clone, Copy)]
pub struct EncodeOptions<'a> {
    /// Where unnamed files go for what is more than 1 MiB when packed.
    pub spool: &'a Path,
}

/// A body as it lies in the volumes.
#[derive(Debug, Clone)]
pub struct PackedBody {
    /// How it is packed.
    pub encoding: Encoding,
    /// For a patch, the body that it is a patch over.
    pub base: Option<ObjectRef>,
    /// For a patch, its frames.
    pub segments: Vec<Segment>,
    /// The length and SHA-256 of `bytes`.
    pub packed: Packed,
    /// The body itself where it is raw; else the heap, or a mapping of a file without a name that goes when this does.
    pub bytes: Bytes,
}

/// Packs a body in whichever way is smallest, each only where it is worth its time: a patch over one of the first
/// [`BASES_MAX`] of `bases` only where it has less than half of what the body has otherwise.
///
/// Blocks. Whatever the sizes, it holds about 100 MiB at most, 40 to 48 MiB of that pages of mapped bodies, which it gives
/// back as it goes: pack one body at a time where memory is bounded.
pub fn encode(
    body: &Bytes,
    bases: &[(ObjectRef, Bytes)],
    options: &EncodeOptions<'_>,
) -> Result<PackedBody, EncodeError> {
    let whole = whole(body, options)?;
    let plain_size = whole.as_ref().map_or(body.len() as u64, |packed| packed.packed.size);
    let mut best: Option<PackedBody> = None;
    for (base, bytes) in bases.iter().take(BASES_MAX) {
        let below = best.as_ref().map_or(plain_size / 2, |best| best.packed.size);
        best = patch::patch(body, (base, bytes), below, options)?.or(best);
    }
    match best.or(whole) {
        Some(packed) => Ok(packed),
        None => raw(body),
    }
}

/// The body as it is.
fn raw(body: &Bytes) -> Result<PackedBody, EncodeError> {
    let mut sha256 = spool::Counted::default();
    for piece in body.chunks(STEP_BYTES) {
        sha256.take(piece);
        release_pages(piece);
    }
    let (encoding, base, segments) = (Encoding::Raw, None, Vec::new());
    Ok(PackedBody { encoding, base, segments, packed: sha256.packed(), bytes: body.clone() })
}

/// The body as one frame; none where that is not worth it.
fn whole(body: &Bytes, options: &EncodeOptions<'_>) -> Result<Option<PackedBody>, EncodeError> {
    let size = body.len() as u64;
    let worth = size / 100 * WORTH_PERCENT + size % 100 * WORTH_PERCENT / 100;
    if !promises(body)? {
        return Ok(None);
    }
    let mut encoder = encoder_for(size)?;
    let mut spool = Spool::new(options.spool, worth);
    let mut piece = Vec::with_capacity(256 << 10);
    for step in body.chunks(STEP_BYTES) {
        let mut input = InBuffer::around(step);
        while input.pos() < step.len() {
            piece.clear();
            encoder.run(&mut input, &mut OutBuffer::around(&mut piece)).map_err(library)?;
            if !spool.push(&piece)? {
                return Ok(None);
            }
        }
        release_pages(step);
    }
    loop {
        piece.clear();
        let left = encoder.finish(&mut OutBuffer::around(&mut piece), true).map_err(library)?;
        if !spool.push(&piece)? {
            return Ok(None);
        }
        if left == 0 {
            break;
        }
    }
    let (packed, bytes) = spool.finish()?;
    if size > packed.size.saturating_mul(RATIO_MAX).saturating_add(RATIO_SLACK_BYTES) {
        // Nobody would unpack it.
        return Ok(None);
    }
    Ok(Some(PackedBody { encoding: Encoding::Zstd, base: None, segments: Vec::new(), packed, bytes }))
}

fn encoder_for(size: u64) -> Result<Encoder<'static>, EncodeError> {
    let mut encoder = Encoder::new(if size <= THOROUGH_MAX_BYTES { 3 } else { 1 }).map_err(library)?;
    encoder.set_pledged_src_size(Some(size)).map_err(library)?;
    if size >= PARALLEL_MIN_BYTES {
        for parameter in [CParameter::NbWorkers(WORKERS), CParameter::JobSize(JOB_BYTES)] {
            encoder.set_parameter(parameter).map_err(library)?;
        }
    }
    Ok(encoder)
}

/// Whether pieces of the body become smaller.
pub(super) fn promises(body: &Bytes) -> Result<bool, EncodeError> {
    let sample = if body.len() <= 3 * SAMPLE_BYTES {
        body.clone()
    } else {
        let middle = body.len() / 2;
        let end = body.len() - SAMPLE_BYTES;
        Bytes::from([&body[..SAMPLE_BYTES], &body[middle..middle + SAMPLE_BYTES], &body[end..]].concat())
    };
    let packed = zstd::bulk::compress(&sample, 1).map_err(library)?;
    Ok((packed.len() as u64) * 100 <= (sample.len() as u64) * WORTH_PERCENT)
}

fn library(error: io::Error) -> EncodeError {
    EncodeError::Library { why: error.to_string() }
}

#[cfg(test)]
mod tests;
