//! xz and Zstandard, which Debian's packages are compressed with.

use std::io::{self, BufRead, BufReader, Read};

use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::meter::Metered;
use super::scan::{Cannot, Scan};
use super::source::Source;

/// The most memory that a decoder may ask for: what `xz -9` (64 MiB) and `zstd --ultra -22` (128 MiB) need.
const WINDOW_BYTES_MAX: u32 = 128 << 20;
/// The decoder's own tables come on top of the window.
const XZ_MEMORY_KIB_MAX: u32 = (WINDOW_BYTES_MAX >> 10) + 1024;
/// How much of what is compressed is read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Looks at what is compressed, and reads it to its end, so that its check is compared.
pub(super) fn xz(scan: &mut Scan<'_>, place: &str, depth: u32, source: Source<'_>) -> Result<(), Cannot> {
    let source = BufReader::with_capacity(BUFFER_BYTES, source);
    through(scan, place, depth, XzReader::new_mem_limit(source, true, XZ_MEMORY_KIB_MAX))
}

/// As [`xz`].
pub(super) fn zstandard(scan: &mut Scan<'_>, place: &str, depth: u32, source: Source<'_>) -> Result<(), Cannot> {
    let source = BufReader::with_capacity(BUFFER_BYTES, source);
    through(scan, place, depth, Frames::new(source))
}

fn through(scan: &mut Scan<'_>, place: &str, depth: u32, decoder: impl Read) -> Result<(), Cannot> {
    let mut stream = Metered::new(decoder, scan.meter);
    scan.body(place, depth, Source::Stream(&mut stream))?;
    io::copy(&mut stream, &mut io::sink())?;
    Ok(())
}

/// The frames of a Zstandard file as one stream (RFC 8878 section 3): the decoder reads one of them.
struct Frames<R: BufRead> {
    source: R,
    decoder: FrameDecoder,
    is_inside: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(u64::from(WINDOW_BYTES_MAX));
        Self { source, decoder, is_inside: false }
    }

    /// Begins the next frame; whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => {
                    self.is_inside = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    if io::copy(&mut (&mut self.source).take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    /// Compares the frame's check, where it has one.
    fn end(&mut self) -> io::Result<()> {
        self.is_inside = false;
        let (stated, found) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        match stated {
            Some(stated) if Some(stated) != found => Err(io::Error::other("its check does not fit what it unpacks to")),
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.is_inside && !self.begin()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, one).map_err(io::Error::other)?;
            }
            match self.decoder.read(buffer)? {
                0 => self.end()?,
                count => return Ok(count),
            }
        }
    }
}
