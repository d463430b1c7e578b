//! The root over a set of blobs: one digest that two sides compare instead of the set.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::model::{Blake3Digest, Sha256Digest};

/// The Merkle root over a set of blobs, in ascending order of their digests: the tree of RFC 9162, section 2.1.1, with
/// SHA-256, whose entries are the 32 bytes of each BLAKE3 digest. Of an empty set it is SHA-256 of nothing.
pub fn root_of(blobs: &BTreeSet<Blake3Digest>) -> Sha256Digest {
    let leaves: Vec<[u8; 32]> = blobs.iter().map(|blob| hash(&[&[0], blob.as_bytes()])).collect();
    Sha256Digest::from_bytes(tree(&leaves))
}

fn tree(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => hash(&[]),
        [leaf] => *leaf,
        leaves => {
            // The largest power of two that is smaller than their number.
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            hash(&[&[1], &tree(left), &tree(right)])
        }
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(byte: u8) -> [u8; 32] {
        [byte; 32]
    }

    fn set(bytes: &[u8]) -> BTreeSet<Blake3Digest> {
        bytes.iter().map(|byte| Blake3Digest::from_bytes(leaf(*byte))).collect()
    }

    #[test]
    fn small_trees_are_those_of_the_rfc() {
        let one = |byte| hash(&[&[0], &leaf(byte)]);
        let two = |a: &[u8; 32], b: &[u8; 32]| hash(&[&[1], a, b]);
        assert_eq!(root_of(&set(&[])).to_hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(root_of(&set(&[7])).as_bytes(), &one(7));
        let (a, b, c) = (one(1), one(2), one(3));
        assert_eq!(root_of(&set(&[1, 2])).as_bytes(), &two(&a, &b));
        assert_eq!(root_of(&set(&[3, 2, 1])).as_bytes(), &two(&two(&a, &b), &c));
        let five = two(&two(&two(&a, &b), &two(&c, &one(4))), &one(5));
        assert_eq!(root_of(&set(&[1, 2, 3, 4, 5])).as_bytes(), &five);
    }

    #[test]
    fn every_other_set_has_another_root() {
        let sets: Vec<Vec<u8>> = (0u8..64).map(|bits| (0..6).filter(|bit| bits >> bit & 1 == 1).collect()).collect();
        let roots: BTreeSet<_> = sets.iter().map(|bytes| root_of(&set(bytes))).collect();
        assert_eq!(roots.len(), sets.len());
    }
}
