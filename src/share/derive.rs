//! From planned to bodies: what has to be made of a blob's bytes before a share can show them. Blocking, and without a
//! clock.
//!
//! An archive is told by its content: zip, cabinet, or an executable with a cabinet inside. Everything that its
//! directory says is checked before the first member is handed out, and every member is checked while it is read.

mod body;
mod cabinet;
mod error;
mod executable;
mod listing;
#[cfg(test)]
mod tests;
mod zipped;

use std::io::Read;

use md5::Digest as _;

pub use error::DeriveError;

use crate::model::TargetName;

/// How much an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// The most members, folders among them.
    pub members_max: usize,
    /// The most bytes of all members together.
    pub total_bytes_max: u64,
    /// The most bytes of all members together for each byte of the archive.
    pub ratio_max: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self { members_max: 4096, total_bytes_max: 4 << 30, ratio_max: 200 }
    }
}

/// A file of an archive while it is handed out.
pub struct Member<'m> {
    /// Its path inside the archive, with `/` between components.
    pub name: TargetName,
    /// Its length in bytes: `body` gives exactly as many, or an error.
    pub size: u64,
    /// Its bytes. What is left unread is read and checked afterwards.
    pub body: &'m mut dyn Read,
}

/// Hands each file of `archive` to `sink`, one after the other. An archive inside the archive stays a file.
///
/// After an error what the sink was given must be thrown away: the member in hand is wrong, and others are missing.
pub fn unpack(
    archive: &[u8],
    limits: &UnpackLimits,
    sink: &mut dyn FnMut(Member<'_>) -> Result<(), DeriveError>,
) -> Result<(), DeriveError> {
    if archive.starts_with(b"PK") {
        zipped::unpack(archive, limits, sink)
    } else if archive.starts_with(cabinet::SIGNATURE) {
        cabinet::Cabinet::parse(archive)?.unpack(limits, sink)
    } else if archive.starts_with(b"MZ") {
        executable::find_cabinet(archive)?.unpack(limits, sink)
    } else {
        Err(DeriveError::NotAnArchive)
    }
}

/// The MD5 of these bytes as 32 lower-case hexadecimal characters, for clients that ask for nothing better.
pub fn md5_hex(bytes: &[u8]) -> String {
    md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
