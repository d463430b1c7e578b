//! gzip, cabinets, and what executables carry.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::format::{Format, HEAD_BYTES};
use super::meter::Metered;
use super::scan::{Cannot, Scan};
use super::source::Source;
use super::zip;
use crate::gate::cabinet::{CABINET_SIGNATURE, Cabinet, CabinetError, looks_like_header};

/// The most places in an executable that look like an archive before nobody wants to try them all.
const PAYLOADS_MAX: usize = 16;

impl From<CabinetError> for Cannot {
    fn from(error: CabinetError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// The members of a gzip file as one stream. What follows them is ignored, as gzip does.
struct Members<R: BufRead> {
    current: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.current {
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut rest) = self.current.take().map(GzDecoder::into_inner) else { break };
            if rest.fill_buf()?.starts_with(&[0x1F]) {
                self.current = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

/// Looks at what is compressed, and reads it to its end, so that its checksum and length are compared.
pub(super) fn gzip(scan: &mut Scan<'_>, place: &str, depth: u32, source: Source<'_>) -> Result<(), Cannot> {
    let members = Members { current: Some(GzDecoder::new(BufReader::with_capacity(64 << 10, source))) };
    let mut stream = Metered::new(members, scan.meter);
    scan.body(place, depth, Source::Stream(&mut stream))?;
    io::copy(&mut stream, &mut io::sink())?;
    Ok(())
}

/// Looks at the files of a cabinet, folder by folder.
pub(super) fn cabinet(scan: &mut Scan<'_>, place: &str, depth: u32, bytes: &[u8]) -> Result<(), Cannot> {
    walk_cabinet(scan, place, depth, &Cabinet::parse(bytes)?)
}

fn walk_cabinet(scan: &mut Scan<'_>, place: &str, depth: u32, cabinet: &Cabinet<'_>) -> Result<(), Cannot> {
    for folder in cabinet.folders.iter().filter(|folder| !folder.files.is_empty()) {
        let meter = scan.meter;
        cabinet.open(folder, |stream| -> Result<(), Cannot> {
            let mut stream = Metered::new(stream, meter);
            let mut source = Source::Stream(&mut stream);
            let mut at = 0;
            for file in &folder.files {
                if !source.skip(file.start - at)? {
                    return Err(Cannot::Damaged("it ends before a member".to_owned()));
                }
                scan.part(&file.name, place, depth, &mut source, file.size)?;
                at = file.start + file.size;
            }
            Ok(())
        })??;
    }
    Ok(())
}

/// The fixed fields of a cabinet's header end here.
const CABINET_HEAD_BYTES: usize = 26;

/// Whether a cabinet or a zip may be in these bytes, which come only once.
pub(super) fn has_archive(stream: &mut dyn Read) -> io::Result<bool> {
    // The record at a zip's end is shorter than what is compared.
    let mut stream = stream.chain(io::repeat(0).take(CABINET_HEAD_BYTES as u64));
    let (mut buffer, mut kept) = (vec![0; 256 << 10], 0);
    loop {
        let count = stream.read(&mut buffer[kept..])?;
        if count == 0 {
            return Ok(false);
        }
        let filled = kept + count;
        if buffer[..filled].windows(CABINET_HEAD_BYTES).any(looks_like_archive) {
            return Ok(true);
        }
        kept = filled.min(CABINET_HEAD_BYTES - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

/// By the fields that are the same in every cabinet, and in the record at the end of every zip that has members.
fn looks_like_archive(bytes: &[u8]) -> bool {
    if bytes.starts_with(CABINET_SIGNATURE) {
        return [4, 12, 20].iter().all(|at| bytes[*at..at + 4] == [0; 4]) && bytes[24..26] == [3, 1];
    }
    bytes.starts_with(zip::END_SIGNATURE)
        && bytes[4..8] == [0; 4]
        && bytes[8..10] == bytes[10..12]
        && bytes[8..10] != [0; 2]
}

/// Looks at the cabinets and zips inside an executable, and at what was appended to it.
pub(super) fn payloads(
    scan: &mut Scan<'_>,
    place: &str,
    depth: u32,
    bytes: &[u8],
    overlay_at: Option<usize>,
) -> Result<(), Cannot> {
    let overlay = overlay_at.and_then(|at| bytes.get(at..)).unwrap_or_default();
    if let Format::Opaque(words) = Format::of(&overlay[..overlay.len().min(HEAD_BYTES)]) {
        let why = format!("it is an executable with {words} appended, which is not opened here");
        scan.ended(place, Err(Cannot::Opaque(why)))?;
    }
    let mut found = 0;
    let mut entered = || {
        found += 1;
        found <= PAYLOADS_MAX
    };
    for (at, window) in bytes.windows(CABINET_SIGNATURE.len()).enumerate() {
        let is_cabinet = window == CABINET_SIGNATURE && looks_like_header(&bytes[at..]);
        let is_zip = window == zip::END_SIGNATURE && zip::is_end(bytes, at);
        // A place that only looks like a cabinet is the extractor's own code: nobody can open that.
        let cabinet = if is_cabinet { Cabinet::parse(&bytes[at..]).ok() } else { None };
        if cabinet.is_none() && !is_zip {
            continue;
        }
        if depth >= scan.limits.depth_max {
            return Err(Cannot::Damaged(scan.too_deep()));
        }
        if !entered() {
            let why = format!("it is an executable with more than {PAYLOADS_MAX} archives inside");
            return Err(Cannot::Damaged(why));
        }
        let walked = match cabinet {
            Some(cabinet) => walk_cabinet(scan, place, depth + 1, &cabinet),
            None => zip::walk_at(scan, place, depth + 1, bytes, at),
        };
        scan.ended(place, walked)?;
    }
    Ok(())
}
