//! Whether a receipt contradicts itself.

use std::collections::BTreeSet;

use super::{MISSING_MAX, REASON_MAX_BYTES, REASONS_MAX, Receipt, ReceiptError};
use crate::model::{ReceiptOutcome, RingTally};
use crate::policy::health::DEVICES_MAX;
use crate::signing::KEYS_MAX;

/// Numbers above this are no numbers of receipts or bundles; JSON readers elsewhere would round them.
const NUMBER_MAX: u64 = 1 << 53;

impl Receipt {
    /// Whether what it says fits together.
    pub fn check(&self) -> Result<(), ReceiptError> {
        let wrong = self.contradiction();
        wrong.map_or(Ok(()), |why| Err(ReceiptError::Contradiction { why }))
    }

    fn contradiction(&self) -> Option<String> {
        let says = |is_wrong: bool, why: &str| is_wrong.then(|| why.to_owned());
        let is_number = |number: u64| (1..=NUMBER_MAX).contains(&number);
        let fits = |is_there: bool, sequence: u64| if is_there { is_number(sequence) } else { sequence == 0 };
        says(!is_number(self.number), "its number is none")
            .or_else(|| {
                says((self.number == 1) != self.previous.is_none(), "only the first receipt has none before it")
            })
            .or_else(|| says(!fits(self.bundle.is_some(), self.sequence), "its bundle has no sequence"))
            .or_else(|| {
                says(!fits(self.applied.is_some(), self.applied_sequence), "its applied bundle has no sequence")
            })
            .or_else(|| {
                let is_applied = self.outcome == ReceiptOutcome::Applied;
                let is_whole = self.bundle.is_some() && self.bundle == self.applied && self.missing_count == 0;
                says(is_applied && !is_whole, "it says applied, and that something else is served or missing")
            })
            .or_else(|| self.bad_lists())
            .or_else(|| self.bad_tallies())
    }

    fn bad_lists(&self) -> Option<String> {
        let is_reason =
            |text: &String| !text.is_empty() && text.len() <= REASON_MAX_BYTES && !text.contains(char::is_control);
        if self.reasons.len() > REASONS_MAX || !self.reasons.iter().all(is_reason) {
            return Some("its reasons are too many, too long, or no lines of text".into());
        }
        let is_ordered = self.missing.is_sorted_by(|one, next| one < next);
        if self.missing.len() > MISSING_MAX || !is_ordered || (self.missing.len() as u64) > self.missing_count {
            return Some("its missing objects are too many, out of order, or not counted".into());
        }
        if self.keys.keys.len() > KEYS_MAX {
            return Some(format!("it has more than {KEYS_MAX} keys"));
        }
        if self.trusted_time.subsec_nanosecond() != 0 {
            return Some("its trusted time has parts of a second".into());
        }
        let pairs: BTreeSet<_> = self.versions.iter().map(|version| (&version.product, &version.group)).collect();
        (pairs.len() != self.versions.len()).then(|| "a group sees a product twice".into())
    }

    fn bad_tallies(&self) -> Option<String> {
        let rings: BTreeSet<_> = self.tallies.iter().map(|tally| (tally.rollout, &tally.ring)).collect();
        if rings.len() != self.tallies.len() {
            return Some("a ring of a rollout is counted twice".into());
        }
        let bad = self.tallies.iter().find(|tally| !is_consistent(tally))?;
        Some(format!("the devices of ring {} in rollout {} do not add up", bad.ring, bad.rollout))
    }
}

/// Whether a tally's numbers can be those of devices, each counted once. What a place says of its devices can be false,
/// but not impossible.
pub fn is_consistent(tally: &RingTally) -> bool {
    let RingTally { offered, fetched, installed, healthy, failed, rolled_back, pending, silent, .. } = *tally;
    let sum = |numbers: &[u64]| numbers.iter().try_fold(0u64, |sum, number| sum.checked_add(*number));
    let is_at_most = |numbers: &[u64], most: u64| sum(numbers).is_some_and(|sum| sum <= most);
    offered <= DEVICES_MAX as u64
        && fetched <= offered
        && installed <= fetched
        // Who is healthy or went back had it installed; who failed may have failed before.
        && is_at_most(&[healthy, rolled_back], installed)
        && is_at_most(&[healthy, failed, rolled_back, pending], offered)
        && silent <= pending
}
