//! How much was unpacked, counted where bytes leave a decompressor.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};

use super::ScanLimits;
use crate::gate::cabinet::contain;

/// Below this many bytes nobody is hurt, whatever the ratio is.
const RATIO_FREE_BYTES: u64 = 1 << 20;

/// The count of one artifact.
pub(super) struct Meter {
    unpacked_bytes: Cell<u64>,
    bytes_max: u64,
    ratio_bytes_max: u64,
    ratio_max: u64,
    tripped: RefCell<Option<String>>,
}

impl Meter {
    /// For an artifact of `bytes`.
    pub(super) fn new(bytes: u64, limits: &ScanLimits) -> Self {
        Self {
            unpacked_bytes: Cell::new(0),
            bytes_max: limits.unpacked_bytes_max,
            ratio_bytes_max: bytes.saturating_mul(limits.ratio_max).max(RATIO_FREE_BYTES),
            ratio_max: limits.ratio_max,
            tripped: RefCell::new(None),
        }
    }

    /// Why nothing more may be unpacked, if that is so.
    pub(super) fn tripped(&self) -> Option<String> {
        self.tripped.borrow().clone()
    }

    fn count(&self, bytes: usize) -> io::Result<()> {
        let unpacked = self.unpacked_bytes.get().saturating_add(bytes as u64);
        self.unpacked_bytes.set(unpacked);
        let why = if unpacked > self.ratio_bytes_max {
            format!("it unpacks to more than {} bytes for each of its own (gate.ratio_max)", self.ratio_max)
        } else if unpacked > self.bytes_max {
            format!("it unpacks to more than {} bytes (gate.unpacked_max_bytes)", self.bytes_max)
        } else {
            return Ok(());
        };
        let error = io::Error::other(why.clone());
        self.tripped.borrow_mut().get_or_insert(why);
        Err(error)
    }
}

/// A decompressor whose bytes are counted, and whose panics are errors.
pub(super) struct Metered<'m, R> {
    inner: R,
    meter: &'m Meter,
}

impl<'m, R: Read> Metered<'m, R> {
    pub(super) fn new(inner: R, meter: &'m Meter) -> Self {
        Self { inner, meter }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let panicked = |_| io::Error::new(io::ErrorKind::InvalidData, "its compressed bytes make no sense");
        let count = contain(|| self.inner.read(buffer)).map_err(panicked)??.min(buffer.len());
        self.meter.count(count)?;
        Ok(count)
    }
}
