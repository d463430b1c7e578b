//! Random changes that concern offline sites.

use jiff::{SignedDuration, Timestamp};

use super::Snapshot;
use super::dump::parts;
use super::random::{nth, parse};
use crate::model::{
    AppliedBundle, Blake3Digest, BundleBase, BundleId, Event, Export, GivenReceipt, JournalPlace, KeyId, ObjectRef,
    PublicKey, ReceiptId, ReceiptOutcome, RingTally, Sha256Digest, SiteContent, SiteName, SitePolicy, SiteProduct,
    SiteVersion, TakenReceipt,
};

/// An event of one of the four kinds, made to fit the snapshot.
pub(super) fn event(
    snapshot: &Snapshot,
    (kind, first, second, third): (u8, u8, u8, u8),
    now: Timestamp,
) -> Option<Event> {
    let site = parse(["plant-7", "ship"][usize::from(first % 2)]);
    match kind {
        28 => Some(exported(snapshot, site, second, now)),
        29 => Some(taken(snapshot, site, second, third, now)),
        30 => applied(snapshot, second, third, now),
        _ => {
            let own = snapshot.own_site();
            let number = own.and_then(|own| own.receipt.as_ref()).map_or(0, |last| last.number) + 1;
            let receipt = GivenReceipt {
                receipt: ReceiptId(digest(snapshot)),
                number,
                outcome: outcome(second),
                bundle: (third > 99).then(|| BundleId(digest(snapshot))),
                text: "{\"ü\":1}\n".into(),
                signature: "untrusted comment: \n".into(),
            };
            Some(Event::ReceiptGiven { site: parse("plant-7"), receipt: Box::new(receipt) })
        }
    }
}

fn digest(snapshot: &Snapshot) -> Blake3Digest {
    Blake3Digest::of(&snapshot.seq().to_le_bytes())
}

fn root(byte: u8) -> Sha256Digest {
    Sha256Digest::of(&[byte])
}

fn object(byte: u8) -> ObjectRef {
    ObjectRef { blake3: Blake3Digest::of(&[byte]), sha256: root(byte), size: 1 }
}

fn outcome(byte: u8) -> ReceiptOutcome {
    [ReceiptOutcome::Applied, ReceiptOutcome::Partial, ReceiptOutcome::Refused][usize::from(byte % 3)]
}

fn exported(snapshot: &Snapshot, site: SiteName, second: u8, now: Timestamp) -> Event {
    let known = snapshot.site(&site);
    let last = known.and_then(|known| known.exports.last());
    let base = last
        .filter(|_| second > 99)
        .map_or(BundleBase::Full, |last| BundleBase::Assumed { bundle: last.bundle, root: last.root });
    let export = Export {
        bundle: BundleId(digest(snapshot)),
        sequence: known.map_or(0, |known| known.sequence) + 1 + u64::from(second % 2),
        base,
        root: root(second),
        state: object(second),
        groups: vec![parse("a")],
        created_at: now,
        expires_at: now + SignedDuration::from_hours(24),
        objects: 3,
        bytes: 10_240,
    };
    Event::BundleExported { site, export: Box::new(export) }
}

fn taken(snapshot: &Snapshot, site: SiteName, second: u8, third: u8, now: Timestamp) -> Event {
    let known = snapshot.site(&site);
    let last = known.and_then(|known| known.receipt.as_ref()).map(|(last, _)| last);
    let export = known.and_then(|known| nth(known.exports.iter(), second));
    let tally = RingTally {
        product: parse("p"),
        rollout: u64::from(third),
        ring: parse("r"),
        offered: 5,
        fetched: 4,
        installed: 3,
        healthy: 2,
        failed: 1,
        rolled_back: 0,
        pending: 2,
        silent: 1,
    };
    let receipt = TakenReceipt {
        receipt: ReceiptId(digest(snapshot)),
        number: last.map_or(0, |last| last.number) + 1,
        previous: last.map(|last| last.receipt),
        key: PublicKey { id: KeyId([7; 8]), bytes: [7; 32] },
        outcome: outcome(second),
        reasons: (third > 63).then(|| "it expired".to_owned()).into_iter().collect(),
        bundle: export.map(|export| export.bundle),
        sequence: export.map_or(0, |export| export.sequence) + u64::from(third % 2),
        applied: export.map(|export| export.bundle),
        root: root(second),
        trusted_time: now,
        versions: vec![SiteVersion { product: parse("p"), group: parse("a"), version: None }],
        tallies: vec![tally],
    };
    let astray = (third > 127).then(|| "it was restored".to_owned());
    Event::ReceiptTaken { site, receipt: Box::new(receipt), astray }
}

/// A bundle that brings back what is there, but for some of the releases.
fn applied(snapshot: &Snapshot, second: u8, third: u8, now: Timestamp) -> Option<Event> {
    let sequence = snapshot.applied_bundle().map_or(0, |applied| applied.sequence) + 1;
    let bundle = AppliedBundle {
        bundle: BundleId(digest(snapshot)),
        sequence,
        root: root(second),
        state: object(second),
        created_at: now + SignedDuration::from_secs(i64::from(third)),
        expires_at: now + SignedDuration::from_hours(24),
        journal: JournalPlace { sequence: 9, head: digest(snapshot) },
        issuer: KeyId([1; 8]),
        keys: vec![PublicKey { id: KeyId([1; 8]), bytes: [1; 32] }],
        retired: vec![(KeyId([2; 8]), Some(parse("lost")))],
        groups: vec![parse("a"), parse("b")],
    };
    let content = content(snapshot, second);
    Some(Event::BundleApplied { site: parse("plant-7"), bundle: Box::new(bundle), content: Box::new(content) })
}

fn content(snapshot: &Snapshot, second: u8) -> SiteContent {
    let parts = parts(snapshot);
    let left_out = u64::from(second % 5) + 1;
    let products = parts.products.into_iter().map(|(product, mut releases)| {
        releases.retain(|release| !release.sequence.is_multiple_of(left_out + 1));
        let absent = releases.iter().filter(|release| release.sequence == left_out).map(|release| release.id).collect();
        SiteProduct { product, releases, absent }
    });
    let products: Vec<SiteProduct> = products.collect();
    let is_there = |product: &crate::model::ProductName, sequence: u64| {
        let known = products.iter().find(|known| known.product.name == *product);
        known.is_some_and(|known| known.releases.iter().any(|release| release.sequence == sequence))
    };
    let rollouts = parts.rollouts.into_iter().filter(|rollout| is_there(&rollout.product, rollout.sequence)).collect();
    let policy = snapshot.policies().last().map(|policy| SitePolicy {
        seq: policy.seq,
        applied: policy.applied.clone(),
        digest: policy.digest,
        text: policy.text.to_string(),
    });
    SiteContent { policy, holds: parts.holds, pins: parts.pins, rollouts, freezes: parts.freezes, products }
}
