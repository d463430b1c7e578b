//! Which object goes into which volume.

use std::collections::VecDeque;

use super::list::{self, ListPart};
use super::{
    BLOCK_BYTES, END_BYTES, Layout, PART_MAX_BYTES, PARTS_MAX, Piece, SIZE_MAX_BYTES, VOLUMES_MAX, VolumeOf, padded,
};
use crate::bundle::Encoding;
use crate::model::{Blake3Digest, Sha256Digest};

/// The smallest volume that is made.
pub const VOLUME_MIN_BYTES: u64 = 8 * 1024;

/// How many volumes are kept in mind for objects that may still fit in. Objects come in the order of their digests,
/// which is no order of size: with a few volumes open little is wasted.
const OPEN_MAX: usize = 16;
/// A further part in the same volume is worth its entry from this size on.
const FURTHER_PART_MIN_BYTES: u64 = 1 << 20;

/// An object's packed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedObject {
    /// BLAKE3 of its body.
    pub blake3: Blake3Digest,
    /// How it is packed.
    pub encoding: Encoding,
    /// How many packed bytes there are.
    pub size: u64,
}

/// Why objects cannot be put into volumes of a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No such volume can be made.
    #[error("a volume of {size} bytes cannot be made: choose between {VOLUME_MIN_BYTES} and {SIZE_MAX_BYTES} bytes")]
    VolumeSize {
        /// What was asked for.
        size: u64,
    },
    /// It takes too many volumes.
    #[error("the bundle needs more than {VOLUMES_MAX} volumes of {size} bytes: choose a larger volume size")]
    TooManyVolumes {
        /// What was asked for.
        size: u64,
    },
    /// An object has too many parts.
    #[error(
        "object {blake3} of {bytes} bytes needs more than {PARTS_MAX} parts in volumes of {size} bytes: choose a larger volume size"
    )]
    TooManyParts {
        /// The object.
        blake3: Blake3Digest,
        /// Its packed bytes.
        bytes: u64,
        /// What was asked for.
        size: u64,
    },
    /// An object is longer than any.
    #[error("object {blake3} has {bytes} bytes, and a bundle takes objects of at most {SIZE_MAX_BYTES} bytes")]
    ObjectSize {
        /// The object.
        blake3: Blake3Digest,
        /// Its packed bytes.
        bytes: u64,
    },
}

/// A volume that is being filled: how long its list and its entries are so far, at most.
#[derive(Debug, Clone, Copy)]
struct Fill {
    index: usize,
    list_bytes: u64,
    entries_bytes: u64,
}

impl Fill {
    /// How long the volume would be with one more entry.
    fn with(&self, listed_bytes: u64, size: u64) -> Self {
        let list_bytes = self.list_bytes + listed_bytes + 1;
        Self { list_bytes, entries_bytes: self.entries_bytes + BLOCK_BYTES + padded(size), ..*self }
    }

    fn size(&self) -> u64 {
        BLOCK_BYTES + padded(self.list_bytes) + self.entries_bytes + END_BYTES
    }

    /// How many bytes one more entry can have.
    fn room(&self, listed_bytes: u64, volume_bytes: u64) -> u64 {
        let room = volume_bytes.saturating_sub(self.with(listed_bytes, 0).size());
        (room - room % BLOCK_BYTES).min(PART_MAX_BYTES)
    }
}

/// Which objects, and which parts of the larger ones, go into which volume. Objects that fit into a volume are never
/// split. The SHA-256 of the parts are still to be told.
#[derive(Debug, Clone)]
pub struct VolumePlan {
    of: VolumeOf,
    volume_bytes: u64,
    volumes: Vec<Vec<Piece>>,
    open: VecDeque<Fill>,
}

impl VolumePlan {
    /// Puts objects, in the order of the manifest, into volumes of at most `volume_bytes`.
    ///
    /// # Errors
    /// Sizes and counts beyond the format's bounds.
    pub fn new(of: VolumeOf, objects: &[PackedObject], volume_bytes: u64) -> Result<Self, PlanError> {
        if !(VOLUME_MIN_BYTES..=SIZE_MAX_BYTES).contains(&volume_bytes) {
            return Err(PlanError::VolumeSize { size: volume_bytes });
        }
        let mut plan = Self { of, volume_bytes, volumes: Vec::new(), open: VecDeque::new() };
        for (index, object) in objects.iter().enumerate() {
            if object.size > SIZE_MAX_BYTES {
                return Err(PlanError::ObjectSize { blake3: object.blake3, bytes: object.size });
            }
            plan.add(index, object)?;
        }
        plan.open.clear();
        Ok(plan)
    }

    /// What is to be hashed: every part of every object, in the order of the volumes.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.volumes.iter().flatten()
    }

    /// The layout, given the SHA-256 of each piece; asked in the order of [`VolumePlan::pieces`]. That of an only part
    /// is that of the packed bytes.
    ///
    /// # Errors
    /// What `sha256` fails with.
    pub fn layout<E>(self, mut sha256: impl FnMut(&Piece) -> Result<Sha256Digest, E>) -> Result<Layout, E> {
        let Self { of, mut volumes, .. } = self;
        for piece in volumes.iter_mut().flatten() {
            piece.sha256 = sha256(piece)?;
        }
        Ok(Layout::new(of, volumes))
    }

    fn add(&mut self, index: usize, object: &PackedObject) -> Result<(), PlanError> {
        let piece = piece(index, object);
        let listed_bytes = listed_bytes(&piece);
        if object.size <= PART_MAX_BYTES {
            let fits = |fill: &Fill| fill.with(listed_bytes, object.size).size() <= self.volume_bytes;
            if let Some(place) = self.open.iter().position(fits) {
                self.put(place, piece, listed_bytes);
                return Ok(());
            }
            let fresh = self.fresh();
            if fits(&fresh) {
                let place = self.open_volume(fresh)?;
                self.put(place, piece, listed_bytes);
                return Ok(());
            }
        }
        self.split(&piece, object)
    }

    fn split(&mut self, whole: &Piece, object: &PackedObject) -> Result<(), PlanError> {
        // As long as any part's: how many parts there will be is not known yet.
        let listed_bytes = listed_bytes(&Piece { part: PARTS_MAX, parts: PARTS_MAX, ..whole.clone() });
        let mut place = self.open_volume(self.fresh())?;
        let (mut start, mut parts) = (0, Vec::new());
        while start < object.size {
            let rest = object.size - start;
            let mut room = self.open[place].room(listed_bytes, self.volume_bytes);
            let is_fresh = self.open[place].entries_bytes == 0;
            if !is_fresh && room < rest.min(FURTHER_PART_MIN_BYTES) {
                place = self.open_volume(self.fresh())?;
                room = self.open[place].room(listed_bytes, self.volume_bytes);
            }
            if parts.len() >= PARTS_MAX as usize {
                let (blake3, bytes) = (object.blake3, object.size);
                return Err(PlanError::TooManyParts { blake3, bytes, size: self.volume_bytes });
            }
            let size = rest.min(room);
            let part = u32::try_from(parts.len() + 1).unwrap_or(PARTS_MAX);
            parts.push(self.put(place, Piece { part, start, size, ..whole.clone() }, listed_bytes));
            start += size;
        }
        let count = u32::try_from(parts.len()).unwrap_or(PARTS_MAX);
        for (volume, index) in parts {
            self.volumes[volume][index].parts = count;
        }
        Ok(())
    }

    /// Puts a piece into an open volume; says where it is.
    fn put(&mut self, place: usize, piece: Piece, listed_bytes: u64) -> (usize, usize) {
        let fill = self.open[place].with(listed_bytes, piece.size);
        self.open[place] = fill;
        let pieces = &mut self.volumes[fill.index];
        pieces.push(piece);
        (fill.index, pieces.len() - 1)
    }

    /// A volume that nothing is in.
    fn fresh(&self) -> Fill {
        let index = self.volumes.len();
        let number = u32::try_from(index + 1).unwrap_or(VOLUMES_MAX);
        Fill { index, list_bytes: list::frame_bytes(&self.of, number), entries_bytes: 0 }
    }

    /// Opens a volume; says its place among the open ones.
    fn open_volume(&mut self, fresh: Fill) -> Result<usize, PlanError> {
        if self.volumes.len() >= VOLUMES_MAX as usize {
            return Err(PlanError::TooManyVolumes { size: self.volume_bytes });
        }
        self.volumes.push(Vec::new());
        if self.open.len() >= OPEN_MAX {
            self.open.pop_front();
        }
        self.open.push_back(fresh);
        Ok(self.open.len() - 1)
    }
}

/// A whole object as one piece.
fn piece(index: usize, object: &PackedObject) -> Piece {
    let PackedObject { blake3, encoding, size } = *object;
    let sha256 = Sha256Digest::from_bytes([0; 32]);
    Piece { object: index, blake3, encoding, part: 1, parts: 1, start: 0, size, offset: 0, sha256 }
}

fn listed_bytes(piece: &Piece) -> u64 {
    let Piece { blake3, part, parts, encoding, size, sha256, .. } = *piece;
    list::part_bytes(&ListPart { blake3, part, parts, encoding, size, sha256 })
}
