//! Writing a receipt from what a site knows.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::{LeftOut, MISSING_MAX, REASON_MAX_BYTES, REASONS_MAX, RECEIPT_FORMAT, RECEIPT_MAX_BYTES, Receipt};
use crate::bundle::root_of;
use crate::model::{
    AppliedBundle, Blake3Digest, BundleId, GivenReceipt, ReceiptOutcome, RingTally, Sha256Digest, SiteName,
    SiteVersion, Snapshot,
};
use crate::policy::decide_for_share;
use crate::signing::{KeysDocument, SecretKey};

/// The newest of the site's keys that a receipt carries: enough to find the way from any that an origin still knows.
const KEYS_CARRIED: usize = 16;
/// What the journal's line and the id take beside what is measured.
const SLACK_BYTES: usize = 256;

/// What a receipt says of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The bundle; none where no bundle ever came.
    pub bundle: Option<BundleId>,
    /// Its sequence; 0 where there is none, or where nothing of it is to be believed.
    pub sequence: u64,
    /// How the import ended.
    pub outcome: ReceiptOutcome,
    /// Why, each reason one sentence. Of more than [`REASONS_MAX`] the first are told.
    pub reasons: Vec<String>,
    /// What is not there.
    pub missing: BTreeSet<Blake3Digest>,
}

/// What a site found in itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Those objects of the applied bundle's held set that are not in the store.
    pub lost: BTreeSet<Blake3Digest>,
    /// What its devices have said so far.
    pub tallies: Vec<RingTally>,
}

/// What a site signs with.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The key.
    pub key: &'a SecretKey,
    /// All of the site's keys.
    pub keys: &'a KeysDocument,
}

/// Everything that the applied bundle promised to be at the site: its content, and the artifacts of the releases whose
/// bytes it has.
pub(super) fn held_set(snapshot: &Snapshot, applied: &AppliedBundle) -> BTreeSet<Blake3Digest> {
    let releases = snapshot.products().flat_map(|product| {
        let is_here = |release: &&std::sync::Arc<crate::model::Release>| !product.is_absent(&release.id);
        product.releases().iter().filter(is_here)
    });
    let artifacts = releases.flat_map(|release| release.manifest.artifacts.iter().map(|artifact| artifact.blake3));
    artifacts.chain([applied.state.blake3]).collect()
}

/// The receipt that comes next at this site, signed: for [`Event::ReceiptGiven`](crate::model::Event::ReceiptGiven). `now`
/// is what the site's clock says.
pub fn make(
    snapshot: &Snapshot,
    site: &SiteName,
    about: About,
    seen: Seen,
    now: Timestamp,
    signer: Signer<'_>,
) -> (Receipt, GivenReceipt) {
    let last = snapshot.own_site().and_then(|own| own.receipt.as_ref());
    let applied = snapshot.applied_bundle();
    let about = with_losses(about, applied, &seen.lost);
    let trusted_time = snapshot.present(now);
    let key = signer.key.public();
    let mut receipt = Receipt {
        format: RECEIPT_FORMAT,
        site: site.clone(),
        number: last.map_or(0, |last| last.number) + 1,
        previous: last.map(|last| last.receipt),
        bundle: about.bundle,
        sequence: about.sequence,
        outcome: about.outcome,
        reasons: about.reasons.iter().map(|reason| fitted(reason)).take(REASONS_MAX).collect(),
        missing: about.missing.iter().copied().take(MISSING_MAX).collect(),
        missing_count: about.missing.len() as u64,
        applied: applied.map(|applied| applied.bundle),
        applied_sequence: applied.map_or(0, |applied| applied.sequence),
        root: root(snapshot, applied, &seen.lost),
        versions: Vec::new(),
        tallies: Vec::new(),
        left_out: LeftOut::default(),
        trusted_time: Timestamp::from_second(trusted_time.as_second()).unwrap_or(trusted_time),
        issued_at: Timestamp::from_second(now.as_second()).unwrap_or(now),
        key,
        keys: newest(signer.keys),
    };
    fill(&mut receipt, versions(snapshot, applied, trusted_time), seen.tallies);
    let (text, id) = receipt.text();
    let comment = format!("receipt {} of site {site}", receipt.number);
    let signature = signer.key.sign(text.as_bytes(), &comment);
    let Receipt { number, outcome, bundle, .. } = receipt;
    let given = GivenReceipt { receipt: id, number, outcome, bundle, text, signature };
    (receipt, given)
}

/// A bundle of which something was lost since is not whole any more, whatever was said of its import.
fn with_losses(mut about: About, applied: Option<&AppliedBundle>, lost: &BTreeSet<Blake3Digest>) -> About {
    if lost.is_empty() {
        return about;
    }
    if about.outcome == ReceiptOutcome::Applied {
        about.outcome = ReceiptOutcome::Partial;
    }
    let sequence = applied.map_or(0, |applied| applied.sequence);
    let what = if lost.len() == 1 { "1 object is".to_owned() } else { format!("{} objects are", lost.len()) };
    about.reasons.insert(0, format!("{what} no longer in the store, of bundle {sequence}, which is served"));
    about.missing.extend(lost);
    about
}

/// What the applied bundle promised, unless something of it was lost.
fn root(snapshot: &Snapshot, applied: Option<&AppliedBundle>, lost: &BTreeSet<Blake3Digest>) -> Sha256Digest {
    match applied {
        None => root_of(&BTreeSet::new()),
        Some(applied) if lost.is_empty() => applied.root,
        Some(applied) => root_of(&held_set(snapshot, applied).difference(lost).copied().collect()),
    }
}

fn newest(keys: &KeysDocument) -> KeysDocument {
    KeysDocument { keys: keys.keys[keys.keys.len().saturating_sub(KEYS_CARRIED)..].to_vec() }
}

/// One line of text that is not too long.
fn fitted(reason: &str) -> String {
    let mut line: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > REASON_MAX_BYTES {
        let end = (0..=REASON_MAX_BYTES - '…'.len_utf8()).rev().find(|end| line.is_char_boundary(*end));
        line.truncate(end.unwrap_or(0));
        line.push('…');
    }
    if line.is_empty() { "no reason was given".into() } else { line }
}

/// What the groups of the bundle see of its products, in order of product and group.
fn versions(snapshot: &Snapshot, applied: Option<&AppliedBundle>, now: Timestamp) -> Vec<SiteVersion> {
    let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
    let (Some(policy), Some(applied)) = (policy, applied) else { return Vec::new() };
    let groups: Vec<_> = applied.groups.iter().filter_map(|name| policy.group(name)).collect();
    let mut versions = Vec::new();
    for product in snapshot.products() {
        let product = &product.product().name;
        for group in groups.iter().filter(|group| group.sees(product)) {
            let decision = decide_for_share(snapshot, group, (product, None), &[], now);
            let version = decision.release.map(|release| release.version().clone());
            versions.push(SiteVersion { product: product.clone(), group: group.name().clone(), version });
        }
    }
    versions
}

/// Puts in what there is room for. The tallies come first, those of the newest rollouts before the others: gates wait
/// for them. Three quarters of the room is theirs at most.
fn fill(receipt: &mut Receipt, versions: Vec<SiteVersion>, mut tallies: Vec<RingTally>) {
    let mut room = RECEIPT_MAX_BYTES.saturating_sub(receipt.text().0.len() + SLACK_BYTES);
    tallies.sort_by(|one, other| (other.rollout, &one.ring).cmp(&(one.rollout, &other.ring)));
    let all = (versions.len(), tallies.len());
    let mut of_tallies = room / 4 * 3;
    let before = of_tallies;
    receipt.tallies = taken(tallies, &mut of_tallies);
    room -= before - of_tallies;
    receipt.versions = taken(versions, &mut room);
    receipt.left_out =
        LeftOut { versions: (all.0 - receipt.versions.len()) as u64, tallies: (all.1 - receipt.tallies.len()) as u64 };
}

fn taken<T: Serialize>(items: Vec<T>, room: &mut usize) -> Vec<T> {
    let fits = |item: &T| {
        // With the comma that follows.
        let bytes = serde_json::to_vec(item).map_or(usize::MAX, |text| text.len() + 1);
        let left = room.checked_sub(bytes);
        *room = left.unwrap_or(*room);
        left.is_some()
    };
    items.into_iter().take_while(fits).collect()
}
