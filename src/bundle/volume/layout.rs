//! Where everything lies in a bundle's volumes, and every byte of them that is not an object's.

use std::ops::Range;

use super::list::{self, ListPart};
use super::{BLOCK_BYTES, END_BYTES, LIST_NAME, VolumeOf, entry_name, header, padded, volume_name};
use crate::bundle::{BundleManifest, Encoding, Part, Volume};
use crate::model::{Blake3Digest, Sha256Digest};

/// A part of an object, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The object's place in the manifest, from 0.
    pub object: usize,
    /// Its BLAKE3.
    pub blake3: Blake3Digest,
    /// How it is packed.
    pub encoding: Encoding,
    /// Which part it is, from 1.
    pub part: u32,
    /// How many there are.
    pub parts: u32,
    /// Where it begins in the object's packed bytes.
    pub start: u64,
    /// How long it is.
    pub size: u64,
    /// Where in the volume's file it begins.
    pub offset: u64,
    /// Its SHA-256.
    pub sha256: Sha256Digest,
}

impl Piece {
    fn listed(&self) -> ListPart {
        let Self { blake3, part, parts, encoding, size, sha256, .. } = *self;
        ListPart { blake3, part, parts, encoding, size, sha256 }
    }

    fn end(&self) -> u64 {
        self.offset + self.size
    }
}

/// Bytes of a volume, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// These: headers, the list, padding, the archive's end.
    Literal(Vec<u8>),
    /// Packed bytes of an object.
    Body {
        /// The object's place in the manifest, from 0.
        object: usize,
        /// Which of its packed bytes.
        range: Range<u64>,
    },
}

impl Span {
    /// How many bytes it stands for.
    pub fn size(&self) -> u64 {
        match self {
            Self::Literal(bytes) => bytes.len() as u64,
            Self::Body { range, .. } => range.end - range.start,
        }
    }

    /// Without its first bytes.
    fn after(self, skipped: u64) -> Self {
        match self {
            Self::Literal(mut bytes) => {
                let skipped = usize::try_from(skipped).unwrap_or(usize::MAX).min(bytes.len());
                Self::Literal(bytes.split_off(skipped))
            }
            Self::Body { object, range } => {
                Self::Body { object, range: (range.start + skipped).min(range.end)..range.end }
            }
        }
    }
}

/// The layout of all volumes of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    of: VolumeOf,
    volumes: Vec<Vec<Piece>>,
    sizes: Vec<u64>,
}

impl Layout {
    /// Lays out pieces whose offsets are not known yet: those of each volume, in order.
    pub(super) fn new(of: VolumeOf, mut volumes: Vec<Vec<Piece>>) -> Self {
        let mut sizes = Vec::with_capacity(volumes.len());
        for (index, pieces) in volumes.iter_mut().enumerate() {
            let commas = (pieces.len() as u64).saturating_sub(1);
            let parts: u64 = pieces.iter().map(|piece| list::part_bytes(&piece.listed())).sum();
            let mut at = BLOCK_BYTES + padded(list::frame_bytes(&of, number_of(index)) + parts + commas);
            for piece in pieces {
                piece.offset = at + BLOCK_BYTES;
                at = piece.offset + padded(piece.size);
            }
            sizes.push(at + END_BYTES);
        }
        Self { of, volumes, sizes }
    }

    /// What follows from a manifest's objects, parts and their order, whatever offsets it names; a manifest that was
    /// [checked](BundleManifest::check) names the same.
    pub fn of(manifest: &BundleManifest) -> Self {
        let BundleManifest { site, sequence, created, .. } = manifest;
        let of = VolumeOf { site: site.clone(), sequence: *sequence, created: *created };
        let mut volumes = vec![Vec::new(); manifest.volumes.len()];
        for (index, object) in manifest.objects.iter().enumerate() {
            let parts = u32::try_from(object.parts.len()).unwrap_or(u32::MAX);
            let mut start = 0;
            for (part, lies) in (1..).zip(&object.parts) {
                let (size, sha256) = (lies.size, lies.sha256);
                let (blake3, encoding) = (object.blake3, object.encoding);
                let piece =
                    Piece { object: index, blake3, encoding, part, parts, start, size, offset: lies.offset, sha256 };
                start += size;
                let volume = (lies.volume as usize).checked_sub(1).and_then(|index| volumes.get_mut(index));
                volume.into_iter().for_each(|pieces| pieces.push(piece.clone()));
            }
        }
        Self::new(of, volumes)
    }

    /// The volumes, as the manifest names them.
    pub fn volumes(&self) -> Vec<Volume> {
        let sized = self.volumes.iter().zip(&self.sizes).enumerate();
        let volume = |(index, (pieces, size)): (usize, (&Vec<Piece>, &u64))| Volume {
            name: volume_name(number_of(index)),
            size: *size,
            parts: pieces.len() as u64,
        };
        sized.map(volume).collect()
    }

    /// The parts of each of so many objects, as the manifest names them.
    pub fn parts(&self, objects: usize) -> Vec<Vec<Part>> {
        let mut parts = vec![Vec::new(); objects];
        for (index, pieces) in self.volumes.iter().enumerate() {
            for piece in pieces {
                let Piece { offset, size, sha256, .. } = *piece;
                let part = Part { volume: number_of(index), offset, size, sha256 };
                parts.get_mut(piece.object).into_iter().for_each(|parts| parts.push((piece.part, part)));
            }
        }
        let in_order = |mut parts: Vec<(u32, Part)>| {
            parts.sort_by_key(|(number, _)| *number);
            parts.into_iter().map(|(_, part)| part).collect()
        };
        parts.into_iter().map(in_order).collect()
    }

    /// What lies in volume `number`, from 1, in order; nothing in a volume that there is not.
    pub fn pieces(&self, number: u32) -> &[Piece] {
        self.index_of(number).and_then(|index| self.volumes.get(index)).map_or(&[], Vec::as_slice)
    }

    /// How long volume `number` is.
    pub fn size(&self, number: u32) -> Option<u64> {
        self.index_of(number).and_then(|index| self.sizes.get(index)).copied()
    }

    /// The bytes of volume `number` from `from` on, in order; none after its end, and none of a volume that there is
    /// not.
    pub fn spans(&self, number: u32, from: u64) -> impl Iterator<Item = Span> {
        let pieces = self.pieces(number);
        let first = pieces.partition_point(|piece| piece.end() <= from);
        let count = if self.size(number).is_some_and(|size| from < size) { pieces.len() + 1 - first } else { 0 };
        let begin = match first.checked_sub(1) {
            Some(before) => pieces[before].end(),
            None => 0,
        };
        let spans = (first..first + count).flat_map(move |index| {
            let body = pieces
                .get(index)
                .map(|piece| Span::Body { object: piece.object, range: piece.start..piece.start + piece.size });
            std::iter::once(Span::Literal(self.literal(number, index))).chain(body)
        });
        let mut skipped = from - begin.min(from);
        spans.filter_map(move |span| {
            let size = span.size();
            if size <= skipped {
                skipped -= size;
                return None;
            }
            Some(span.after(std::mem::take(&mut skipped)))
        })
    }

    /// What stands before the piece `index` of a volume, or after its last one.
    fn literal(&self, number: u32, index: usize) -> Vec<u8> {
        let pieces = self.pieces(number);
        let mut bytes = Vec::new();
        match index.checked_sub(1).and_then(|before| pieces.get(before)) {
            Some(before) => pad(&mut bytes, before.size),
            None => {
                let text = list::list_text(&self.of, number, pieces.iter().map(Piece::listed));
                bytes.extend_from_slice(&header(LIST_NAME, text.len() as u64));
                bytes.extend_from_slice(text.as_bytes());
                pad(&mut bytes, text.len() as u64);
            }
        }
        match pieces.get(index) {
            Some(piece) => {
                let name = entry_name(&piece.blake3, piece.part, piece.parts);
                bytes.extend_from_slice(&header(&name, piece.size));
            }
            None => bytes.resize(bytes.len() + END_BYTES as usize, 0),
        }
        bytes
    }

    fn index_of(&self, number: u32) -> Option<usize> {
        (number as usize).checked_sub(1)
    }
}

/// Zeros up to the next block, after `size` bytes.
fn pad(bytes: &mut Vec<u8>, size: u64) {
    bytes.resize(bytes.len() + (padded(size) - size) as usize, 0);
}

fn number_of(index: usize) -> u32 {
    u32::try_from(index).map_or(u32::MAX, |index| index.saturating_add(1))
}
