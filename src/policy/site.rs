//! What a group of an offline site may be given: the decisions that a bundle has to carry.
//!
//! A site has no health to answer with in time, so it takes its group's decision in the last wave. Windows and rates only
//! delay, and the site keeps them itself: a release counts with them and without.

use std::sync::Arc;

use jiff::Timestamp;

use super::decide::{known_product, next_recorded};
use super::requester::Requester;
use super::view::View;
use super::walk::{earlier, walk};
use crate::model::policy::Group;
use crate::model::{Platform, ProductName, Release, RolloutKind, Snapshot, Version};

/// What requesters of a group may be given of one product at one moment.
#[derive(Debug, Clone, Default)]
pub struct SiteDecision {
    /// The releases, each once: what is decided, barriers on the way to it, and what pins and rollbacks name. Nothing that
    /// is withheld from the group now.
    pub given: Vec<Arc<Release>>,
    /// The one that is decided where windows and rates delay nothing.
    pub top: Option<Arc<Release>>,
    /// Until when this holds if nothing happens; `None`: for ever.
    pub valid_until: Option<Timestamp>,
}

/// What requesters of `group` on `platform` (all of them where absent) may be given of `product` at `moment`, as far as it
/// may be given `now`. `shown` are versions that shares at the site may show: what they show outside of a window stays.
pub fn decide_for_site(
    snapshot: &Snapshot,
    group: &Group,
    (product, platform): (&ProductName, Option<&Platform>),
    shown: &[&Version],
    (moment, now): (Timestamp, Timestamp),
) -> SiteDecision {
    let who = Requester { platform: platform.cloned(), ..Requester::default() };
    let next = next_recorded(snapshot, &who, product, moment);
    let seen = |at| known_product(snapshot, product, at).filter(|_| group.sees(product));
    let (Some(then), Some(known)) = (seen(moment), seen(now)) else {
        return SiteDecision { valid_until: next, ..SiteDecision::default() };
    };
    let mut view = View::new(snapshot, then, group, &who, moment);
    let mut decision = SiteDecision { valid_until: next, ..SiteDecision::default() };
    view.delays = false;
    decision.top = decision.walk(&view).cloned();
    view.delays = true;
    decision.walk(&view);
    for version in shown {
        view.shown = vec![version];
        let found = walk(&view, None, &mut ());
        decision.given.extend(found.release.filter(|release| release.version() == *version).cloned());
    }
    let rollbacks = view.rollbacks.iter().filter_map(|rollback| then.by_sequence(rollback.sequence));
    let pinned = view.pin.and_then(|pin| then.by_version(pin.version()));
    let named = rollbacks.chain(pinned).filter(|release| view.is_candidate(release));
    decision.given.extend(named.filter(|release| view.gate_here(release).is_ok()).cloned());
    let present = View::new(snapshot, known, group, &who, now);
    let may_be_given = |release: &Release| {
        let is_gone_back = moment < now && present.gone_back(release).is_some();
        present.is_candidate(release) && present.gate_here(release).is_ok() && !is_gone_back
    };
    decision.given.retain(|release| may_be_given(release));
    decision.top = decision.top.filter(|release| may_be_given(release));
    decision.given.sort_by_key(|release| release.sequence);
    decision.given.dedup_by_key(|release| release.sequence);
    decision
}

impl SiteDecision {
    /// Takes what walks end at, and the barriers before it.
    fn walk<'a>(&mut self, view: &View<'a>) -> Option<&'a Arc<Release>> {
        let found = walk(view, None, &mut ());
        self.valid_until = earlier(self.valid_until, found.valid_until);
        let top = found.release?;
        self.take(view, top);
        // Versions may have fallen: devices above the top stay above it, and get what is the highest for them.
        let mut highest = top.version();
        while let Some(above) = lowest_above(view, top.sequence, highest) {
            let Some(release) = walk(view, Some(above), &mut ()).release else { break };
            self.take(view, release);
            if release.version() <= highest {
                break;
            }
            highest = release.version();
        }
        Some(top)
    }

    fn take<'a>(&mut self, view: &View<'a>, release: &'a Arc<Release>) {
        self.given.push(release.clone());
        let before = view.product.barriers().filter(|barrier| barrier.version() < release.version());
        let open = before.filter(|barrier| view.is_candidate(barrier) && view.is_way_to(barrier, release));
        self.given.extend(open.cloned());
    }
}

/// The lowest version above `version` among the releases before `sequence`.
fn lowest_above<'a>(view: &View<'a>, sequence: u64, version: &Version) -> Option<&'a Version> {
    view.product.highest_version_up_to(sequence).filter(|highest| *highest > version)?;
    let before = view.product.releases().iter().take_while(|release| release.sequence < sequence);
    before.map(|release| release.version()).filter(|known| *known > version).min()
}

/// The rollbacks in force at `now` that concern one of these groups: from which sequence to which.
pub fn rollbacks_for<'a>(
    snapshot: &'a Snapshot,
    groups: &'a [&Group],
    product: &ProductName,
    now: Timestamp,
) -> impl Iterator<Item = (u64, u64)> + use<'a> {
    let rollbacks = snapshot.product(product).into_iter().flat_map(|known| known.rollbacks());
    rollbacks.filter_map(move |rollout| match &rollout.kind {
        RolloutKind::Rollback { from, groups: of, .. } => {
            let is_over = rollout.ended().is_some_and(|(at, _)| at <= now);
            let is_theirs = of.is_empty() || groups.iter().any(|group| of.contains(group.name()));
            (rollout.planned.at <= now && !is_over && is_theirs).then_some((*from, rollout.sequence))
        }
        RolloutKind::Release | RolloutKind::Expedite { .. } => None,
    })
}

/// Whether this server is an offline site whose bundle does not carry the group: nothing is known of what is withheld from
/// it, so nothing is given to it.
pub(super) fn is_not_carried(snapshot: &Snapshot, group: &Group) -> bool {
    snapshot.applied_bundle().is_some_and(|bundle| !bundle.groups.contains(group.name()))
}

pub(super) fn not_carried(group: &Group) -> String {
    format!("the bundle that this site serves from does not carry group {}", group.name())
}
