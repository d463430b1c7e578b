//! How a site stands: what is acknowledged, how long nothing was heard, how old what it serves is.

use jiff::{SignedDuration, Timestamp};

use crate::model::{AppliedBundle, Export, SiteRecord, Snapshot};
use crate::policy::decide_for_share;

/// A site as its origin sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteStanding<'a> {
    /// The newest bundle that was written for it.
    pub newest: Option<&'a Export>,
    /// The bundle that it has proven to hold.
    pub acknowledged: Option<&'a Export>,
    /// Bundles that were written since, and are not acknowledged.
    pub unacknowledged: u64,
    /// When its last receipt was taken.
    pub heard_at: Option<Timestamp>,
    /// Since when it has been silent for longer than half of what a bundle is valid for.
    pub silent_since: Option<Timestamp>,
}

/// How a site stands at `now`.
pub fn standing(record: &SiteRecord, now: Timestamp) -> SiteStanding<'_> {
    let newest = record.exports.last();
    let acknowledged = record.proven_export().map(|(export, _)| export);
    let after = acknowledged.map_or(0, |export| export.sequence);
    let unacknowledged = record.exports.iter().filter(|export| export.sequence > after).count() as u64;
    let heard_at = record.receipt.as_ref().map(|(_, at)| *at);
    // Before the first receipt a site counts as heard of when the first bundle was written for it.
    let since = heard_at.or_else(|| record.exports.first().map(|export| export.created_at));
    let patience = newest.map(|export| export.expires_at.duration_since(export.created_at) / 2);
    let silent_since = since.zip(patience).filter(|(since, patience)| now.duration_since(*since) > *patience);
    SiteStanding { newest, acknowledged, unacknowledged, heard_at, silent_since: silent_since.map(|(since, _)| since) }
}

/// In how many places a group of the site sees another version than it would here, by its last receipt.
pub fn versions_behind(snapshot: &Snapshot, record: &SiteRecord, now: Timestamp) -> u64 {
    let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
    let (Some(policy), Some((receipt, _))) = (policy, &record.receipt) else { return 0 };
    let is_behind = |seen: &&crate::model::SiteVersion| {
        let Some(group) = policy.group(&seen.group) else { return false };
        let decision = decide_for_share(snapshot, group, (&seen.product, None), &[], now);
        decision.release.as_ref().map(|release| release.version()) != seen.version.as_ref()
    };
    receipt.versions.iter().filter(is_behind).count() as u64
}

/// Whether what a site serves grows old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ripeness {
    /// A newer bundle is not urgent.
    Fresh,
    /// Three quarters of its time have passed.
    Ripe,
    /// Its time has passed: it is still served, and whatever was decided since is not.
    Overdue,
}

/// Whether the bundle that is served grows old at `now`.
pub fn ripeness(applied: &AppliedBundle, now: Timestamp) -> Ripeness {
    let last_quarter: SignedDuration = applied.expires_at.duration_since(applied.created_at) / 4;
    match applied.expires_at.duration_since(now) {
        left if left <= SignedDuration::ZERO => Ripeness::Overdue,
        left if left <= last_quarter => Ripeness::Ripe,
        _ => Ripeness::Fresh,
    }
}
