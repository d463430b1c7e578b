//! The kernel-mode gate: looks into a body, and into the archives in it, for code that would run in a kernel.
//!
//! What a body is is told by its content; only a name that ends in `.sys` counts by itself. These are opened: zip, gzip, xz, Zstandard, tar, cabinets,
//! `ar` (Debian packages), ClamAV's databases (512 bytes of text, then a tar), and executables with a cabinet or zip
//! inside (self-extractors). Compressed kinds that are known and not opened here (bzip2, 7z, RAR, …) are told as such:
//! what cannot be looked through cannot be cleared. A body of no known kind is not read beyond its first bytes.
//!
//! Everything is bounded: depth, members, unpacked bytes, their ratio to the artifact, and the bytes held at once. No
//! size that an archive declares is trusted. A member is held in memory only if it is of a kind that has to be read
//! back and forth (executables, zip, cabinets); one that is larger than the bound cannot be looked through inside an
//! archive, but can as an artifact of its own, which is mapped. Of larger executables the headers and imports are read,
//! and the rest is searched for archives as it streams by. tar, gzip, xz, Zstandard and `ar` stream at any size.
//!
//! What this module deliberately does not do: it does not search the data of executables for other executables, unpack
//! encrypted content or emulate installers, and it does not decide what a product may hold.

mod ar;
mod compressed;
mod elf;
mod format;
mod meter;
mod pe;
mod scan;
mod source;
mod tar;
#[cfg(test)]
pub(crate) mod tests;
mod unpack;
mod zip;

use crate::model::{KernelContent, TargetName};
use meter::Meter;
use scan::Scan;
use source::Source;

pub use format::is_pe;

/// The most hits, and the most obstacles, that are listed; the rest is counted.
pub const LISTED_MAX: usize = 20;

/// How far a body is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// Archives in archives.
    pub depth_max: u32,
    /// Members of all archives of an artifact together.
    pub members_max: u64,
    /// Bytes that an artifact unpacks to, at all depths together.
    pub unpacked_bytes_max: u64,
    /// Bytes that an artifact unpacks to, for each of its own.
    pub ratio_max: u64,
    /// The largest member that is held in memory. Twice as many bytes are held at most.
    pub member_bytes_max: u64,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self {
            depth_max: 4,
            members_max: 100_000,
            unpacked_bytes_max: 4 << 30,
            ratio_max: 200,
            member_bytes_max: 64 << 20,
        }
    }
}

/// Something that could not be looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The artifact.
    pub target: TargetName,
    /// Where in it; empty where it is the artifact itself.
    pub inside: String,
    /// Why, as the end of a sentence.
    pub why: String,
    /// Whether it is only of a kind that is not opened here, rather than damaged, lying or beyond a limit.
    pub is_opaque: bool,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Kernel-mode content: the first [`LISTED_MAX`].
    pub kernel_mode: Vec<KernelContent>,
    /// How much of it there is.
    pub kernel_count: u64,
    /// What could not be looked through: the first [`LISTED_MAX`].
    pub unread: Vec<Unread>,
    /// How much of it there is.
    pub unread_count: u64,
    /// How many bodies were looked at, the artifacts themselves included.
    pub bodies: u64,
}

impl Scanned {
    /// Looks at one more artifact.
    pub fn look_at(&mut self, target: &TargetName, bytes: &[u8], limits: &ScanLimits) {
        let meter = Meter::new(bytes.len() as u64, limits);
        let mut scan = Scan::new(target, *limits, &meter, self);
        // A limit that is reached ends the scan, and is among what could not be read.
        let _ = scan.member(target.as_str(), "", 0, Source::Slice(bytes));
    }
}
