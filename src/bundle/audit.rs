//! Whether every byte of a bundle on a medium is what its manifest promises; without a store, and without changing
//! anything.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::medium::{Medium, MediumError, MediumFile, VolumeState};
use super::volume::{Layout, Span};
use super::{BundleManifest, DecodeError, Encoding, Object, decode, volume_name};
use crate::model::{Blake3Digest, Sha256Digest};

/// After so many findings nobody looks further.
pub const FINDINGS_MAX: usize = 1_000;
/// How many files are open at once.
const OPEN_MAX: usize = 64;
const STEP_BYTES: usize = 256 << 10;

/// Something that is not as the manifest promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A part of an object.
    #[error(
        "object {blake3} is damaged in {volume}, in the {size} bytes from byte {offset} on: copy that volume again"
    )]
    Part {
        /// The object.
        blake3: Blake3Digest,
        /// The volume's file.
        volume: String,
        /// Where the part begins.
        offset: u64,
        /// How long it is.
        size: u64,
    },
    /// An object whose parts are whole, and that does not give what is promised: whoever made the bundle is at fault.
    #[error("object {blake3} is as it was signed, and does not give the promised body ({why}): export again")]
    Body {
        /// The object.
        blake3: Blake3Digest,
        /// How.
        why: String,
    },
    /// Bytes between the objects.
    #[error(
        "{volume} is damaged at byte {offset}, outside of every object: import takes it, and tar may not, so copy it again"
    )]
    Frame {
        /// The volume's file.
        volume: String,
        /// Where.
        offset: u64,
    },
    /// The medium.
    #[error(transparent)]
    Medium(#[from] MediumError),
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Objects whose bodies were made from the medium, and have both digests.
    pub whole: u64,
    /// Patches whose packed bytes are right; what they give can only be seen where their bases are.
    pub patches: u64,
    /// Objects of which a part is in a volume that is not here; the parts that are here were checked.
    pub elsewhere: u64,
    /// How many bytes were read.
    pub bytes: u64,
    /// What is not right; no more than [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
}

/// Reads all volumes that are there and have their length (`states`, as [`Medium::survey`] says them). `progress` is told
/// how many bytes were read since it was told before.
pub fn audit(medium: &Medium, manifest: &BundleManifest, states: &[VolumeState], progress: impl FnMut(u64)) -> Audit {
    let mut auditor = Auditor { medium, manifest, states, open: BTreeMap::new(), seen: Audit::default(), progress };
    for object in &manifest.objects {
        if auditor.seen.findings.len() >= FINDINGS_MAX {
            return auditor.seen;
        }
        auditor.object(object);
    }
    auditor.frames();
    auditor.seen
}

struct Auditor<'a, P> {
    medium: &'a Medium,
    manifest: &'a BundleManifest,
    states: &'a [VolumeState],
    open: BTreeMap<u32, MediumFile>,
    seen: Audit,
    progress: P,
}

impl<P: FnMut(u64)> Auditor<'_, P> {
    fn is_here(&self, number: u32) -> bool {
        let index = (number as usize).checked_sub(1);
        index.and_then(|index| self.states.get(index)) == Some(&VolumeState::Present)
    }

    fn object(&mut self, object: &Object) {
        if let Err(error) = self.open_volumes(object) {
            self.seen.findings.push(error.into());
            return;
        }
        let mut parts = Parts::new(object, &self.open);
        let is_here = object.parts.iter().all(|part| self.is_here(part.volume));
        let unpacked = match is_here {
            true => unpack(object, &mut parts),
            false => Ok(()),
        };
        // What was not read by then is hashed all the same: it says which part is damaged.
        let rest = parts.drain();
        let Parts { read, damaged, packed, .. } = parts;
        self.seen.bytes += read;
        (self.progress)(read);
        let part = |index: &usize| {
            let part = &object.parts[*index];
            let (blake3, volume) = (object.blake3, volume_name(part.volume));
            Finding::Part { blake3, volume, offset: part.offset, size: part.size }
        };
        self.seen.findings.extend(damaged.iter().map(part));
        // The manifest's check has seen that an only part has the same digest.
        let is_packed =
            object.parts.len() == 1 || Sha256Digest::from_bytes(packed.finalize().into()) == object.packed.sha256;
        match (rest, unpacked) {
            (Err(error), _) => self.seen.findings.push(error.into()),
            _ if !damaged.is_empty() => {}
            (Ok(()), _) if !is_here => self.seen.elsewhere += 1,
            (Ok(()), Err(why)) => self.seen.findings.push(Finding::Body { blake3: object.blake3, why }),
            (Ok(()), Ok(())) if !is_packed => {
                let why = "its parts together have another SHA-256".to_owned();
                self.seen.findings.push(Finding::Body { blake3: object.blake3, why });
            }
            (Ok(()), Ok(())) if object.encoding == Encoding::Patch => self.seen.patches += 1,
            (Ok(()), Ok(())) => self.seen.whole += 1,
        }
    }

    fn open_volumes(&mut self, object: &Object) -> Result<(), MediumError> {
        if self.open.len() > OPEN_MAX {
            self.open.clear();
        }
        for part in &object.parts {
            if self.is_here(part.volume) && !self.open.contains_key(&part.volume) {
                self.open.insert(part.volume, self.medium.volume(self.manifest, part.volume)?);
            }
        }
        Ok(())
    }

    /// What lies between the objects: headers, lists, padding.
    fn frames(&mut self) {
        let layout = Layout::of(self.manifest);
        for number in (1..).take(self.manifest.volumes.len()) {
            if self.seen.findings.len() < FINDINGS_MAX
                && self.is_here(number)
                && let Some(finding) = self.frame(&layout, number).err()
            {
                self.seen.findings.push(finding);
            }
        }
    }

    fn frame(&mut self, layout: &Layout, number: u32) -> Result<(), Finding> {
        let file = self.medium.volume(self.manifest, number)?;
        let mut at = 0;
        for span in layout.spans(number, 0) {
            if let Span::Literal(expected) = &span {
                let mut found = vec![0; expected.len()];
                file.read_exact_at(&mut found, at)?;
                self.seen.bytes += found.len() as u64;
                (self.progress)(found.len() as u64);
                if let Some(place) = found.iter().zip(expected).position(|(one, other)| one != other) {
                    return Err(Finding::Frame { volume: volume_name(number), offset: at + place as u64 });
                }
            }
            at += span.size();
        }
        Ok(())
    }
}

/// Makes the body, and says how it is not what was promised.
fn unpack(object: &Object, parts: &mut Parts<'_>) -> Result<(), String> {
    if object.encoding == Encoding::Patch {
        return Ok(());
    }
    // What is raw was hashed as it was read.
    let mut sha256 = (object.encoding != Encoding::Raw).then(Sha256::new);
    let mut blake3 = blake3::Hasher::new();
    let decoded = decode(object, None, &mut *parts, |bytes| {
        blake3.update(bytes);
        sha256.iter_mut().for_each(|sha256| sha256.update(bytes));
        Ok::<_, Infallible>(())
    });
    match decoded {
        Ok(()) => {}
        // It is found again, with its place, by whoever reads the rest.
        Err(DecodeError::Read(_)) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    }
    if Blake3Digest::from_bytes(*blake3.finalize().as_bytes()) != object.blake3 {
        return Err("its BLAKE3 is another".to_owned());
    }
    match sha256.map(|sha256| Sha256Digest::from_bytes(sha256.finalize().into())) {
        Some(sha256) if sha256 != object.sha256 => Err("its SHA-256 is another".to_owned()),
        _ => Ok(()),
    }
}

/// The packed bytes of an object, as far as they are here; each part is hashed as it is read.
struct Parts<'a> {
    object: &'a Object,
    open: &'a BTreeMap<u32, MediumFile>,
    index: usize,
    /// How far the part is read.
    at: u64,
    sha256: Sha256,
    /// Over all parts.
    packed: Sha256,
    read: u64,
    damaged: Vec<usize>,
}

impl<'a> Parts<'a> {
    fn new(object: &'a Object, open: &'a BTreeMap<u32, MediumFile>) -> Self {
        let (sha256, packed) = (Sha256::new(), Sha256::new());
        Self { object, open, index: 0, at: 0, sha256, packed, read: 0, damaged: Vec::new() }
    }

    fn next(&mut self, bytes: &mut [u8]) -> Result<usize, MediumError> {
        while let Some(part) = self.object.parts.get(self.index) {
            let Some(file) = self.open.get(&part.volume) else {
                self.index += 1;
                continue;
            };
            if self.at == part.size {
                let found = Sha256Digest::from_bytes(std::mem::take(&mut self.sha256).finalize().into());
                if found != part.sha256 {
                    self.damaged.push(self.index);
                }
                (self.index, self.at) = (self.index + 1, 0);
                continue;
            }
            let wanted = usize::try_from(part.size - self.at).map_or(bytes.len(), |left| bytes.len().min(left));
            let bytes = &mut bytes[..wanted];
            file.read_exact_at(bytes, part.offset + self.at)?;
            self.sha256.update(&*bytes);
            if self.object.parts.len() > 1 {
                self.packed.update(&*bytes);
            }
            self.at += wanted as u64;
            self.read += wanted as u64;
            return Ok(wanted);
        }
        Ok(0)
    }

    fn drain(&mut self) -> Result<(), MediumError> {
        let mut bytes = vec![0; STEP_BYTES];
        while self.next(&mut bytes)? > 0 {}
        Ok(())
    }
}

impl Read for Parts<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.next(bytes).map_err(io::Error::other)
    }
}
