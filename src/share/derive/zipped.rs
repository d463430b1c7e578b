//! Zip archives.

use std::io::{Cursor, Read as _};

use zip::{CompressionMethod, ZipArchive};

use super::body::{contain, deliver};
use super::listing::{Listed, check, check_count, parse_name};
use super::{DeriveError, Member, UnpackLimits};

/// The part of a Unix mode that tells files from links, devices and folders.
const MODE_TYPE: u32 = 0o170_000;
const MODE_FILE: u32 = 0o100_000;

type Archive<'z> = ZipArchive<Cursor<&'z [u8]>>;

/// The member at `index`; nothing for a folder.
fn list(archive: &Archive<'_>, index: usize) -> Result<Option<Listed>, DeriveError> {
    let entry = archive.by_index_data(index).map_err(DeriveError::damaged)?;
    let text = entry.name().map_err(DeriveError::damaged)?;
    let name = parse_name(text.strip_suffix('/').unwrap_or(&text))?;
    if entry.is_dir() {
        return Ok(None);
    }
    if entry.encrypted() {
        return Err(DeriveError::Encrypted { member: name });
    }
    if entry.unix_mode().is_some_and(|mode| !matches!(mode & MODE_TYPE, 0 | MODE_FILE)) {
        return Err(DeriveError::Unsupported { what: format!("{name} in the archive is a link or a device") });
    }
    let method = entry.compression();
    if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
        return Err(DeriveError::Unsupported { what: format!("{name} in the archive is compressed with {method}") });
    }
    Ok(Some(Listed { name, size: entry.size() }))
}

pub(super) fn unpack(
    bytes: &[u8],
    limits: &UnpackLimits,
    sink: &mut dyn FnMut(Member<'_>) -> Result<(), DeriveError>,
) -> Result<(), DeriveError> {
    let mut archive = contain(|| ZipArchive::new(Cursor::new(bytes)))?.map_err(DeriveError::damaged)?;
    check_count(archive.len(), limits)?;
    if archive.has_duplicate_names() {
        return Err(DeriveError::damaged("two members have the same name"));
    }
    let mut members = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        members.extend(list(&archive, index)?.map(|listed| (index, listed)));
    }
    let listed: Vec<&Listed> = members.iter().map(|(_, listed)| listed).collect();
    check(&listed, bytes.len() as u64, limits)?;
    // Members that share their bytes are how a small archive unpacks to a huge one.
    if contain(|| archive.has_overlapping_entries())?.map_err(DeriveError::damaged)? {
        return Err(DeriveError::damaged("two members share their bytes"));
    }
    for (index, listed) in &members {
        let mut file = contain(|| archive.by_index(*index))?.map_err(DeriveError::damaged)?;
        deliver(listed, &mut file, sink)?;
        // The reader compares the checksum when it meets the end, one read after the last byte.
        let past_end = contain(|| file.read(&mut [0]))?.map_err(DeriveError::damaged)?;
        if past_end != 0 {
            return Err(DeriveError::damaged(format!("{} is longer than the archive says", listed.name)));
        }
    }
    Ok(())
}
