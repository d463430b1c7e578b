//! Volumes: plain tar archives (ustar) that hold the packed bytes of objects, each with its own list.
//!
//! Everything in a volume but the objects' bytes follows from the manifest, to the last byte: whoever writes one can
//! begin anywhere in it, and whoever reads one needs no tar. What this module deliberately does not do: it opens no
//! file, and knows nothing of what an object is.

mod layout;
mod list;
mod plan;

#[cfg(test)]
mod tests;

pub use layout::{Layout, Piece, Span};
pub use list::{LIST_HEAD_BYTES, ListHead, NotThisVolume, check_list};
pub use plan::{PackedObject, PlanError, VOLUME_MIN_BYTES, VolumePlan};

use crate::model::{Blake3Digest, SiteName};

/// The most volumes of a bundle.
pub const VOLUMES_MAX: u32 = 9_999;
/// The most parts of an object.
pub const PARTS_MAX: u32 = 9_999;
/// The longest part: what a length in a ustar header can say.
pub const PART_MAX_BYTES: u64 = (1 << 33) - 1;
/// The longest volume, and the longest object.
pub const SIZE_MAX_BYTES: u64 = 1 << 40;

/// A tar archive consists of these.
const BLOCK_BYTES: u64 = 512;
/// Two blocks of zeros end an archive.
const END_BYTES: u64 = 2 * BLOCK_BYTES;
const LIST_NAME: &str = "LIST.json";

/// Which bundle a volume belongs to, as its list says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeOf {
    /// For which site.
    pub site: SiteName,
    /// Its place among the site's bundles.
    pub sequence: u64,
    /// When it was made.
    pub created: jiff::Timestamp,
}

/// The name of a volume's file, by its number from 1.
pub fn volume_name(number: u32) -> String {
    format!("vol-{number:04}.tar")
}

/// The number that a volume's file has by its name; none for every other name.
pub fn volume_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("vol-").and_then(|name| name.strip_suffix(".tar"))?;
    let number = digits.parse().ok().filter(|number| (1..=VOLUMES_MAX).contains(number))?;
    (volume_name(number) == name).then_some(number)
}

/// The name of an entry; a part has its number, from 1, where there are several.
fn entry_name(blake3: &Blake3Digest, part: u32, parts: u32) -> String {
    match parts {
        1 => format!("objects/{}", blake3.to_hex()),
        _ => format!("objects/{}.part-{part:04}", blake3.to_hex()),
    }
}

/// The header of an entry: a regular file that everybody may read and nobody write, of no time and nobody's.
fn header(name: &str, size: u64) -> [u8; BLOCK_BYTES as usize] {
    let mut header = tar::Header::new_ustar();
    if let Some(ustar) = header.as_ustar_mut() {
        // All names are shorter than the field: at most 82 of 100 bytes.
        let length = name.len().min(ustar.name.len());
        ustar.name[..length].copy_from_slice(&name.as_bytes()[..length]);
    }
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o444);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

/// What `size` bytes take in an archive.
fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK_BYTES)
}
