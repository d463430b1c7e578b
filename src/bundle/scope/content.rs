//! The records of one product that a site needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::Terms;
use crate::model::policy::Group;
use crate::model::{
    AppliedPolicy, Hold, HoldScope, ProductReleases, Release, ReleaseState, SiteContent, SitePolicy, SiteProduct,
    Snapshot,
};
use crate::policy::rollbacks_for;

/// A content that has nothing but the policy.
pub(super) fn policy_of(applied: &AppliedPolicy) -> SiteContent {
    let policy = SitePolicy {
        seq: applied.seq,
        applied: applied.applied.clone(),
        digest: applied.digest,
        text: applied.text.to_string(),
    };
    SiteContent { policy: Some(policy), ..SiteContent::default() }
}

/// The releases of one product that a site is told of.
pub(super) struct Selection<'a> {
    releases: &'a ProductReleases,
    groups: &'a [&'a Group],
    /// By sequence; those that do not come with their bytes are marked.
    told: BTreeMap<u64, (&'a Arc<Release>, bool)>,
}

impl<'a> Selection<'a> {
    /// To what is carried come those releases that only count: for N-k, as a barrier in the way, and as what a rollback
    /// goes back from.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        releases: &'a ProductReleases,
        groups: &'a [&'a Group],
        carried: BTreeMap<u64, Arc<Release>>,
        now: Timestamp,
    ) -> Self {
        let product = releases.product();
        let is_published = |release: &&Arc<Release>| release.published_at.is_some_and(|at| at <= now);
        let stands =
            |release: &&Arc<Release>| is_published(release) && release.state_at(now) != ReleaseState::Withdrawn;
        let mut told = BTreeMap::new();
        let mut tell = |release: &'a Arc<Release>| {
            let is_absent = !carried.contains_key(&release.sequence);
            told.insert(release.sequence, (release, is_absent));
        };
        carried.keys().filter_map(|sequence| releases.by_sequence(*sequence)).for_each(&mut tell);
        let counts = groups.iter().any(|group| group.keep(&product.name, product.class) > 0);
        if let Some(lowest) = carried.keys().next().filter(|_| counts) {
            let above = releases.releases().iter().rev().take_while(|release| release.sequence > *lowest);
            above.filter(stands).for_each(&mut tell);
        }
        if let Some(highest) = carried.values().map(|release| release.version()).max() {
            let below = releases.barriers().filter(|barrier| barrier.version() < highest);
            below.filter(stands).for_each(&mut tell);
        }
        for (from, to) in rollbacks_for(snapshot, groups, &product.name, now) {
            let between = releases.releases().iter().filter(|release| (to..=from).contains(&release.sequence));
            // Without what it leads to, a rollback would not be known at the site at all.
            between.filter(|release| is_published(release) || release.sequence == to).for_each(&mut tell);
        }
        Self { releases, groups, told }
    }

    /// Adds them, and what was decided about them.
    pub(super) fn add_to(self, content: &mut SiteContent, terms: Terms<'_>) {
        let Self { releases, groups, told } = self;
        let product = releases.product();
        let is_told = |release: &Release| told.contains_key(&release.sequence);
        let since = terms.now.checked_sub(terms.grace).unwrap_or(Timestamp::MIN);
        let holds = releases.holds().iter().filter(|hold| {
            let version = hold.version.as_ref().map(|version| releases.by_version(version));
            let concerns_what_is_told = version.is_none_or(|found| found.is_some_and(|release| is_told(release)));
            // One that ended a short while ago says what may still be downloaded.
            hold.ends_at().is_none_or(|end| end > since)
                && concerns_what_is_told
                && self::concerns(hold, groups, releases)
        });
        content.holds.extend(holds.map(|hold| hold.as_ref().clone()));
        let pins = releases.pins().iter().filter(|pin| {
            let is_theirs = groups.iter().any(|group| *group.name() == pin.group);
            is_theirs && pin.removed.as_ref().is_none_or(|removed| removed.at > since)
        });
        content.pins.extend(pins.map(|pin| pin.as_ref().clone()));
        let rollouts = releases.rollouts().iter().filter(|rollout| told.contains_key(&rollout.sequence));
        content.rollouts.extend(rollouts.map(|rollout| rollout.as_ref().clone()));
        let freezes = releases.freezes().iter().map(|freeze| (product.name.clone(), freeze.as_ref().clone()));
        content.freezes.extend(freezes);
        let absent: BTreeSet<_> =
            told.values().filter(|(_, is_absent)| *is_absent).map(|(release, _)| release.id).collect();
        let releases = told.values().map(|(release, _)| release.as_ref().clone()).collect();
        content.products.push(SiteProduct { product: product.clone(), releases, absent });
    }
}

/// Whether a hold withholds from one of these groups, or may from some of their devices.
fn concerns(hold: &Hold, groups: &[&Group], releases: &ProductReleases) -> bool {
    match &hold.scope {
        HoldScope::Everyone | HoldScope::Devices(_) => true,
        HoldScope::Group(name) => groups.iter().any(|group| group.name() == name),
        HoldScope::Ring(ring) => groups.iter().any(|group| group.ring(releases.product().class) == ring),
    }
}

/// Puts each list in the order in which it is given; products come by name already.
pub(super) fn put_in_order(content: &mut SiteContent) {
    content.holds.sort_by_key(|hold| hold.id);
    content.pins.sort_by_key(|pin| pin.id);
    content.rollouts.sort_by_key(|rollout| rollout.id);
    content.freezes.sort_by_key(|(_, freeze)| freeze.id);
}
