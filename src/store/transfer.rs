//! What has to come from elsewhere: the difference between what is wanted and what is held.

use std::collections::BTreeSet;

use crate::model::ObjectRef;

/// What a file costs on the disk beyond its bytes: the rest of its last block, and its name and inode.
const BLOCK_BYTES: u64 = 4_096;

/// A set of bodies that are wanted at a place, and which of them are there already. The one plan of shares, bundles and
/// mirrors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransferPlan {
    /// What the place shall hold.
    pub desired: BTreeSet<ObjectRef>,
    /// What of it is there.
    pub held: BTreeSet<ObjectRef>,
    /// What of it is not.
    pub missing: BTreeSet<ObjectRef>,
}

impl TransferPlan {
    /// Asks `is_held` once for each body that is desired, in their order; ends with its first error.
    pub fn new<E>(
        desired: impl IntoIterator<Item = ObjectRef>,
        mut is_held: impl FnMut(&ObjectRef) -> Result<bool, E>,
    ) -> Result<Self, E> {
        let mut plan = Self { desired: desired.into_iter().collect(), ..Self::default() };
        for object in &plan.desired {
            let set = if is_held(object)? { &mut plan.held } else { &mut plan.missing };
            set.insert(*object);
        }
        Ok(plan)
    }

    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// The bytes of the bodies that are missing.
    pub fn missing_bytes(&self) -> u64 {
        self.missing.iter().fold(0, |sum, object| sum.saturating_add(object.size))
    }

    /// The bytes that must be free on the disk for what is missing: whole blocks, and one more for each name.
    pub fn space_needed(&self) -> u64 {
        let on_disk = |size: u64| size.div_ceil(BLOCK_BYTES).saturating_add(1).saturating_mul(BLOCK_BYTES);
        self.missing.iter().fold(0, |sum, object| sum.saturating_add(on_disk(object.size)))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::model::{Blake3Digest, Sha256Digest};

    fn object(byte: u8, size: u64) -> ObjectRef {
        ObjectRef { blake3: Blake3Digest::of(&[byte]), sha256: Sha256Digest::of(&[byte]), size }
    }

    #[test]
    fn each_body_is_held_or_missing_and_asked_for_once() {
        let (a, b, c) = (object(1, 1), object(2, 4_096), object(3, 4_097));
        let mut asked = Vec::new();
        let plan = TransferPlan::new([a, b, c, b, a], |object| {
            asked.push(*object);
            Ok::<_, Infallible>(*object == b)
        });
        let plan = plan.unwrap();
        asked.sort();
        assert_eq!(asked, plan.desired.iter().copied().collect::<Vec<_>>());
        assert_eq!(plan.held, BTreeSet::from([b]));
        assert_eq!(plan.missing, BTreeSet::from([a, c]));
        assert_eq!(plan.missing_bytes(), 4_098);
        assert_eq!(plan.space_needed(), (2 + 3) * 4_096);
        assert!(!plan.is_complete());
    }

    #[test]
    fn nothing_wanted_is_complete_and_an_error_ends_it() {
        let plan = TransferPlan::new([], |_| Ok::<_, Infallible>(false)).unwrap();
        assert!(plan.is_complete() && plan.space_needed() == 0);
        assert_eq!(TransferPlan::new([object(1, 1)], |_| Err("the disk is gone")), Err("the disk is gone"));
    }

    #[test]
    fn sizes_that_no_disk_has_do_not_overflow() {
        let plan = TransferPlan::new([object(1, u64::MAX), object(2, u64::MAX)], |_| Ok::<_, Infallible>(false));
        let plan = plan.unwrap();
        assert_eq!((plan.missing_bytes(), plan.space_needed()), (u64::MAX, u64::MAX));
    }
}
