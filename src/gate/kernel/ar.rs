//! `ar`: what Debian packages and static libraries are.

use super::scan::{Cannot, Scan};
use super::source::Source;

const MAGIC_BYTES: u64 = 8;
const HEADER_BYTES: usize = 60;

/// Looks at each member.
pub(super) fn walk(scan: &mut Scan<'_>, place: &str, depth: u32, mut source: Source<'_>) -> Result<(), Cannot> {
    let damaged = |why: &str| Cannot::Damaged(why.to_owned());
    source.skip(MAGIC_BYTES)?;
    let mut header = [0; HEADER_BYTES];
    loop {
        match source.fill(&mut header)? {
            0 => return Ok(()),
            HEADER_BYTES if header[58..] == *b"`\n" => {}
            _ => return Err(damaged("a header makes no sense")),
        }
        let size = std::str::from_utf8(&header[48..58]).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let mut size = size.ok_or_else(|| damaged("a size in it is no number"))?;
        let odd = size % 2;
        let mut name = String::from_utf8_lossy(&header[..16]).trim_end().trim_end_matches('/').to_owned();
        // BSD's long names stand before the member's bytes, and count as such.
        if let Some(length) = name.strip_prefix("#1/").and_then(|text| text.parse::<u16>().ok()) {
            let mut long = vec![0; usize::from(length)];
            size = size.checked_sub(length.into()).ok_or_else(|| damaged("a name is longer than its member"))?;
            if source.fill(&mut long)? != long.len() {
                return Err(damaged("it ends inside a name"));
            }
            name = String::from_utf8_lossy(&long).trim_end_matches('\0').to_owned();
        }
        scan.part(&name, place, depth, &mut source, size)?;
        // The last member's padding may be missing.
        source.skip(odd)?;
    }
}
