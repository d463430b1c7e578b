//! tar: headers of 512 bytes, each before its member. POSIX (ustar and pax) and GNU.

use std::io;

use super::scan::{Cannot, Scan};
use super::source::Source;

const BLOCK_BYTES: usize = 512;
/// The longest text of names that is read for a member.
const NAMES_BYTES_MAX: u64 = 64 * 1024;

/// Whether a tar header stands here: its checksum is right.
pub(super) fn is_header(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<BLOCK_BYTES>() else { return false };
    block[0] != 0 && is_sound(block)
}

fn is_sound(block: &[u8; BLOCK_BYTES]) -> bool {
    let byte = |(at, byte): (usize, &u8)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte });
    let sum: u64 = block.iter().enumerate().map(byte).sum();
    number(&block[148..156]) == Some(sum)
}

/// Octal digits, or a binary number where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let mut value = u64::from(first & 0x3F);
        for byte in rest {
            value = value.checked_mul(256)?.checked_add(u64::from(*byte))?;
        }
        return (first & 0x40 == 0).then_some(value);
    }
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).ok()?.trim();
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

/// What headers before a member say of it.
#[derive(Default)]
struct Ahead {
    name: Option<String>,
    size: Option<u64>,
    is_sparse: bool,
}

impl Ahead {
    /// Reads lines of `LENGTH KEY=VALUE`.
    fn read_pax(&mut self, mut records: &[u8]) -> Option<()> {
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ')?;
            let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
            let record = records.get(space + 1..length.checked_sub(1)?)?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.name = Some(String::from_utf8_lossy(value).into_owned()),
                b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                _ if key.starts_with(b"GNU.sparse.") => self.is_sparse = true,
                _ => {}
            }
            records = &records[length..];
        }
        Some(())
    }
}

fn damaged(why: &str) -> Cannot {
    Cannot::Damaged(why.to_owned())
}

/// Looks at each member.
pub(super) fn walk(scan: &mut Scan<'_>, place: &str, depth: u32, mut source: Source<'_>) -> Result<(), Cannot> {
    let mut ahead = Ahead::default();
    let mut block = [0; BLOCK_BYTES];
    loop {
        match source.fill(&mut block)? {
            0 => return Ok(()),
            BLOCK_BYTES => {}
            _ => return Err(damaged("it ends inside a header")),
        }
        if block == [0; BLOCK_BYTES] {
            return Ok(());
        }
        if !is_sound(&block) {
            return Err(damaged("a header's checksum is wrong"));
        }
        let size = number(&block[124..136]).ok_or_else(|| damaged("a size in it is no number"))?;
        match block[156] {
            b'L' => ahead.name = Some(text(&names(&mut source, size)?)),
            b'x' => {
                let records = names(&mut source, size)?;
                ahead.read_pax(&records).ok_or_else(|| damaged("an extended header makes no sense"))?;
            }
            b'K' | b'g' => pass(&mut source, padded(size)?)?,
            kind => {
                let Ahead { name, size: given, is_sparse } = std::mem::take(&mut ahead);
                let name = name.unwrap_or_else(|| short_name(&block));
                // A hard link has no bytes, whatever it says.
                let size = if kind == b'1' { 0 } else { given.unwrap_or(size) };
                if kind == b'S' || is_sparse {
                    return Err(Cannot::Damaged(format!("its member {name} is sparse, which is not read here")));
                }
                scan.part(&name, place, depth, &mut source, size)?;
                pass(&mut source, padded(size)? - size)?;
            }
        }
    }
}

fn short_name(block: &[u8; BLOCK_BYTES]) -> String {
    let prefix =
        if &block[257..262] == b"ustar" && block[345] != 0 { text(&block[345..500]) + "/" } else { String::new() };
    prefix + &text(&block[..100])
}

fn padded(size: u64) -> Result<u64, Cannot> {
    size.checked_next_multiple_of(BLOCK_BYTES as u64).ok_or_else(|| damaged("a size in it is too large"))
}

fn names(source: &mut Source<'_>, size: u64) -> Result<Vec<u8>, Cannot> {
    let length = usize::try_from(size).ok().filter(|_| size <= NAMES_BYTES_MAX);
    let mut bytes = vec![0; length.ok_or_else(|| damaged("a name in it is too long"))?];
    if source.fill(&mut bytes)? != bytes.len() {
        return Err(damaged("it ends inside a header"));
    }
    pass(source, padded(size)? - size)?;
    Ok(bytes)
}

fn pass(source: &mut Source<'_>, bytes: u64) -> Result<(), Cannot> {
    let skipped: io::Result<bool> = source.skip(bytes);
    if skipped? { Ok(()) } else { Err(damaged("it ends inside a member")) }
}
