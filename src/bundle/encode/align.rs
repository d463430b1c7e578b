//! Where in a long base the content of a part of the body most likely is: both are sampled at places that their content
//! chooses, so that what has moved is found again.

use std::collections::HashMap;
use std::ops::Range;

use crate::bundle::decode::BASE_PIECE_MAX_BYTES;
use crate::sys::map::release_pages;

/// How much of a long base a frame is over: less than the format allows, as all of it is in memory while a frame is made.
const PIECE_BYTES: usize = 20 << 20;
const _: () = assert!(PIECE_BYTES <= BASE_PIECE_MAX_BYTES);
/// The length of what is sampled at a place.
const WINDOW_BYTES: usize = 64;
/// One place in so many is sampled, at least; less often in long bases, so that the samples stay few.
const SPACING_MIN_LOG: u32 = 11;
/// About how many samples of a base are kept.
const SAMPLES_LOG: u32 = 17;
/// How finely hits are counted.
const BUCKET_BYTES: usize = 1 << 20;
/// What is read at once; afterwards its pages are given back.
const STEP_BYTES: usize = 8 << 20;
/// Fewer hits than this say nothing.
const HITS_MIN: u32 = 4;

/// The samples of a base.
pub(super) struct Alignment {
    base_len: usize,
    /// A place is sampled where these bits of its hash are zero.
    mask: u64,
    /// Hash to bucket; none where it is in several.
    samples: HashMap<u64, Option<u32>>,
}

impl Alignment {
    /// Reads the base once.
    pub(super) fn of(base: &[u8]) -> Self {
        let spacing_log = base.len().next_power_of_two().ilog2().saturating_sub(SAMPLES_LOG).max(SPACING_MIN_LOG);
        let mask = (1_u64 << spacing_log) - 1;
        let mut samples: HashMap<u64, Option<u32>> = HashMap::new();
        for_each_sample(base, mask, &mut |hash, at| {
            let bucket = (at / BUCKET_BYTES) as u32;
            samples
                .entry(hash)
                .and_modify(|known| *known = known.filter(|known| *known == bucket))
                .or_insert(Some(bucket));
        });
        Self { base_len: base.len(), mask, samples }
    }

    /// The piece of the base for the part of a body that begins at `offset` of `body_len` bytes.
    pub(super) fn piece_for(&self, part: &[u8], offset: usize, body_len: usize) -> Range<usize> {
        if self.base_len <= PIECE_BYTES {
            return 0..self.base_len;
        }
        let mut hits = vec![0_u32; self.base_len.div_ceil(BUCKET_BYTES)];
        for_each_sample(part, self.mask, &mut |hash, _| {
            if let Some(Some(bucket)) = self.samples.get(&hash) {
                hits[*bucket as usize] += 1;
            }
        });
        let center = |at: usize| at.saturating_sub(PIECE_BYTES / 2).min(self.base_len - PIECE_BYTES);
        let middle = (offset + part.len() / 2) as u128 * self.base_len as u128 / body_len.max(1) as u128;
        let by_place = center(middle as usize);
        let count = |start: usize| -> u32 {
            let first = start.div_ceil(BUCKET_BYTES);
            hits[first..((start + PIECE_BYTES) / BUCKET_BYTES).max(first)].iter().sum()
        };
        let starts = (0..=self.base_len - PIECE_BYTES).step_by(BUCKET_BYTES);
        let best = starts.map(|start| (count(start), start)).max_by_key(|(count, start)| (*count, usize::MAX - start));
        let start = match best {
            // The place itself is as good unless another has clearly more.
            Some((count_there, start)) if count_there >= HITS_MIN && count_there > count(by_place) * 9 / 8 => {
                self.center_of_hits(&hits, start)
            }
            _ => by_place,
        };
        start..start + PIECE_BYTES
    }

    /// Of the pieces with as many hits as the one at `start`, the one in whose middle they lie.
    fn center_of_hits(&self, hits: &[u32], start: usize) -> usize {
        let first = start / BUCKET_BYTES;
        let inside = || (first..hits.len().min(first + PIECE_BYTES / BUCKET_BYTES)).filter(|at| hits[*at] > 0);
        let (low, high) = (inside().next().unwrap_or(first), inside().next_back().unwrap_or(first));
        let middle = (low + high + 1) * BUCKET_BYTES / 2;
        middle.saturating_sub(PIECE_BYTES / 2).min(self.base_len - PIECE_BYTES)
    }
}

/// Calls `each` with the hash and the end of every window that its own content chooses.
fn for_each_sample(bytes: &[u8], mask: u64, each: &mut dyn FnMut(u64, usize)) {
    let mut hash = 0_u64;
    for (step, piece) in bytes.chunks(STEP_BYTES).enumerate() {
        for (at, byte) in piece.iter().enumerate() {
            // Each byte leaves the hash after 64 shifts: it is always of the last 64 bytes.
            hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
            // The low bits know the last few bytes only.
            if (hash >> 40) & mask == 0 {
                let at = step * STEP_BYTES + at;
                if at >= WINDOW_BYTES {
                    each(hash, at);
                }
            }
        }
        release_pages(piece);
    }
}

/// A number for each byte, by splitmix64 from a fixed seed.
static GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let mut state = 0x1f0c_a57e_11d0_95b3_u64;
    let mut at = 0;
    while at < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[at] = mixed ^ (mixed >> 31);
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// Fast where nothing of this crate is optimised.
    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn what_moved_far_is_found_again() {
        let base = noise(100 * MIB, 1);
        let alignment = Alignment::of(&base);
        for from in [0, 37 * MIB + 12_345, 84 * MIB] {
            let part = &base[from..from + 16 * MIB];
            for place in [0, 50 * MIB, 84 * MIB] {
                let piece = alignment.piece_for(part, place, base.len());
                assert!(piece.start <= from && from + part.len() <= piece.end, "{from} is not in {piece:?}");
                assert_eq!(piece.len(), PIECE_BYTES);
            }
        }
    }

    #[test]
    fn what_is_new_or_says_nothing_is_looked_for_at_its_place() {
        let base = noise(64 * MIB, 1);
        let alignment = Alignment::of(&base);
        assert_eq!(alignment.piece_for(&noise(16 * MIB, 2), 24 * MIB, 64 * MIB), 22 * MIB..42 * MIB);
        assert_eq!(alignment.piece_for(&[0; 1_000], 0, 64 * MIB), 0..20 * MIB);
        assert_eq!(alignment.piece_for(&[0; 1_000], 64 * MIB - 1_000, 64 * MIB), 44 * MIB..64 * MIB);
        assert_eq!(Alignment::of(&base[..100]).piece_for(&[0; 1_000], 0, 1_000), 0..100);
        let zeros = Alignment::of(&vec![0; 40 * MIB]);
        assert!(zeros.samples.len() < 2);
        assert_eq!(zeros.piece_for(&vec![0; 16 * MIB], 0, 16 * MIB).len(), PIECE_BYTES);
    }
}
