//! The whole judgement over a receipt: pure, on one state.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::chain::{self, Place};
use super::trust::{Trusted, trusted};
use super::{Carried, Claim, ReceiptRefusal, Told};
use crate::catalog::counted_rollouts;
use crate::model::{
    Class, Event, GroupName, PublicKey, ReceiptOutcome, RingName, RingTally, SiteRecord, SiteVersion, Snapshot,
    TakenReceipt,
};

/// How far a site's clock may be ahead before people are told.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// What is to be journaled, and what is to be said.
#[derive(Debug)]
pub(super) struct Judged {
    /// None where the receipt is known.
    pub(super) event: Option<Event>,
    pub(super) told: Told,
}

/// Judges a receipt.
pub(super) fn judge(
    snapshot: &Snapshot,
    carried: &Carried,
    named: Option<&PublicKey>,
    now: Timestamp,
) -> Result<Judged, ReceiptRefusal> {
    let Carried { claim, proof } = carried;
    let record = snapshot.site(&claim.site).map(AsRef::as_ref);
    let is_in_policy = || {
        let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
        policy.is_some_and(|policy| policy.site(&claim.site).is_some())
    };
    if record.is_none() && !is_in_policy() {
        return Err(ReceiptRefusal::UnknownSite(claim.site.clone()));
    }
    let Trusted { key, note } = trusted(snapshot, record, (claim, proof), named, now)?;
    let empty = SiteRecord::new(claim.site.clone());
    let record = record.unwrap_or(&empty);
    let last = record.receipt.as_ref().map(|(last, _)| last);
    let mut told = told(claim, key, note);
    let Place::Next { astray, gap } = chain::place(claim, last)? else {
        told.notes = vec![format!("receipt {} of site {} was taken before", claim.number, claim.site)];
        return Ok(Judged { event: None, told });
    };
    told.is_new = true;
    told.notes.extend(gap);
    let proven = chain::proven(claim, record);
    // What led astray stays until a full bundle was written.
    let astray = astray.or(proven.as_ref().err().cloned()).or_else(|| record.astray.clone());
    let groups = proven.ok().flatten().map(|export| (export.groups.as_slice(), export.created_at));
    let (versions, tallies) = details(snapshot, claim, last, groups, now, &mut told.notes);
    if claim.trusted_time > now.checked_add(AHEAD).unwrap_or(Timestamp::MAX) {
        told.notes.push(format!(
            "the clock of site {} is ahead, at {}: bundles expire early there",
            claim.site, claim.trusted_time
        ));
    }
    let receipt = TakenReceipt {
        receipt: claim.receipt,
        number: claim.number,
        previous: claim.previous,
        key,
        outcome: claim.outcome,
        reasons: told.reasons.clone(),
        bundle: claim.bundle.map(|(bundle, _)| bundle),
        sequence: believed_sequence(claim, record),
        applied: claim.applied.map(|(applied, _)| applied),
        root: claim.root,
        trusted_time: claim.trusted_time,
        versions,
        tallies,
    };
    let event = Event::ReceiptTaken { site: claim.site.clone(), receipt: Box::new(receipt), astray };
    Ok(Judged { event: Some(event), told })
}

fn told(claim: &Claim, key: PublicKey, note: Option<String>) -> Told {
    Told {
        site: claim.site.clone(),
        receipt: claim.receipt,
        number: claim.number,
        is_new: false,
        outcome: claim.outcome,
        reasons: claim.details.as_ref().map(|details| details.reasons.clone()).unwrap_or_default(),
        bundle: claim.bundle,
        proven: None,
        astray: None,
        notes: note.into_iter().collect(),
        key,
    }
}

/// The sequence that the next bundle must lie above. Of a bundle that was refused and that nobody here wrote nothing is
/// believed: it may be anybody's.
fn believed_sequence(claim: &Claim, record: &SiteRecord) -> u64 {
    let of_bundle =
        claim.bundle.filter(|(bundle, _)| claim.outcome != ReceiptOutcome::Refused || record.export(bundle).is_some());
    let applied = claim.applied.map_or(0, |(_, sequence)| sequence);
    of_bundle.map_or(0, |(_, sequence)| sequence).max(applied)
}

/// The most tallies of earlier receipts that are kept beside those of the last one: they stand in one event with them.
const KEPT_MAX: usize = 1_000;
/// Of how many completed rollouts of a product they are kept. Approvals come in any order, so the last one is not always the
/// one that the next is compared with.
const COMPLETED_KEPT: usize = 8;

/// Versions and tallies. The short form has none; what was known stays. So does, in either form, what was said of rings
/// that are not mentioned any more: a site does not count a rollout that its bundle does not bring.
fn details(
    snapshot: &Snapshot,
    claim: &Claim,
    last: Option<&TakenReceipt>,
    groups: Option<(&[GroupName], Timestamp)>,
    now: Timestamp,
    notes: &mut Vec<String>,
) -> (Vec<SiteVersion>, Vec<RingTally>) {
    let Some(details) = &claim.details else {
        let is_same = |last: &&TakenReceipt| last.applied == claim.applied.map(|(applied, _)| applied);
        let versions = last.filter(is_same).map(|last| last.versions.clone()).unwrap_or_default();
        return (versions, with_kept(snapshot, Vec::new(), last, now));
    };
    let rings = rings_of(snapshot, claim, groups, now);
    let counts = |tally: &&RingTally| rings.contains(&tally.ring);
    let tallies: Vec<_> = details.tallies.iter().filter(counts).cloned().collect();
    let dropped = details.tallies.len() - tallies.len();
    if dropped > 0 {
        let what = if dropped == 1 { "1 tally is".to_owned() } else { format!("{dropped} tallies are") };
        notes.push(format!("{what} of rings that no group of site {} is in, and not counted", claim.site));
    }
    (details.versions.clone(), with_kept(snapshot, tallies, last, now))
}

/// These tallies, and those that were known before of other rings of rollouts whose votes gates may still ask for: a device
/// that has counted once stays counted. The newest rollouts first.
fn with_kept(
    snapshot: &Snapshot,
    mut tallies: Vec<RingTally>,
    last: Option<&TakenReceipt>,
    now: Timestamp,
) -> Vec<RingTally> {
    let Some(last) = last else { return tallies };
    let name = |tally: &RingTally| (tally.product.clone(), tally.rollout, tally.ring.clone());
    let told: BTreeSet<_> = tallies.iter().map(name).collect();
    let products: BTreeSet<_> = last.tallies.iter().map(|tally| &tally.product).collect();
    let products = products.into_iter().filter_map(|name| snapshot.product(name));
    let counted: BTreeSet<_> = products
        .flat_map(|product| {
            let name = &product.product().name;
            let rollouts = counted_rollouts(product, now).into_keys();
            // What those that come next may be compared with.
            let completed = product.rollouts().iter().rev().filter(|rollout| rollout.completed_at().is_some());
            let completed = completed.take(COMPLETED_KEPT).map(|rollout| rollout.id);
            rollouts.chain(completed).map(move |rollout| (name, rollout))
        })
        .collect();
    let is_kept =
        |tally: &&RingTally| counted.contains(&(&tally.product, tally.rollout)) && !told.contains(&name(tally));
    let mut kept: Vec<_> = last.tallies.iter().filter(is_kept).cloned().collect();
    kept.sort_by_key(|tally| std::cmp::Reverse(tally.rollout));
    tallies.extend(kept.into_iter().take(KEPT_MAX));
    tallies
}

/// The rings of the site's groups, by the policy in force now and by the one that its bundle was written under: in no
/// others can it hold anything up.
fn rings_of(
    snapshot: &Snapshot,
    claim: &Claim,
    groups: Option<(&[GroupName], Timestamp)>,
    now: Timestamp,
) -> BTreeSet<RingName> {
    let mut rings = BTreeSet::new();
    for at in [Some(now), groups.map(|(_, created_at)| created_at)].into_iter().flatten() {
        let policy = snapshot.policy_at(at).and_then(|applied| applied.policy().ok());
        let Some(policy) = policy else { continue };
        let of_policy = policy.site(&claim.site).map_or(&[][..], |site| site.groups());
        let names = groups.map_or(&[][..], |(groups, _)| groups).iter().chain(of_policy);
        for group in names.filter_map(|name| policy.group(name)) {
            rings.extend(Class::ALL.map(|class| group.ring(class).clone()));
        }
    }
    rings
}
