//! The walk: one member after the other, each by what it is.

use std::io::{self, Read};

use super::format::{CVD_HEADER_BYTES, Format, HEAD_BYTES};
use super::meter::Meter;
use super::source::Source;
use super::{LISTED_MAX, ScanLimits, Scanned, Unread, ar, compressed, elf, pe, tar, unpack, zip};
use crate::model::{KernelContent, KernelKind, TargetName};

/// The longest name of a member that is kept, in characters.
const NAME_CHARS_MAX: usize = 120;

/// A limit is reached: nothing more of this artifact is looked at. It is noted already.
pub(super) struct Stop;

/// Why an archive could not be walked to its end.
pub(super) enum Cannot {
    /// It is damaged, or lies.
    Damaged(String),
    /// It is of a kind that is not opened here.
    Opaque(String),
    /// A limit is reached.
    Stop,
}

impl From<io::Error> for Cannot {
    fn from(error: io::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<Stop> for Cannot {
    fn from(_: Stop) -> Self {
        Self::Stop
    }
}

/// The walk through one artifact.
pub(super) struct Scan<'s> {
    target: &'s TargetName,
    pub(super) limits: ScanLimits,
    pub(super) meter: &'s Meter,
    scanned: &'s mut Scanned,
    members: u64,
    held_bytes: u64,
}

impl<'s> Scan<'s> {
    pub(super) fn new(target: &'s TargetName, limits: ScanLimits, meter: &'s Meter, scanned: &'s mut Scanned) -> Self {
        Self { target, limits, meter, scanned, members: 0, held_bytes: 0 }
    }

    fn hit(&mut self, inside: &str, kind: KernelKind) {
        self.scanned.kernel_count += 1;
        if self.scanned.kernel_mode.len() < LISTED_MAX {
            let (target, inside) = (self.target.clone(), inside.to_owned());
            self.scanned.kernel_mode.push(KernelContent { target, inside, kind });
        }
    }

    fn unread(&mut self, inside: &str, why: impl Into<String>, is_opaque: bool) {
        self.scanned.unread_count += 1;
        if self.scanned.unread.len() < LISTED_MAX {
            let (target, inside, why) = (self.target.clone(), inside.to_owned(), why.into());
            self.scanned.unread.push(Unread { target, inside, why, is_opaque });
        }
    }

    fn stop(&mut self, inside: &str, why: String) -> Stop {
        self.unread(inside, why, false);
        Stop
    }

    /// Looks at a member of the archive at `place`: the next `size` bytes of `source`, which are passed.
    pub(super) fn part(
        &mut self,
        name: &str,
        place: &str,
        depth: u32,
        source: &mut Source<'_>,
        size: u64,
    ) -> Result<(), Cannot> {
        let inside = beneath(place, name);
        let ends = || Cannot::Damaged(format!("it ends inside its member {}", shown(name)));
        match source {
            Source::Slice(slice) => {
                let count = usize::try_from(size).ok().filter(|count| *count <= slice.len()).ok_or_else(ends)?;
                let (member, rest) = slice.split_at(count);
                *slice = rest;
                Ok(self.member(name, &inside, depth, Source::Slice(member))?)
            }
            Source::Stream(stream) => {
                let mut member = Read::take(&mut **stream, size);
                self.member(name, &inside, depth, Source::Stream(&mut member))?;
                if let Err(error) = io::copy(&mut member, &mut io::sink()) {
                    let tripped = self.meter.tripped();
                    return Err(tripped.map_or_else(|| error.into(), |why| self.stop(&inside, why).into()));
                }
                if member.limit() == 0 { Ok(()) } else { Err(ends()) }
            }
        }
    }

    /// Looks at a body that has a name of its own.
    pub(super) fn member(&mut self, name: &str, inside: &str, depth: u32, source: Source<'_>) -> Result<(), Stop> {
        self.members += 1;
        if self.members > self.limits.members_max {
            let why = format!("it has more than {} members (gate.members_max)", self.limits.members_max);
            return Err(self.stop(inside, why));
        }
        if is_driver_name(name) {
            self.hit(inside, KernelKind::DriverName);
        }
        self.body(inside, depth, source)
    }

    /// Looks at a body by its content alone.
    pub(super) fn body(&mut self, inside: &str, depth: u32, mut source: Source<'_>) -> Result<(), Stop> {
        self.scanned.bodies += 1;
        let mut head = [0; HEAD_BYTES];
        let filled = match &mut source {
            // Nothing is taken from a slice by looking at it.
            Source::Slice(slice) => {
                let count = slice.len().min(HEAD_BYTES);
                head[..count].copy_from_slice(&slice[..count]);
                count
            }
            Source::Stream(_) => match source.fill(&mut head) {
                Ok(filled) => filled,
                Err(error) => return self.ended(inside, Err(error.into())),
            },
        };
        let head = &head[..filled];
        let format = Format::of(head);
        match source {
            Source::Slice(slice) => self.formatted(inside, depth, format, Source::Slice(slice)),
            Source::Stream(stream) => {
                let mut whole = head.chain(stream);
                self.formatted(inside, depth, format, Source::Stream(&mut whole))
            }
        }
    }

    fn formatted(&mut self, inside: &str, depth: u32, format: Format, source: Source<'_>) -> Result<(), Stop> {
        let walked = match format {
            Format::Other => return Ok(()),
            Format::Opaque(words) => {
                self.unread(inside, format!("it is {words}, which is not opened here"), true);
                return Ok(());
            }
            Format::Pe | Format::Elf | Format::Zip | Format::Cabinet => {
                self.whole(inside, format, source, |scan, bytes| scan.at_hand(inside, depth, format, bytes))
            }
            _ if depth >= self.limits.depth_max => Err(Cannot::Damaged(self.too_deep())),
            Format::Gzip => unpack::gzip(self, inside, depth + 1, source),
            Format::Xz => compressed::xz(self, inside, depth + 1, source),
            Format::Zstandard => compressed::zstandard(self, inside, depth + 1, source),
            Format::Tar => tar::walk(self, inside, depth + 1, source),
            Format::Ar => ar::walk(self, inside, depth + 1, source),
            Format::Cvd => self.cvd(inside, depth + 1, source),
        };
        self.ended(inside, walked)
    }

    /// A ClamAV database: its header is text; what follows is a tar, mostly gzipped.
    fn cvd(&mut self, inside: &str, depth: u32, mut source: Source<'_>) -> Result<(), Cannot> {
        source.skip(CVD_HEADER_BYTES as u64)?;
        Ok(self.body(inside, depth, source)?)
    }

    /// A body all of whose bytes are at hand.
    fn at_hand(&mut self, inside: &str, depth: u32, format: Format, bytes: &[u8]) -> Result<(), Cannot> {
        match format {
            Format::Pe => {
                let image = pe::read(bytes);
                if let Some(kind) = image.and_then(|image| image.kernel) {
                    self.hit(inside, kind);
                }
                unpack::payloads(self, inside, depth, bytes, image.map(|image| image.overlay_at))
            }
            Format::Elf => match elf::is_module(bytes) {
                Some(true) => {
                    self.hit(inside, KernelKind::ElfModule);
                    Ok(())
                }
                Some(false) => Ok(()),
                None => Err(Cannot::Damaged("its section table makes no sense".to_owned())),
            },
            _ if depth >= self.limits.depth_max => Err(Cannot::Damaged(self.too_deep())),
            Format::Zip => zip::walk(self, inside, depth + 1, bytes),
            _ => unpack::cabinet(self, inside, depth + 1, bytes),
        }
    }

    pub(super) fn too_deep(&self) -> String {
        format!("it is nested more than {} archives deep (gate.depth_max)", self.limits.depth_max)
    }

    /// Gives `look` all bytes of a body, which are held for as long.
    fn whole(
        &mut self,
        inside: &str,
        format: Format,
        source: Source<'_>,
        look: impl FnOnce(&mut Self, &[u8]) -> Result<(), Cannot>,
    ) -> Result<(), Cannot> {
        let stream = match source {
            Source::Slice(slice) => return look(self, slice),
            Source::Stream(stream) => stream,
        };
        let member_max = self.limits.member_bytes_max;
        let max = member_max.min((2 * member_max).saturating_sub(self.held_bytes));
        let mut bytes = Vec::new();
        Read::take(&mut *stream, max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            if format == Format::Pe && self.is_plain_image(inside, &bytes, stream)? {
                return Ok(());
            }
            let why = format!(
                "inside an archive it has to be held in memory, and it is larger than {max} bytes (gate.member_max_bytes); \
                 publish it as an artifact of its own"
            );
            self.unread(inside, why, false);
            return Ok(());
        }
        // Counted by what is really taken from the system.
        let held = bytes.capacity() as u64;
        self.held_bytes += held;
        let looked = look(self, &bytes);
        self.held_bytes -= held;
        looked
    }

    /// Looks at an executable that is too large to be held, by its first bytes; whether that is enough: its imports lie
    /// within them, and nothing in it looks like an archive.
    fn is_plain_image(&mut self, inside: &str, first: &[u8], rest: &mut dyn Read) -> Result<bool, Cannot> {
        let image = pe::read(first);
        if let Some(kind) = image.and_then(|image| image.kernel) {
            self.hit(inside, kind);
        }
        let has_all_imports = image.is_none_or(|image| image.has_all_imports);
        Ok(!unpack::has_archive(&mut first.chain(rest))? && has_all_imports)
    }

    /// Notes why a body could not be walked to its end; the walk goes on behind it unless a limit is reached.
    pub(super) fn ended(&mut self, inside: &str, walked: Result<(), Cannot>) -> Result<(), Stop> {
        match (walked, self.meter.tripped()) {
            (Ok(()), _) => Ok(()),
            (Err(Cannot::Stop), _) => Err(Stop),
            (Err(_), Some(why)) => Err(self.stop(inside, why)),
            (Err(Cannot::Damaged(why)), None) => {
                self.unread(inside, why, false);
                Ok(())
            }
            (Err(Cannot::Opaque(why)), None) => {
                self.unread(inside, why, true);
                Ok(())
            }
        }
    }
}

/// The last component ends in `.sys`. Windows drops dots and spaces at a name's end.
fn is_driver_name(name: &str) -> bool {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name).trim_end_matches(['.', ' ']);
    let ending = name.len().checked_sub(4).and_then(|at| name.get(at..));
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case(".sys"))
}

/// A member's name for people: on one line and not too long.
fn shown(name: &str) -> String {
    let name = name.trim_start_matches("./");
    let mut shown: String =
        name.chars().take(NAME_CHARS_MAX).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    if name.chars().nth(NAME_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

fn beneath(place: &str, name: &str) -> String {
    if place.is_empty() { shown(name) } else { format!("{place}/{}", shown(name)) }
}
