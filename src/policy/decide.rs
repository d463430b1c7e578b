//! The decision: from a request to a release, or none.

use std::sync::Arc;

use jiff::Timestamp;

use super::requester::{Place, Requester, place};
use super::view::View;
use super::walk::{Recorder, earlier, walk};
use super::{Decision, Rule, site, trace, words};
use crate::model::policy::Group;
use crate::model::{ProductName, ProductReleases, Snapshot};

/// Decides which release `who` sees of `product` at `now`, with the whole trace.
///
/// `now` may lie in the past: the answer is the one that was given then. For the present take
/// [`Snapshot::present`], never the bare clock: one that was set back would hide the last events.
pub fn decide(snapshot: &Snapshot, who: &Requester<'_>, product: &ProductName, now: Timestamp) -> Decision {
    let mut rejected = Vec::new();
    let place = place(snapshot, who, now);
    let known = known_product(snapshot, product, now);
    let (group, releases) = match visible(snapshot, &place, known, product) {
        Ok(found) => found,
        Err(reason) => {
            let trace = vec![trace::identity(true, reason.clone())];
            return Decision { trace, ..hidden(snapshot, who, product, &place, now, reason) };
        }
    };
    let (mut decision, view, found) = settle(snapshot, who, group, releases, now, &mut rejected);
    decision.trace.push(trace::identity(false, introduction(who, &decision)));
    decision.trace.extend(trace::lines(&view, who.current.as_ref(), &found, &rejected));
    decision
}

/// As [`decide`], without the trace: the path of every request.
pub fn decide_quiet(snapshot: &Snapshot, who: &Requester<'_>, product: &ProductName, now: Timestamp) -> Decision {
    let place = place(snapshot, who, now);
    match visible(snapshot, &place, known_product(snapshot, product, now), product) {
        Ok((group, releases)) => settle(snapshot, who, group, releases, now, &mut ()).0,
        Err(reason) => hidden(snapshot, who, product, &place, now, reason),
    }
}

/// As [`decide_quiet`], for a caller that has kept the requester's group (see [`group_of`](super::group_of)).
pub fn decide_in_group(
    snapshot: &Snapshot,
    group: &Group,
    who: &Requester<'_>,
    product: &ProductName,
    now: Timestamp,
) -> Decision {
    let place = Place::Group(group);
    match visible(snapshot, &place, known_product(snapshot, product, now), product) {
        Ok((group, releases)) => settle(snapshot, who, group, releases, now, &mut ()).0,
        Err(reason) => hidden(snapshot, who, product, &place, now, reason),
    }
}

/// The product, if it was there at `now`.
pub(super) fn known_product<'a>(
    snapshot: &'a Snapshot,
    product: &ProductName,
    now: Timestamp,
) -> Option<&'a ProductReleases> {
    snapshot.product(product).map(Arc::as_ref).filter(|known| known.product().added_at <= now)
}

/// Step 1: the group and the product, or why the requester may not know of it.
fn visible<'a>(
    snapshot: &Snapshot,
    place: &Place<'a>,
    known: Option<&'a ProductReleases>,
    product: &ProductName,
) -> Result<(&'a Group, &'a ProductReleases), String> {
    let group = match place {
        Place::Group(group) => *group,
        Place::NoGroup => return Err("no group of the policy takes this requester".into()),
        Place::NoPolicy => return Err("no policy is in force".into()),
        Place::Unreadable(error) => {
            let first = error.findings().first().map(ToString::to_string).unwrap_or_default();
            return Err(format!("the policy in force is not understood by this version of ringfence: {first}"));
        }
    };
    let releases = known.ok_or_else(|| format!("there is no product {product}"))?;
    if !group.sees(product) {
        return Err(format!("{product} is not among the products of group {}", group.name()));
    }
    if site::is_not_carried(snapshot, group) {
        return Err(site::not_carried(group));
    }
    Ok((group, releases))
}

/// The decision that shows nothing, not even that there is such a product.
fn hidden(
    snapshot: &Snapshot,
    who: &Requester<'_>,
    product: &ProductName,
    place: &Place<'_>,
    now: Timestamp,
    reason: String,
) -> Decision {
    let group = match place {
        Place::Group(group) => Some(group.name().clone()),
        Place::NoGroup | Place::NoPolicy | Place::Unreadable(_) => None,
    };
    Decision {
        product: product.clone(),
        release: None,
        is_current: false,
        rule: Rule::Identity,
        reason,
        trace: Vec::new(),
        valid_until: next_recorded(snapshot, who, product, now),
        group,
        ring: None,
        visible: false,
    }
}

/// All other steps.
fn settle<'a>(
    snapshot: &'a Snapshot,
    who: &'a Requester<'_>,
    group: &'a Group,
    releases: &'a ProductReleases,
    now: Timestamp,
    recorder: &mut impl Recorder<'a>,
) -> (Decision, View<'a>, super::walk::Found<'a>) {
    let view = View::new(snapshot, releases, group, who, now);
    let current = who.current.as_ref();
    let found = walk(&view, current, recorder);
    let product = &releases.product().name;
    let decision = Decision {
        product: product.clone(),
        release: found.release.cloned(),
        is_current: found.release.zip(current).is_some_and(|(release, current)| release.version() == current),
        rule: found.rule,
        reason: words::reason(&view, current, &found),
        trace: Vec::new(),
        valid_until: earlier(found.valid_until, next_recorded(snapshot, who, product, now)),
        group: Some(group.name().clone()),
        ring: Some(view.ring.clone()),
        visible: true,
    };
    (decision, view, found)
}

/// For a past `now`, the next moment at which something was recorded that a decision looks at. From the last event on
/// nothing is: what ends by itself, the walk has seen.
pub(super) fn next_recorded(
    snapshot: &Snapshot,
    who: &Requester<'_>,
    product: &ProductName,
    now: Timestamp,
) -> Option<Timestamp> {
    if snapshot.time().is_none_or(|last| now >= last) {
        return None;
    }
    let known = snapshot.product(product);
    let added = known.map(|known| known.product().added_at).filter(|at| *at > now);
    let changes = [
        added,
        known.and_then(|known| known.next_change_after(now)),
        snapshot.next_policy_after(now),
        who.history(snapshot).and_then(|history| history.next_change_after(now)),
    ];
    changes.into_iter().flatten().min()
}

fn introduction(who: &Requester<'_>, decision: &Decision) -> String {
    let device = who.device.map_or_else(|| "a requester without identity".into(), |id| format!("device {id}"));
    let named = decision.group.as_ref().zip(decision.ring.as_ref());
    match named {
        Some((group, ring)) => format!("{device} is in group {group}, ring {ring}"),
        None => device,
    }
}
