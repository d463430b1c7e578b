//! Whether a manifest fits itself: nobody has to ask again afterwards.

use std::collections::BTreeSet;

use super::manifest::{BundleManifest, Encoding, ManifestError, Object, Part, Totals, Volume};
use super::volume::{Layout, PART_MAX_BYTES, PARTS_MAX, SIZE_MAX_BYTES, VOLUMES_MAX, volume_name};
use super::{check_packing, root_of};
use crate::model::{Blake3Digest, BundleBase};
use crate::signing::KEYS_MAX;

/// The most objects of a bundle, and the most removals.
pub const OBJECTS_MAX: usize = 1_000_000;
/// The most groups of a bundle.
pub const GROUPS_MAX: usize = 2_000;
/// The most frames of a patch.
pub const SEGMENTS_MAX: usize = 65_536;

type Fits = Result<(), ManifestError>;

impl BundleManifest {
    /// Whether it contradicts itself. [`BundleManifest::parse`] asks this of everything that it reads.
    ///
    /// # Errors
    /// [`ManifestError::Contradiction`], with the place.
    pub fn check(&self) -> Fits {
        self.check_bounds()?;
        self.check_head()?;
        for object in &self.objects {
            check_object(object, &self.base)?;
        }
        self.check_sets()?;
        self.check_volumes()?;
        self.check_sums()
    }

    fn check_bounds(&self) -> Fits {
        at_most(self.objects.len(), OBJECTS_MAX, "objects")?;
        at_most(self.removals.len(), OBJECTS_MAX, "removals")?;
        at_most(self.groups.len(), GROUPS_MAX, "groups")?;
        at_most(self.volumes.len(), VOLUMES_MAX as usize, "volumes")?;
        at_most(self.issuer_keys.keys.len(), KEYS_MAX, "keys of the issuer")
    }

    fn check_head(&self) -> Fits {
        if self.sequence == 0 {
            return contradiction("its sequence is 0, and the first bundle has 1");
        }
        if self.created >= self.expires {
            return contradiction(format!("it expires at {}, and was made at {}", self.expires, self.created));
        }
        if self.issuer_keys.entry(self.issuer).is_none() {
            return contradiction(format!("its issuer {} is not among its issuer's keys", self.issuer));
        }
        if self.groups.is_empty() {
            return contradiction("it is for no group");
        }
        let mut groups = BTreeSet::new();
        match self.groups.iter().find(|group| !groups.insert(*group)) {
            Some(group) => contradiction(format!("it names group {group} twice")),
            None => Ok(()),
        }
    }

    /// Which blobs it names, and that they make the root where they are all that the site will hold.
    fn check_sets(&self) -> Fits {
        let mut before: Option<&Blake3Digest> = None;
        for object in &self.objects {
            if before.is_some_and(|before| *before >= object.blake3) {
                return contradiction(format!("object {} is not in order, or is there twice", object.blake3));
            }
            before = Some(&object.blake3);
        }
        let has = |digest: &Blake3Digest| self.objects.binary_search_by(|object| object.blake3.cmp(digest)).is_ok();
        if !has(&self.state) {
            return contradiction(format!("its state {} is not among its objects", self.state));
        }
        if let Some(both) = self.removals.iter().find(|removal| has(removal)) {
            return contradiction(format!("object {both} is to be removed, too"));
        }
        if self.base != BundleBase::Full {
            return Ok(());
        }
        if !self.removals.is_empty() {
            return contradiction("it is full, and has removals");
        }
        let all: BTreeSet<Blake3Digest> = self.objects.iter().map(|object| object.blake3).collect();
        match root_of(&all) == self.root {
            true => Ok(()),
            false => contradiction("it is full, and its root is not that of its objects"),
        }
    }

    fn check_volumes(&self) -> Fits {
        for (number, volume) in (1..).zip(&self.volumes) {
            if volume.name != volume_name(number) {
                return contradiction(format!(
                    "volume {number} is named {:?}, not {}",
                    volume.name,
                    volume_name(number)
                ));
            }
            if volume.size > SIZE_MAX_BYTES {
                return contradiction(format!(
                    "{} has {} bytes; at most {SIZE_MAX_BYTES} are taken",
                    volume.name, volume.size
                ));
            }
        }
        let mut lying: Vec<(&Part, &Object)> = Vec::new();
        for object in &self.objects {
            for part in &object.parts {
                let Some(volume) = self.volume(part.volume) else {
                    return contradiction(format!(
                        "object {} lies in volume {}, which there is not",
                        object.blake3, part.volume
                    ));
                };
                if part.offset.checked_add(part.size).is_none_or(|end| end > volume.size) {
                    return contradiction(format!(
                        "object {} reaches beyond the end of {}",
                        object.blake3, volume.name
                    ));
                }
                lying.push((part, object));
            }
        }
        check_overlaps(lying)?;
        self.check_layout()
    }

    /// The one place where everything lies follows from what there is.
    fn check_layout(&self) -> Fits {
        let layout = Layout::of(self);
        for (expected, volume) in layout.volumes().iter().zip(&self.volumes) {
            let Volume { name, parts, size } = volume;
            if expected.parts == 0 || expected.parts != *parts {
                return contradiction(format!("{name} has {parts} parts, and {} lie in it", expected.parts));
            }
            if expected.size != *size {
                return contradiction(format!("{name} has {size} bytes, and what is in it takes {}", expected.size));
            }
        }
        for (object, expected) in self.objects.iter().zip(layout.parts(self.objects.len())) {
            if let Some((part, expected)) = object.parts.iter().zip(&expected).find(|(part, other)| part != other) {
                let (name, blake3) = (volume_name(part.volume), object.blake3);
                return contradiction(format!(
                    "object {blake3} lies at byte {} of {name}, where it would lie at {}",
                    part.offset, expected.offset
                ));
            }
        }
        Ok(())
    }

    fn check_sums(&self) -> Fits {
        // At most a million of at most 2^40 each: no sum overflows.
        let sums = Totals {
            objects: self.objects.len() as u64,
            bytes: self.objects.iter().map(|object| object.size).sum(),
            packed_bytes: self.objects.iter().map(|object| object.packed.size).sum(),
            volume_bytes: self.volumes.iter().map(|volume| volume.size).sum(),
        };
        if sums != self.totals {
            return contradiction(format!("its totals are {:?}, and the sums are {sums:?}", self.totals));
        }
        let (held, totals) = (self.held, self.totals);
        let fits = match self.base {
            BundleBase::Full => (held.objects, held.bytes) == (totals.objects, totals.bytes),
            _ => held.objects >= totals.objects && held.bytes >= totals.bytes,
        };
        if fits {
            return Ok(());
        }
        contradiction(format!(
            "the site is to hold {} objects with {} bytes, and {} objects with {} bytes are in it",
            held.objects, held.bytes, totals.objects, totals.bytes
        ))
    }

    /// A volume by its number, from 1.
    pub fn volume(&self, number: u32) -> Option<&Volume> {
        (number as usize).checked_sub(1).and_then(|index| self.volumes.get(index))
    }
}

fn check_object(object: &Object, base: &BundleBase) -> Fits {
    let of = object.blake3;
    let wrong = |what: &str| contradiction(format!("object {of} {what}"));
    at_most(object.parts.len(), PARTS_MAX as usize, &format!("parts of object {of}"))?;
    at_most(object.segments.len(), SEGMENTS_MAX, &format!("segments of object {of}"))?;
    if object.size > SIZE_MAX_BYTES || object.packed.size > SIZE_MAX_BYTES {
        return wrong(&format!("has more than {SIZE_MAX_BYTES} bytes"));
    }
    check_packing(object).or_else(|why| wrong(&format!("cannot be: {why}")))?;
    if object.encoding == Encoding::Raw && object.packed.sha256 != object.sha256 {
        return wrong("is raw, and what is packed of it has another SHA-256");
    }
    if let Some(over) = object.base {
        if !matches!(base, BundleBase::Proven { .. }) {
            return wrong("is a patch, and nothing is proven that it could be a patch over");
        }
        if over.blake3 == of {
            return wrong("is a patch over itself");
        }
    }
    let mut covered = 0_u64;
    for part in &object.parts {
        if part.size > PART_MAX_BYTES {
            return wrong(&format!("has a part of more than {PART_MAX_BYTES} bytes"));
        }
        covered += part.size;
    }
    match &object.parts[..] {
        [] => wrong("lies nowhere"),
        _ if covered != object.packed.size => {
            wrong(&format!("has {} packed bytes, and its parts have {covered}", object.packed.size))
        }
        [only] if only.sha256 != object.packed.sha256 => wrong("has another SHA-256 than its only part"),
        _ => Ok(()),
    }
}

fn check_overlaps(mut lying: Vec<(&Part, &Object)>) -> Fits {
    lying.sort_unstable_by_key(|(part, _)| (part.volume, part.offset, part.size));
    let overlap = lying.windows(2).find_map(|pair| match pair {
        [(one, first), (other, second)] if one.volume == other.volume && one.offset + one.size > other.offset => {
            Some((first, second, other))
        }
        _ => None,
    });
    match overlap {
        Some((first, second, part)) => contradiction(format!(
            "objects {} and {} overlap at byte {} of {}",
            first.blake3,
            second.blake3,
            part.offset,
            volume_name(part.volume)
        )),
        None => Ok(()),
    }
}

fn at_most(count: usize, most: usize, what: &str) -> Fits {
    if count <= most {
        return Ok(());
    }
    contradiction(format!("it has {count} {what}; at most {most} are taken"))
}

fn contradiction(why: impl Into<String>) -> Fits {
    Err(ManifestError::Contradiction { why: why.into() })
}
