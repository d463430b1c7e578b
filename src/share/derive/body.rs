//! A member's bytes while they are read: as many as the directory said, or an error.

use std::io::{self, Read};

use super::listing::Listed;
use super::{DeriveError, Member};

/// Runs code of a decompression library. Some of it panics at hostile bytes (an index, an overflow), and no published
/// bytes may take a thread of the server with them. What it worked on must not be used after an error.
pub(super) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, DeriveError> {
    crate::gate::contain(work).map_err(|_| DeriveError::damaged("its compressed bytes make no sense"))
}

/// Reads exactly `left` bytes from `inner`, and remembers why that failed.
struct Body<'r> {
    inner: &'r mut dyn Read,
    left: u64,
    failed: Option<DeriveError>,
}

impl Body<'_> {
    fn fail(&mut self, error: DeriveError) -> io::Error {
        let text = error.to_string();
        self.failed = Some(error);
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed.is_some() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the archive is damaged"));
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        match contain(|| self.inner.read(&mut buffer[..wanted])) {
            Ok(Ok(0)) => Err(self.fail(DeriveError::damaged("a member ends too early"))),
            Ok(Ok(count)) if count <= wanted => {
                self.left -= count as u64;
                Ok(count)
            }
            Ok(Ok(_)) => Err(self.fail(DeriveError::damaged("a member gives more than it was asked for"))),
            Ok(Err(error)) => Err(self.fail(DeriveError::damaged(error))),
            Err(panicked) => Err(self.fail(panicked)),
        }
    }
}

/// Hands a member to the sink, and reads what the sink left, so that the checksums at its end are checked in any case.
pub(super) fn deliver(
    listed: &Listed,
    inner: &mut dyn Read,
    sink: &mut dyn FnMut(Member<'_>) -> Result<(), DeriveError>,
) -> Result<(), DeriveError> {
    let mut body = Body { inner, left: listed.size, failed: None };
    let outcome = sink(Member { name: listed.name.clone(), size: listed.size, body: &mut body });
    // The sink's error is only an echo when the archive is what failed.
    if let Some(error) = body.failed {
        return Err(error);
    }
    outcome?;
    skip(&mut body).map_err(|error| body.failed.unwrap_or_else(|| DeriveError::damaged(error)))
}

/// Reads to the end.
pub(super) fn skip(reader: &mut dyn Read) -> io::Result<()> {
    io::copy(reader, &mut io::sink()).map(drop)
}

/// Passes over `bytes` that belong to no member.
pub(super) fn skip_gap(inner: &mut dyn Read, bytes: u64) -> Result<(), DeriveError> {
    let mut gap = Body { inner, left: bytes, failed: None };
    skip(&mut gap).map_err(|error| gap.failed.unwrap_or_else(|| DeriveError::damaged(error)))
}
