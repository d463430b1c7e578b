//! What a device may download: what it sees now, and what it saw a short while ago, so that running downloads finish.

use jiff::{SignedDuration, Timestamp};

use super::decide::{known_product, next_recorded};
use super::requester::{Requester, group_of};
use super::view::View;
use super::walk::earlier;
use crate::model::{ProductName, ProductReleases, Release, Snapshot};

/// How many past moments are looked at before the answer is no.
const MAX_MOMENTS: usize = 1_000;

/// Whether `who` may download `release` of `product` at `now`.
///
/// Yes, if a decision now, or at some moment of the last `grace`, is or was for it, and it is still published, not
/// withdrawn and not held for this device. `who.current` is ignored: a device may name any version it has when it asks
/// for an offer, so a release counts as decided for if it is for some version; this takes in barriers on the way.
pub fn may_download(
    snapshot: &Snapshot,
    who: &Requester<'_>,
    product: &ProductName,
    release: &Release,
    now: Timestamp,
    grace: SignedDuration,
) -> bool {
    let Some(releases) = known_product(snapshot, product, now) else { return false };
    let at = |moment: Timestamp| {
        let group = group_of(snapshot, who, moment).filter(|group| group.sees(product))?;
        Some(View::new(snapshot, releases, group, who, moment))
    };
    let Some(present) = at(now) else { return false };
    if !present.is_candidate(release) || present.gate(release).is_err() {
        return false;
    }
    if is_offered(&present, releases, release) {
        return true;
    }
    let start = now.checked_sub(grace).unwrap_or(Timestamp::MIN);
    let mut moment = release.published_at.map_or(now, |published| published.max(start));
    for _ in 0..MAX_MOMENTS {
        if moment >= now {
            return false;
        }
        let view = at(moment);
        if view.as_ref().is_some_and(|view| is_offered(view, releases, release)) {
            return true;
        }
        // Without an event, only the end of its own deferral or of a hold can bring a release into view.
        let deferral = view.and_then(|view| view.deferred_until(release));
        let recorded = next_recorded(snapshot, who, product, moment);
        let hold_end = releases.next_change_after(moment);
        match earlier(deferral, earlier(recorded, hold_end)) {
            Some(next) => moment = next,
            None => return false,
        }
    }
    false
}

/// Whether a decision in this view is for `release`, whatever version the device has.
fn is_offered(view: &View<'_>, releases: &ProductReleases, release: &Release) -> bool {
    if !view.is_candidate(release) || view.gate(release).is_err() {
        return false;
    }
    if let Some(pin) = view.pin {
        let pinned = releases.by_version(pin.version());
        let pinned = pinned.filter(|pinned| view.is_candidate(pinned) && view.gate(pinned).is_ok());
        let on_the_way = |pinned: &Release| release.manifest.barrier && release.version() < pinned.version();
        return pinned.is_some_and(|pinned| pinned.id == release.id || on_the_way(pinned));
    }
    let newer = releases.releases().iter().rev().take_while(|newer| newer.sequence > release.sequence);
    let passing = newer.filter(|newer| view.is_candidate(newer) && view.gate(newer).is_ok());
    let mut count = 0;
    for newer in passing {
        count += 1;
        let is_allowed = count > view.keep && view.deferred_until(newer).is_none();
        // Whatever version the device has, this one comes before it.
        if is_allowed && !release.manifest.barrier && newer.version() > release.version() {
            return false;
        }
    }
    // A device that has just this version sees the highest sequence at or above it, and that is this one.
    count >= view.keep && view.deferred_until(release).is_none()
}
