//! Whether a receipt continues what is known of its site. What does not fit is one sentence.

use super::{Claim, ReceiptRefusal};
use crate::model::{BundleId, Export, SiteRecord, TakenReceipt};

/// What a claim is to what was taken before.
pub(super) enum Place {
    /// It is the last one that was taken.
    Known,
    /// It comes after it, whatever is wrong with it.
    Next {
        /// Why the site is astray.
        astray: Option<String>,
        /// Which receipts never came.
        gap: Option<String>,
    },
}

/// Where it stands in the chain of receipts.
pub(super) fn place(claim: &Claim, last: Option<&TakenReceipt>) -> Result<Place, ReceiptRefusal> {
    let next = |astray: Option<String>, gap| Ok(Place::Next { astray, gap });
    let Some(last) = last else { return next(None, gap(1, claim.number)) };
    let (number, site) = (claim.number, &claim.site);
    if claim.receipt == last.receipt {
        return Ok(Place::Known);
    }
    if number == last.number {
        let both = format!("{} and {}", last.receipt, claim.receipt);
        return next(
            Some(format!(
                "fork: two receipts of site {site} have number {number}, {both}; two copies of it run, or it was put back \
                 from a backup"
            )),
            None,
        );
    }
    if number < last.number {
        if claim.trusted_time <= last.trusted_time {
            return Err(ReceiptRefusal::Old { site: site.clone(), number, last: last.number });
        }
        return next(
            Some(format!(
                "restored: receipt {number} of site {site} was written after receipt {}, so the site was put back from a \
                 backup",
                last.number
            )),
            None,
        );
    }
    // Written before the last one, with a higher number: by a copy of the site that was given up since. What it proves may
    // be gone.
    if claim.trusted_time < last.trusted_time {
        return Err(ReceiptRefusal::Old { site: site.clone(), number, last: last.number });
    }
    if number == last.number + 1 && claim.previous != Some(last.receipt) {
        return next(
            Some(format!(
                "fork: receipt {number} of site {site} follows another receipt {} than the one that was taken here; two \
                 copies of the site run, or it was put back from a backup",
                last.number
            )),
            None,
        );
    }
    next(None, gap(last.number + 1, number))
}

/// A sentence for the numbers from `from` up to but without `to`.
fn gap(from: u64, to: u64) -> Option<String> {
    match to.checked_sub(from)? {
        0 => None,
        1 => Some(format!("receipt {from} was never seen")),
        2 => Some(format!("receipts {from} and {} were never seen", from + 1)),
        _ => Some(format!("receipts {from} to {} were never seen", to - 1)),
    }
}

/// Whether the site holds what an export of ours brings: the export, or why the site is astray.
pub(super) fn proven<'a>(claim: &Claim, record: &'a SiteRecord) -> Result<Option<&'a Export>, String> {
    let before = record.proven_export().map(|(export, _)| export);
    let Some((bundle, sequence)) = claim.applied else {
        return match before {
            None => Ok(None),
            Some(before) => Err(format!(
                "restored: site {} serves nothing again, after bundle {}; it was set up anew or put back from a backup",
                claim.site, before.sequence
            )),
        };
    };
    let Some(export) = record.export(&bundle).filter(|export| export.sequence == sequence) else {
        return Err(unknown(claim, record, bundle, sequence));
    };
    if let Some(before) = before.filter(|before| before.sequence > export.sequence) {
        return Err(format!(
            "restored: site {} serves bundle {sequence} again, after bundle {}; it was put back from a backup",
            claim.site, before.sequence
        ));
    }
    if export.root != claim.root {
        return Err(format!(
            "site {} does not hold all that bundle {sequence} brought it: its root is {}, not {}",
            claim.site, claim.root, export.root
        ));
    }
    Ok(Some(export))
}

fn unknown(claim: &Claim, record: &SiteRecord, bundle: BundleId, sequence: u64) -> String {
    let site = &claim.site;
    if sequence > record.sequence {
        return format!(
            "site {site} serves bundle {sequence} ({bundle}), and none after {} is known here: this origin was put back \
             from a backup, or the bundle is another origin's",
            record.sequence
        );
    }
    format!("site {site} serves bundle {sequence} ({bundle}), which was not written here, or too long ago")
}
