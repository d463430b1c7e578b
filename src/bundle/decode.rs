//! Unpacking one body, from a stream, in bounded memory, and never more bytes than were promised.
//!
//! Whether the bytes are the right ones is not said here: both digests are checked by
//! [`BlockingIntake`](crate::store::BlockingIntake), the one way into a store.

use std::io::{self, Read};

use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::{Encoding, Object, Segment};

/// The most that one frame of a patch gives.
pub const SEGMENT_MAX_BYTES: usize = 32 << 20;
/// The longest piece of a base that a frame of a patch is over.
pub const BASE_PIECE_MAX_BYTES: usize = 32 << 20;
/// Frames need a window of at most two to this power: 64 MiB.
pub const WINDOW_LOG_MAX: u32 = 26;
/// A frame that needs no base gives at most this many times its length, and [`RATIO_SLACK_BYTES`] more.
pub const RATIO_MAX: u64 = 100;
/// See [`RATIO_MAX`].
pub const RATIO_SLACK_BYTES: u64 = 1 << 20;

/// What is read and what is given at once.
const STEP_BYTES: usize = 256 << 10;

/// Why a body could not be unpacked. What was given until then is of no use.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError<E: std::error::Error + 'static> {
    /// What the manifest says of it cannot be.
    #[error("the manifest contradicts itself: {why}")]
    Contradiction {
        /// How.
        why: &'static str,
    },
    /// The packed bytes are not what was packed.
    #[error("the packed bytes are damaged ({why}): copy the bundle again")]
    Damaged {
        /// What was seen.
        why: String,
    },
    /// The packed bytes could not be read.
    #[error("the packed bytes cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The body that it is a patch over is not there, or is another.
    #[error("the base of the patch is not there: {why}")]
    Base {
        /// What is missing.
        why: &'static str,
    },
    /// Whoever takes the body refused it.
    #[error(transparent)]
    Taken(E),
}

/// Unpacks `object`: reads exactly `object.packed.size` bytes of `packed`, and gives exactly `object.size` bytes to `take`,
/// or ends with an error. `base` is the whole body that a patch is over.
///
/// Blocks. Holds about 100 MiB at most, whatever the packed bytes say: a window of 64 MiB, or one frame's 32 MiB and the
/// piece of the base that it is over, whose pages are given back after each.
pub fn decode<E: std::error::Error + 'static>(
    object: &Object,
    base: Option<&[u8]>,
    packed: impl Read,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), DecodeError<E>> {
    check_packing(object).map_err(|why| DecodeError::Contradiction { why })?;
    let mut input = Input { reader: packed.take(object.packed.size), buffer: vec![0; STEP_BYTES], start: 0, end: 0 };
    let take = &mut take;
    // One for all frames: memory that is given back and taken again stays with the process in pieces.
    let mut context = DCtx::try_create().ok_or_else(|| DecodeError::Read(io::ErrorKind::OutOfMemory.into()))?;
    match object.encoding {
        Encoding::Raw => input.copy(object.size, take)?,
        Encoding::Zstd => input.frame(&mut context, (object.packed.size, object.size), &[], take)?,
        Encoding::Patch => {
            let base = base.ok_or(DecodeError::Base { why: "it was not given" })?;
            for segment in &object.segments {
                let piece =
                    piece(base, segment).ok_or(DecodeError::Base { why: "it is shorter than the patch needs" })?;
                input.frame(&mut context, (segment.packed_size, segment.size), piece, take)?;
                crate::sys::map::release_pages(piece);
            }
        }
    }
    Ok(())
}

/// Whether what an object says of its packing can be; the limits are those of the format.
pub fn check_packing(object: &Object) -> Result<(), &'static str> {
    if object.base.is_some() != (object.encoding == Encoding::Patch) {
        return Err("a patch has a base, and nothing else has one");
    }
    if object.encoding != Encoding::Patch && !object.segments.is_empty() {
        return Err("only a patch has segments");
    }
    match object.encoding {
        Encoding::Raw if object.packed.size != object.size => Err("what is not packed has its own length"),
        Encoding::Zstd
            if object.size > object.packed.size.saturating_mul(RATIO_MAX).saturating_add(RATIO_SLACK_BYTES) =>
        {
            Err("a packed body is at most a hundred times shorter than it is")
        }
        Encoding::Raw | Encoding::Zstd => Ok(()),
        Encoding::Patch => check_segments(object),
    }
}

fn check_segments(object: &Object) -> Result<(), &'static str> {
    let base_size = object.base.map_or(0, |base| base.size);
    let sum = |of: fn(&Segment) -> u64| object.segments.iter().try_fold(0_u64, |sum, one| sum.checked_add(of(one)));
    if sum(|one| one.size) != Some(object.size) || sum(|one| one.packed_size) != Some(object.packed.size) {
        return Err("the segments of a patch are as long as the whole");
    }
    for segment in &object.segments {
        if segment.size > SEGMENT_MAX_BYTES as u64 || segment.base_size > BASE_PIECE_MAX_BYTES as u64 {
            return Err("a segment of a patch has at most 32 MiB, over at most 32 MiB of the base");
        }
        if segment.base_offset.checked_add(segment.base_size).is_none_or(|end| end > base_size) {
            return Err("a segment of a patch is over a piece of its base");
        }
    }
    Ok(())
}

fn piece<'a>(base: &'a [u8], segment: &Segment) -> Option<&'a [u8]> {
    let start = usize::try_from(segment.base_offset).ok()?;
    let len = usize::try_from(segment.base_size).ok()?;
    base.get(start..start.checked_add(len)?)
}

/// The packed bytes, read in steps.
struct Input<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<R: Read> Input<R> {
    /// At most `most` of the bytes that are next; an error at their end.
    fn next<E: std::error::Error>(&mut self, most: u64) -> Result<&[u8], DecodeError<E>> {
        while self.start == self.end {
            match self.reader.read(&mut self.buffer) {
                Ok(0) => return Err(damaged("they end too early")),
                Ok(count) => (self.start, self.end) = (0, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DecodeError::Read(error)),
            }
        }
        let len = usize::try_from(most).unwrap_or(usize::MAX).min(self.end - self.start);
        Ok(&self.buffer[self.start..self.start + len])
    }

    fn copy<E: std::error::Error>(
        &mut self,
        mut left: u64,
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), DecodeError<E>> {
        while left > 0 {
            let bytes = self.next(left)?;
            let count = bytes.len();
            take(bytes).map_err(DecodeError::Taken)?;
            self.start += count;
            left -= count as u64;
        }
        Ok(())
    }

    /// One frame of exactly `packed` bytes that gives exactly `size` bytes.
    fn frame<'a, E: std::error::Error>(
        &mut self,
        context: &mut DCtx<'a>,
        (mut packed, mut size): (u64, u64),
        prefix: &'a [u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), DecodeError<E>> {
        let library = |code| damaged(get_error_name(code));
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(library)?;
        context.ref_prefix(prefix).map_err(library)?;
        let mut given = Vec::with_capacity(STEP_BYTES);
        loop {
            given.clear();
            let mut output = OutBuffer::around(&mut given);
            let (mut read, mut hint) = (0, usize::MAX);
            if packed > 0 {
                let mut input = InBuffer::around(self.next(packed)?);
                hint = context.decompress_stream(&mut output, &mut input).map_err(library)?;
                read = input.pos();
            } else {
                // What is left is in the library's own buffers.
                let before = output.pos();
                hint = hint.min(context.decompress_stream(&mut output, &mut InBuffer::around(&[])).map_err(library)?);
                if hint != 0 && output.pos() == before {
                    return Err(damaged("a frame ends too early"));
                }
            }
            self.start += read;
            packed -= read as u64;
            size = size.checked_sub(given.len() as u64).ok_or_else(|| damaged("they give more than was promised"))?;
            if !given.is_empty() {
                take(&given).map_err(DecodeError::Taken)?;
            }
            if hint == 0 {
                break;
            }
        }
        match (packed, size) {
            (0, 0) => Ok(()),
            (0, _) => Err(damaged("they give less than was promised")),
            _ => Err(damaged("something comes after a frame")),
        }
    }
}

fn damaged<E: std::error::Error>(why: &str) -> DecodeError<E> {
    DecodeError::Damaged { why: why.to_owned() }
}

#[cfg(test)]
mod tests;
