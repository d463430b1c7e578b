//! The decision once more, slowly: each step of the design as a filter over a list. For tests.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Requester, Rule};
use crate::model::policy::{DeviceFacts, Group};
use crate::model::{Device, HoldScope, Platform, ProductName, Release, Snapshot, Version};

/// The version that is served, and the rule. `snapshot` ends at `now`: nothing in it lies later.
pub(super) fn oracle(
    snapshot: &Snapshot,
    who: &Requester<'_>,
    product: &ProductName,
    now: Timestamp,
) -> (Option<Version>, Rule) {
    let device = who.device.and_then(|id| snapshot.device(id)).and_then(|history| history.latest().cloned());
    let Some(case) = Case::new(snapshot, who, product, device.as_deref()) else { return (None, Rule::Identity) };
    let published = case.published(&who.platform);
    let standing: Vec<_> = published.iter().filter(|release| release.withdrawn.is_none()).cloned().collect();
    let free: Vec<_> = standing.iter().filter(|release| !case.is_held(Some(release.version()), now)).cloned().collect();
    let current = who.current.as_ref();
    let at_or_above = |release: &Arc<Release>| current.is_none_or(|current| release.version() >= current);
    let pin = case.pin().filter(|_| !case.is_held(None, now));
    let (chosen, rule, allowed) = if let Some(pin) = pin {
        let chosen = free.iter().find(|release| *release.version() == pin).cloned();
        let rule = if chosen.as_ref().is_none_or(at_or_above) { Rule::Pin } else { Rule::NeverBelow };
        (chosen.filter(at_or_above), rule, free)
    } else {
        let keep = case.group.keep(product, case.class()) as usize;
        let defer = case.group.defer(product, case.class());
        let kept: Vec<_> = free.iter().rev().skip(keep).rev().cloned().collect();
        let due = |release: &&Arc<Release>| defer.ends_at(release.published_at.unwrap()) <= now;
        let due: Vec<_> = kept.iter().filter(due).cloned().collect();
        let left: Vec<_> = due.iter().filter(|release| at_or_above(release)).cloned().collect();
        let steps = [
            (Rule::Fit, &published),
            (Rule::Withdrawn, &standing),
            (Rule::Hold, &free),
            (Rule::Keep, &kept),
            (Rule::Deferral, &due),
            (Rule::NeverBelow, &left),
        ];
        let top = |list: &[Arc<Release>]| list.last().map(|release| release.sequence);
        let changed = steps.windows(2).rfind(|pair| top(pair[0].1) != top(pair[1].1));
        let unchanged = if published.is_empty() { Rule::Fit } else { Rule::Highest };
        (left.last().cloned(), changed.map_or(unchanged, |pair| pair[1].0), due)
    };
    let version = chosen.map(|release| release.version().clone());
    let Some((version, current)) = version.clone().zip(current) else { return (version, rule) };
    let barriers = standing.iter().filter(|release| release.manifest.barrier);
    let between = barriers.filter(|release| release.version() > current && *release.version() < version);
    match between.min_by_key(|release| release.version().clone()) {
        None => (Some(version), rule),
        Some(barrier) => {
            let is_allowed = allowed.iter().any(|release| release.id == barrier.id);
            (is_allowed.then(|| barrier.version().clone()), Rule::Barrier)
        }
    }
}

/// Whether the requester could be given `version` with any version of its own, and it is not withheld.
pub(super) fn is_withheld(
    snapshot: &Snapshot,
    who: &Requester<'_>,
    product: &ProductName,
    version: &Version,
    now: Timestamp,
) -> bool {
    let device = who.device.and_then(|id| snapshot.device(id)).and_then(|history| history.latest().cloned());
    let Some(case) = Case::new(snapshot, who, product, device.as_deref()) else { return true };
    let release = case.published(&who.platform).into_iter().find(|release| release.version() == version);
    release.is_none_or(|release| release.withdrawn.is_some()) || case.is_held(Some(version), now)
}

struct Case<'a> {
    snapshot: &'a Snapshot,
    product: &'a ProductName,
    group: &'a Group,
    facts: DeviceFacts<'a>,
}

impl<'a> Case<'a> {
    fn new(
        snapshot: &'a Snapshot,
        who: &'a Requester<'_>,
        product: &'a ProductName,
        device: Option<&'a Device>,
    ) -> Option<Self> {
        let facts = DeviceFacts { id: who.device, device, address: who.address };
        let policy = snapshot.policies().last()?.policy().ok()?;
        let group = policy.groups().iter().find(|group| match (who.device, group.matches()) {
            (None, None) => true,
            (Some(_), Some(predicate)) => predicate.matches(&facts),
            _ => false,
        })?;
        (snapshot.product(product).is_some() && group.sees(product)).then_some(Self { snapshot, product, group, facts })
    }

    fn class(&self) -> crate::model::Class {
        self.snapshot.product(self.product).unwrap().product().class
    }

    fn published(&self, named: &Option<Platform>) -> Vec<Arc<Release>> {
        let wanted = self.facts.device.and_then(|device| device.platform.clone()).or(named.clone());
        let fits = |release: &&Arc<Release>| {
            let mut artifacts = release.manifest.artifacts.iter();
            artifacts.any(|a| wanted.is_none() || a.platform == Platform::any() || Some(&a.platform) == wanted.as_ref())
        };
        let releases = self.snapshot.product(self.product).unwrap().releases().iter();
        releases.filter(|release| release.published_at.is_some()).filter(fits).cloned().collect()
    }

    /// Whether this version is held for the device; without one, whether everything is.
    fn is_held(&self, version: Option<&Version>, now: Timestamp) -> bool {
        self.snapshot.holds().any(|hold| {
            let mine = match &hold.scope {
                HoldScope::Everyone => true,
                HoldScope::Group(group) => group == self.group.name(),
                HoldScope::Ring(ring) => ring == self.group.ring(self.class()),
                HoldScope::Devices(predicate) => predicate.matches(&self.facts),
            };
            let over = hold.lifted.is_some() || hold.expires_at.is_some_and(|end| end <= now);
            let same = hold.version.is_none() || hold.version.as_ref() == version;
            hold.product == *self.product && mine && same && !over
        })
    }

    fn pin(&self) -> Option<Version> {
        let mut pins =
            self.snapshot.pins().filter(|pin| pin.product == *self.product && pin.group == *self.group.name());
        let admin = pins.find(|pin| pin.removed.is_none()).map(|pin| pin.version.clone());
        admin.or_else(|| self.group.pin(self.product).cloned())
    }
}
