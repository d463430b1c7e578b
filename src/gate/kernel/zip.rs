//! zip, by its central directory, as everybody unpacks it (APPNOTE 6.3.10, section 4.3).
//!
//! Read by hand: the directory is walked where it lies, so that one that claims millions of members costs no memory.

use std::io;
use std::ops::Range;

use flate2::read::DeflateDecoder;

use super::meter::Metered;
use super::scan::{Cannot, Scan};
use super::source::Source;

/// What the record at the end begins with.
pub(super) const END_SIGNATURE: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const ENTRY_SIGNATURE: &[u8] = b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;
const END64_SIGNATURE: &[u8] = b"PK\x06\x06";
const LOCATOR_SIGNATURE: &[u8] = b"PK\x06\x07";
const COMMENT_BYTES_MAX: usize = 0xFFFF;
const ENCRYPTED: u16 = 1;

fn damaged(why: &str) -> Cannot {
    Cannot::Damaged(why.to_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk).into())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk).into())
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Where the directory lies, and by how much all offsets are too small because something stands before the archive.
struct Directory {
    entries: Range<usize>,
    count: u64,
    shift: usize,
}

impl Directory {
    /// By the record at `end`.
    fn by_end(bytes: &[u8], end: usize) -> Option<Self> {
        let (mut count, mut size, mut offset) =
            (u16_at(bytes, end + 10)? as u64, u32_at(bytes, end + 12)?, u32_at(bytes, end + 16)?);
        let mut until = end;
        let locator = end.checked_sub(20).filter(|at| bytes[*at..].starts_with(LOCATOR_SIGNATURE));
        if let Some(locator) = locator {
            let told = usize::try_from(u64_at(bytes, locator + 8)?).ok();
            let places = [told, locator.checked_sub(56)];
            let is_end64 = |at: &usize| bytes.get(*at..).is_some_and(|rest| rest.starts_with(END64_SIGNATURE));
            until = places.into_iter().flatten().find(is_end64)?;
            (count, size, offset) =
                (u64_at(bytes, until + 32)?, u64_at(bytes, until + 40)?, u64_at(bytes, until + 48)?);
        }
        let start = until.checked_sub(usize::try_from(size).ok()?)?;
        let shift = start.checked_sub(usize::try_from(offset).ok()?)?;
        Some(Self { entries: start..until, count, shift })
    }
}

/// Whether a record at `at` ends an archive with members, for places inside other files.
pub(super) fn is_end(bytes: &[u8], at: usize) -> bool {
    let directory = Directory::by_end(bytes, at);
    directory.is_some_and(|directory| bytes[directory.entries].starts_with(ENTRY_SIGNATURE))
}

/// Looks at each member of an archive.
pub(super) fn walk(scan: &mut Scan<'_>, place: &str, depth: u32, bytes: &[u8]) -> Result<(), Cannot> {
    let last = bytes.len().checked_sub(END_BYTES).ok_or_else(|| damaged("its end is missing"))?;
    let first = last.saturating_sub(COMMENT_BYTES_MAX);
    let end = (first..=last).rev().find(|at| bytes[*at..].starts_with(END_SIGNATURE));
    walk_at(scan, place, depth, bytes, end.ok_or_else(|| damaged("its end is missing"))?)
}

/// Looks at each member of the archive that ends with the record at `end`.
pub(super) fn walk_at(scan: &mut Scan<'_>, place: &str, depth: u32, bytes: &[u8], end: usize) -> Result<(), Cannot> {
    let directory = Directory::by_end(bytes, end).ok_or_else(|| damaged("its directory lies outside of it"))?;
    let entries = &bytes[directory.entries.clone()];
    let mut seen: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while entries[at..].starts_with(ENTRY_SIGNATURE) {
        let entry = Entry::read(&entries[at..]).ok_or_else(|| damaged("its directory makes no sense"))?;
        at += entry.bytes;
        if seen.len() as u64 >= scan.limits.members_max {
            let why = format!("it has more than {} members (gate.members_max)", scan.limits.members_max);
            return Err(Cannot::Damaged(why));
        }
        let range = entry.range(bytes, directory.shift).ok_or_else(|| damaged("a member lies outside of it"))?;
        seen.push(range.clone());
        let looked = entry.look(scan, place, depth, &bytes[range]);
        scan.ended(place, looked)?;
    }
    // A count of 16 bits is all that many programs write.
    if at != entries.len() || (seen.len() as u64 ^ directory.count) & 0xFFFF != 0 {
        return Err(damaged("its directory is not as long as it says"));
    }
    seen.sort_by_key(|range| (range.start, range.end));
    // Members that share their bytes are how a small archive unpacks to a huge one.
    if seen.windows(2).any(|pair| pair[1].start < pair[0].end) {
        return Err(damaged("two members share their bytes"));
    }
    Ok(())
}

/// A member as the directory has it.
struct Entry {
    /// How long its own record is.
    bytes: usize,
    name: String,
    flags: u16,
    method: usize,
    packed_bytes: u64,
    unpacked_bytes: u64,
    offset: u64,
}

impl Entry {
    fn read(record: &[u8]) -> Option<Self> {
        let (name_bytes, extra_bytes, comment_bytes) = (u16_at(record, 28)?, u16_at(record, 30)?, u16_at(record, 32)?);
        let extra_at = ENTRY_BYTES + name_bytes;
        let name = String::from_utf8_lossy(record.get(ENTRY_BYTES..extra_at)?).into_owned();
        let mut entry = Self {
            bytes: extra_at + extra_bytes + comment_bytes,
            name,
            flags: u16::try_from(u16_at(record, 8)?).ok()?,
            method: u16_at(record, 10)?,
            packed_bytes: u32_at(record, 20)?,
            unpacked_bytes: u32_at(record, 24)?,
            offset: u32_at(record, 42)?,
        };
        record.get(..entry.bytes)?;
        entry.read_zip64(record.get(extra_at..extra_at + extra_bytes)?);
        Some(entry)
    }

    /// Numbers that do not fit stand in an extra field, in a fixed order.
    fn read_zip64(&mut self, mut extra: &[u8]) {
        while let (Some(id), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
            let Some(field) = extra.get(4..4 + length) else { return };
            if id == 1 {
                let mut at = 0;
                for number in [&mut self.unpacked_bytes, &mut self.packed_bytes, &mut self.offset] {
                    if *number == 0xFFFF_FFFF
                        && let Some(wide) = u64_at(field, at)
                    {
                        *number = wide;
                        at += 8;
                    }
                }
            }
            extra = &extra[4 + length..];
        }
    }

    /// Where its compressed bytes are.
    fn range(&self, bytes: &[u8], shift: usize) -> Option<Range<usize>> {
        let header = usize::try_from(self.offset).ok()?.checked_add(shift)?;
        if !bytes.get(header..)?.starts_with(LOCAL_SIGNATURE) {
            return None;
        }
        let start = header + LOCAL_BYTES + u16_at(bytes, header + 26)? + u16_at(bytes, header + 28)?;
        let end = start.checked_add(usize::try_from(self.packed_bytes).ok()?)?;
        (end <= bytes.len()).then_some(start..end)
    }

    fn look(&self, scan: &mut Scan<'_>, place: &str, depth: u32, packed: &[u8]) -> Result<(), Cannot> {
        let name = &self.name;
        let opaque = |why: String| Cannot::Opaque(format!("its member {name} is {why}, which is not opened here"));
        if self.flags & ENCRYPTED != 0 {
            return Err(opaque("encrypted".to_owned()));
        }
        match self.method {
            0 => {
                let size = self.unpacked_bytes;
                if size != packed.len() as u64 {
                    return Err(Cannot::Damaged(format!("its member {name} is not as long as it says")));
                }
                scan.part(name, place, depth, &mut Source::Slice(packed), size)
            }
            8 => {
                let mut stream = Metered::new(DeflateDecoder::new(packed), scan.meter);
                let mut source = Source::Stream(&mut stream);
                scan.part(name, place, depth, &mut source, self.unpacked_bytes)?;
                // One byte more would be a lie.
                if io::Read::read(&mut source, &mut [0])? == 0 {
                    return Ok(());
                }
                Err(Cannot::Damaged(format!("its member {name} is longer than it says")))
            }
            method => Err(opaque(format!("compressed by method {method}"))),
        }
    }
}
