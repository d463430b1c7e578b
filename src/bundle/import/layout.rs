//! Where the parts of a bundle's objects lie in its volumes.

use crate::bundle::{BundleManifest, Object, Part};

/// Gaps up to this size are sent along: cheaper than another request.
const GAP_MAX_BYTES: u64 = 256 << 10;

/// A piece of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NeededSpan {
    /// The volume's number, from 1.
    pub volume: u32,
    /// Where in its file the piece begins.
    pub offset: u64,
    /// How long it is.
    pub size: u64,
}

/// A part of an object, with where both are in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) volume: u32,
    pub(super) offset: u64,
    pub(super) size: u64,
    /// The object's index.
    pub(super) object: usize,
    /// The part's index.
    pub(super) part: usize,
}

/// Every part, in order of volume and offset.
#[derive(Debug)]
pub(super) struct Layout(Vec<Placed>);

impl Layout {
    pub(super) fn of(manifest: &BundleManifest) -> Self {
        let place = |object: usize, part: usize, at: &Part| {
            let Part { volume, offset, size, .. } = *at;
            Placed { volume, offset, size, object, part }
        };
        let objects = manifest.objects.iter().enumerate();
        let mut placed: Vec<Placed> = objects
            .flat_map(|(index, object)| object.parts.iter().enumerate().map(move |(part, at)| place(index, part, at)))
            .collect();
        placed.sort_unstable_by_key(|placed| (placed.volume, placed.offset));
        Self(placed)
    }

    /// The parts of a volume from an offset on.
    pub(super) fn from(&self, volume: u32, offset: u64) -> &[Placed] {
        let begin = self.0.partition_point(|placed| (placed.volume, placed.offset) < (volume, offset));
        let end = self.0.partition_point(|placed| placed.volume <= volume);
        self.0.get(begin..end).unwrap_or_default()
    }

    /// The pieces of volumes with the parts that are wanted, in order.
    pub(super) fn spans(&self, mut is_wanted: impl FnMut(&Placed) -> bool) -> Vec<NeededSpan> {
        let mut spans: Vec<NeededSpan> = Vec::new();
        for placed in self.0.iter().filter(|placed| is_wanted(placed)) {
            let Placed { volume, offset, size, .. } = *placed;
            let end = offset.saturating_add(size);
            match spans.last_mut() {
                Some(last)
                    if last.volume == volume && offset.saturating_sub(last.offset + last.size) <= GAP_MAX_BYTES =>
                {
                    last.size = last.size.max(end.saturating_sub(last.offset));
                }
                _ => spans.push(NeededSpan { volume, offset, size }),
            }
        }
        spans
    }
}

/// Whether an object lies in one piece.
pub(super) fn is_whole(object: &Object) -> bool {
    object.parts.len() == 1
}
