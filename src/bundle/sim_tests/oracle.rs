//! What the groups of a site see, held against what they would see at the origin by the journal up to the bundle.

use jiff::{SignedDuration, Timestamp};

use super::origin::Exported;
use super::site::Site;
use crate::model::policy::{Group, Policy};
use crate::model::{BundleId, Pin, ProductName, ReleaseState, Snapshot};
use crate::policy::{decide_for_share, may_stay_shown};

/// The release that a group gets at a moment, by its sequence.
fn seen(snapshot: &Snapshot, group: &Group, product: &ProductName, at: Timestamp) -> Option<u64> {
    decide_for_share(snapshot, group, (product, None), &[], at).release.map(|release| release.sequence)
}

fn policy(snapshot: &Snapshot) -> &Policy {
    snapshot.policies().last().unwrap().policy().unwrap()
}

/// Looks at a site that serves from a bundle. `before` finds what was known when another bundle was written. Returns how
/// often a group went back, each time for a reason.
pub(super) fn look<'a>(
    site: &mut Site,
    exported: &Exported,
    before: impl Fn(&BundleId) -> &'a Exported,
    now: Timestamp,
    when: &str,
) -> u64 {
    let (here, there) = (site.snapshot(), &*exported.snapshot);
    let bundle = here.applied_bundle().unwrap().bundle;
    let end = policy(there).site(&site.name).unwrap().preload().ends_at(exported.at);
    let mut moments = vec![exported.at];
    let mut moment = exported.at;
    while moment < end {
        moment = (moment + SignedDuration::from_hours(7)).min(end);
        moments.push(moment);
    }
    if now <= end {
        moments.push(now);
    }
    let mut went_back = 0;
    for group in &exported.manifest.groups {
        let (group_there, group_here) = (policy(there).group(group).unwrap(), policy(&here).group(group).unwrap());
        for product in there.products() {
            let name = &product.product().name;
            let may_be_seen = |sequence, at| may_stay_shown(there, group_there, name, sequence, at);
            for at in &moments {
                let (expected, found) = (seen(there, group_there, name, *at), seen(&here, group_here, name, *at));
                // What is withheld while the bundle is written is not in it, though that may end by itself.
                let is_withheld = expected.is_some_and(|sequence| !may_be_seen(sequence, exported.at));
                assert!(
                    found == expected || is_withheld,
                    "{when}: at {at} group {group} sees {name} {found:?} at the site, and {expected:?} at the origin's \
                     event {}",
                    exported.manifest.journal.sequence
                );
            }
            let Some(found) = seen(&here, group_here, name, now) else { continue };
            assert!(may_be_seen(found, now), "{when}: group {group} sees {name} {found}, which is withheld from it");
            let key = (name.clone(), group.clone());
            if let Some((last, by)) = site.known.seen.insert(key, (found, bundle))
                && found < last
            {
                let is_excused = if by == bundle {
                    seen(there, group_there, name, now).is_none_or(|there| there < last)
                } else {
                    says_so(exported, before(&by), group_there, name, last, now)
                };
                assert!(is_excused, "{when}: group {group} went back with {name} from {last} to {found} for no reason");
                went_back += 1;
            }
        }
    }
    went_back
}

/// Whether the origin's journal up to the bundle has a reason to go back from `last`.
fn says_so(
    exported: &Exported,
    before: &Exported,
    group: &Group,
    product: &ProductName,
    last: u64,
    now: Timestamp,
) -> bool {
    let (there, at) = (&*exported.snapshot, exported.at);
    let releases = there.product(product).unwrap();
    let is_taken_away = |sequence: u64| {
        [at, now].iter().any(|at| !may_stay_shown(there, group, product, sequence, *at))
            || releases.by_sequence(sequence).is_some_and(|release| release.state_at(at) == ReleaseState::Withdrawn)
    };
    // A pin takes a group back, and so does the end of a pin that had taken it ahead of its time.
    let is_active = |pin: &Pin| pin.is_active_at(at) || pin.is_active_at(before.at);
    let is_pinned = releases.pins().iter().any(|pin| pin.group == *group.name() && is_active(pin));
    let is_other_policy =
        there.policies().last().map(|policy| policy.seq) != before.snapshot.policies().last().map(|policy| policy.seq);
    // Who stays behind the newest goes back when one of the newer ones is taken away.
    let mut newer = releases.releases().iter().map(|release| release.sequence).filter(|sequence| *sequence >= last);
    is_pinned || is_other_policy || newer.any(is_taken_away)
}
