//! What a device may download: what it sees now, and what it saw a short while ago, so that running downloads finish.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::decide::{known_product, next_recorded};
use super::requester::{Requester, group_of};
use super::site::is_not_carried;
use super::view::View;
use super::walk::{earlier, straight, walk};
use crate::model::{ProductName, Release, RolloutKind, Snapshot, Version};

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
        let group =
            group_of(snapshot, who, moment).filter(|group| group.sees(product) && !is_not_carried(snapshot, group))?;
        let mut view = View::new(snapshot, releases, group, who, moment);
        view.keeps_current = false;
        Some(view)
    };
    let Some(present) = at(now) else { return false };
    if !present.is_candidate(release) || present.gate_here(release).is_err() {
        return false;
    }
    if offered(&present, release).0 {
        return true;
    }
    let start = now.checked_sub(grace).unwrap_or(Timestamp::MIN);
    let mut moment = release.published_at.map_or(now, |published| published.max(start));
    for _ in 0..MAX_MOMENTS {
        if moment >= now {
            return false;
        }
        let (is_offered, until) = at(moment).map_or((false, None), |view| offered(&view, release));
        if is_offered {
            return true;
        }
        let recorded = next_recorded(snapshot, who, product, moment);
        let change = releases.next_change_after(moment);
        match earlier(until, earlier(recorded, change)) {
            Some(next) => moment = next,
            None => return false,
        }
    }
    false
}

/// Whether a decision in this view is for `release`, whatever version the device has, and until when that holds if
/// nothing happens.
fn offered(view: &View<'_>, release: &Release) -> (bool, Option<Timestamp>) {
    let mut until = None;
    let mut decided = |current: Option<&Version>| {
        let found = walk(view, current, &mut ());
        until = earlier(until, found.valid_until);
        found.release
    };
    let top = decided(None);
    // Of all versions a device may have, its own is the one with which nothing lower gets in the way.
    let own = decided(Some(release.version()));
    // A way down leads from the versions that its rollback goes back from; from the highest, if from any.
    let back = view.rollbacks.iter().find_map(|rollback| match rollback.kind {
        RolloutKind::Rollback { from, .. } if rollback.sequence == release.sequence => {
            let newer = view.product.releases().iter().rev().take_while(|newer| newer.sequence > release.sequence);
            let between = newer.filter(|newer| newer.sequence <= from && newer.added.at <= view.now);
            let highest = between.max_by(|a, b| a.version().cmp(b.version()))?;
            decided(Some(highest.version())).filter(|decided| decided.id == release.id)
        }
        _ => None,
    });
    // A device below a barrier is on its way to what a device that has it would see but for the next one.
    let ahead = straight(view, Some(release.version()), &mut ()).release;
    let is_decided = [top, own, back].into_iter().flatten().any(|decided| decided.id == release.id);
    let leads_on = |to: &&Arc<Release>| to.version() > release.version() && view.is_way_to(release, to);
    let may_be_on_the_way = release.manifest.barrier && view.is_candidate(release) && view.gate(release).is_ok();
    let is_on_the_way = may_be_on_the_way && [top, ahead].into_iter().flatten().any(|to| leads_on(&to));
    (is_decided || is_on_the_way, until)
}
