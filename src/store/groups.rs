//! Checking a piece of a body on its own: the values that BLAKE3 has for each MiB of a body on the way to its digest.
//!
//! BLAKE3 is a tree over chunks of 1,024 bytes; a full group of 1,024 of them is a subtree of its own, whose 32-byte
//! chaining value does not depend on the rest of the body. So whoever knows a digest can check the list of values once,
//! and from then on each group by itself, in any order.
//!
//! A body of one group has no subtree: its only value is the digest itself.

use std::ops::Range;
use std::thread;

use blake3::Hasher;
use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::model::Blake3Digest;

/// The length of every group but the last, which may be shorter.
pub const GROUP_BYTES: u64 = 1 << 20;

/// Below this a second thread costs more than it gains.
const PARALLEL_MIN_BYTES: usize = 8 << 20;

/// How many groups a body of `size` bytes has; at least one.
pub fn group_count(size: u64) -> u64 {
    size.div_ceil(GROUP_BYTES).max(1)
}

/// Where group `index` lies in a body of `size` bytes; none if it has no such group.
pub fn group_range(size: u64, index: u64) -> Option<Range<u64>> {
    let start = (index < group_count(size)).then(|| index * GROUP_BYTES)?;
    Some(start..size.min(start.saturating_add(GROUP_BYTES)))
}

/// The value of each group of a body, in order. Hashes at several GB/s, large bodies on two threads.
pub fn group_values(bytes: &[u8]) -> Vec<[u8; 32]> {
    let size = bytes.len() as u64;
    let values = |indexes: Range<u64>| -> Vec<[u8; 32]> {
        indexes.filter_map(|index| Some(value(size, index, slice(bytes, group_range(size, index)?)))).collect()
    };
    let count = group_count(size);
    if bytes.len() < PARALLEL_MIN_BYTES {
        return values(0..count);
    }
    thread::scope(|scope| {
        // Without a second thread (the process is at its limit) the same work is done one after the other.
        let helper = thread::Builder::new().spawn_scoped(scope, || values(count / 2..count));
        let mut all = values(0..count / 2);
        let rest = helper.ok().and_then(|helper| helper.join().ok());
        all.extend(rest.unwrap_or_else(|| values(count / 2..count)));
        all
    })
}

/// The digest of the body of `size` bytes whose groups have these values; none if it has another number of groups.
pub fn root_of_groups(values: &[[u8; 32]], size: u64) -> Option<Blake3Digest> {
    if values.len() as u64 != group_count(size) {
        return None;
    }
    let root = match values {
        [digest] => *digest,
        values => {
            let (left, right) = split(values);
            merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).into()
        }
    };
    Some(Blake3Digest::from_bytes(root))
}

/// Whether these bytes are group `index` of the body of `size` bytes whose groups have these values. Whether the values
/// are the body's, [`root_of_groups`] says.
pub fn verify_group(values: &[[u8; 32]], size: u64, index: u64, bytes: &[u8]) -> bool {
    let Some(range) = group_range(size, index) else { return false };
    let expected = usize::try_from(index).ok().and_then(|index| values.get(index));
    bytes.len() as u64 == range.end - range.start && expected == Some(&value(size, index, bytes))
}

fn value(size: u64, index: u64, bytes: &[u8]) -> [u8; 32] {
    if size <= GROUP_BYTES {
        return *blake3::hash(bytes).as_bytes();
    }
    Hasher::new().set_input_offset(index * GROUP_BYTES).update(bytes).finalize_non_root()
}

fn slice(bytes: &[u8], range: Range<u64>) -> &[u8] {
    // Within the body's length, which is a usize.
    &bytes[range.start as usize..range.end as usize]
}

fn subtree(values: &[[u8; 32]]) -> [u8; 32] {
    match values {
        [] => [0; 32],
        [value] => *value,
        values => {
            let (left, right) = split(values);
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

/// The left subtree is the largest that is full, and leaves something for the right one.
fn split(values: &[[u8; 32]]) -> (&[[u8; 32]], &[[u8; 32]]) {
    values.split_at(values.len().next_power_of_two() / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GROUP: usize = GROUP_BYTES as usize;

    fn body(size: usize) -> Vec<u8> {
        (0..size as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
    }

    fn check(body: &[u8]) {
        let size = body.len() as u64;
        let values = group_values(body);
        assert_eq!(values.len() as u64, group_count(size));
        assert_eq!(root_of_groups(&values, size), Some(Blake3Digest::of(body)), "{size} bytes");
        for index in 0..group_count(size) {
            assert!(verify_group(&values, size, index, slice(body, group_range(size, index).unwrap())));
        }
    }

    #[test]
    fn the_values_give_the_digest_around_every_boundary() {
        let largest = body(17 * GROUP + 1);
        for size in [0, 1, 1_023, 1_024, 1_025, GROUP / 2] {
            check(&largest[..size]);
        }
        for groups in 1..=17 {
            for size in [groups * GROUP - 1, groups * GROUP, groups * GROUP + 1] {
                check(&largest[..size]);
            }
        }
    }

    #[test]
    fn another_number_of_values_gives_no_digest() {
        let body = body(2 * GROUP);
        let values = group_values(&body);
        assert_eq!(root_of_groups(&values, 2 * GROUP_BYTES + 1), None);
        assert_eq!(root_of_groups(&values[..1], 2 * GROUP_BYTES), None);
        assert_eq!(root_of_groups(&[], 0), None);
        assert_eq!(root_of_groups(&values, u64::MAX), None);
        assert_eq!(group_range(u64::MAX, u64::MAX), None);
        assert_eq!(group_range(u64::MAX, group_count(u64::MAX) - 1).unwrap().end, u64::MAX);
    }

    #[test]
    fn a_group_is_right_in_its_own_place_only() {
        let body = vec![7; 3 * GROUP];
        let (values, size) = (group_values(&body), 3 * GROUP_BYTES);
        assert!(verify_group(&values, size, 1, &body[..GROUP]));
        assert!(!verify_group(&values, size, 3, &body[..GROUP]));
        assert!(!verify_group(&values, size, 1, &body[..GROUP - 1]));
        assert!(!verify_group(&values, size, 1, &body[..GROUP + 1]));
        assert!(!verify_group(&values[..1], size, 1, &body[..GROUP]));
        let swapped = [values[1], values[0], values[2]];
        assert_ne!(
            root_of_groups(&swapped, size),
            Some(Blake3Digest::of(&body)),
            "the place of a group is in its value"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn any_size_has_its_digest(size in 0..6 * GROUP) {
            check(&body(size));
        }

        #[test]
        fn any_flipped_bit_is_found(size in 1..4 * GROUP, at in any::<prop::sample::Index>(), bit in 0..8u32) {
            let mut bytes = body(size);
            let values = group_values(&bytes);
            let at = at.index(size);
            bytes[at] ^= 1 << bit;
            for index in 0..group_count(size as u64) {
                let range = group_range(size as u64, index).unwrap();
                let is_hit = range.contains(&(at as u64));
                prop_assert_eq!(verify_group(&values, size as u64, index, slice(&bytes, range)), !is_hit);
            }
        }
    }
}
