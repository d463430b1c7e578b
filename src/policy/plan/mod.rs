//! What applying a policy would change: which devices would change group, which would see another version and when, and
//! which safeguards would be weaker.
//!
//! What this module deliberately does not do: look further ahead than to the next moment at which a decision may become
//! another one. A plan is a comparison, not a simulation.

mod curve;
#[cfg(test)]
mod tests;
mod weakened;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use super::requester::{Requester, find_group};
use super::{Decision, decide_in_group};
use crate::model::policy::{Group, Policy};
use crate::model::{DeviceId, GroupName, HoldScope, Platform, ProductName, Snapshot, Version};

/// How many devices a change names.
const EXAMPLES: usize = 5;

/// Devices of one group that would see another version of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionChange {
    /// The product.
    pub product: ProductName,
    /// The group they would be in; `None` for no group.
    pub group: Option<GroupName>,
    /// What they see now; `None` for nothing.
    pub from: Option<Version>,
    /// What they would see.
    pub to: Option<Version>,
    /// From when on; `None`: from the moment the policy is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// How many devices of the inventory. 0 where the group has none: it would change for a device that came.
    pub devices: u64,
    /// The first few of them, in order.
    pub examples: Vec<DeviceId>,
}

/// Devices that would change group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupChange {
    /// Their group now; `None` for no group.
    pub from: Option<GroupName>,
    /// The group they would be in.
    pub to: Option<GroupName>,
    /// How many.
    pub devices: u64,
    /// The first few of them, in order.
    pub examples: Vec<DeviceId>,
}

/// What applying a policy would change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PolicyPlan {
    /// Changed versions, in order of product, group and versions.
    pub changes: Vec<VersionChange>,
    /// Changed groups.
    pub regrouped: Vec<GroupChange>,
    /// How many devices would see another version of at least one product at once.
    pub devices_changed: u64,
    /// How many devices the inventory has.
    pub devices_total: u64,
    /// What would no longer mean anything, one sentence each: holds and pins of groups and rings that would be gone,
    /// rules for products and versions that do not exist.
    pub warnings: Vec<String>,
    /// What would be less safe, one sentence each.
    pub weakened: Vec<String>,
}

/// What is seen now and what would be, and from when on where that is later.
type Versions = (Option<Version>, Option<Version>, Option<Timestamp>);
type Kind<'a> = (Option<&'a GroupName>, Option<&'a GroupName>, Option<&'a Platform>);
type VersionKey = (ProductName, Option<GroupName>, Versions);
type GroupKey = (Option<GroupName>, Option<GroupName>);
type Tally<K> = BTreeMap<K, (u64, Vec<DeviceId>)>;

/// Compares the policy in force at `now` with `proposed` over the inventory. The devices' own versions are not known
/// here, so each change is that of what they may see, not of what they have.
pub fn plan_change(snapshot: &Snapshot, proposed: &Policy, now: Timestamp) -> PolicyPlan {
    let present = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
    let comparison = Comparison::new(snapshot, now);
    let mut devices: Vec<_> = snapshot.devices().filter(|(_, history)| history.at(now).is_some()).collect();
    devices.sort_by_key(|(id, _)| *id);
    let mut plan = PolicyPlan { devices_total: devices.len() as u64, ..PolicyPlan::default() };
    let mut seen: HashMap<Kind<'_>, Vec<Versions>> = HashMap::new();
    let mut changes: Tally<VersionKey> = BTreeMap::new();
    let mut regrouped: Tally<GroupKey> = BTreeMap::new();
    let mut filled = BTreeSet::new();
    for (id, history) in devices {
        let who = Requester { device: Some(id), ..Requester::default() };
        let old = present.and_then(|policy| find_group(policy, snapshot, &who, now));
        let new = find_group(proposed, snapshot, &who, now);
        filled.extend(old.into_iter().chain(new).map(Group::name));
        if old == new {
            continue;
        }
        let names = (old.map(Group::name), new.map(Group::name));
        if names.0 != names.1 {
            count(&mut regrouped, (names.0.cloned(), names.1.cloned()), id);
        }
        let platform = history.at(now).and_then(|device| device.platform.as_ref());
        let own;
        let versions = if comparison.has_own_holds {
            own = comparison.versions(old, new, &who);
            &own
        } else {
            seen.entry((names.0, names.1, platform)).or_insert_with(|| comparison.versions(old, new, &who))
        };
        let changed = versions.iter().enumerate().filter(|(_, (from, to, _))| from != to);
        let mut any = false;
        for (index, versions) in changed {
            any |= versions.2.is_none();
            count(&mut changes, (comparison.products[index].clone(), names.1.cloned(), versions.clone()), id);
        }
        plan.devices_changed += u64::from(any);
    }
    comparison.empty_groups(present.map(AsRef::as_ref), proposed, &filled, &mut changes);
    let changes = changes.into_iter().map(|((product, group, (from, to, at)), (devices, examples))| VersionChange {
        product,
        group,
        from,
        to,
        at,
        devices,
        examples,
    });
    plan.changes = changes.collect();
    let regrouped = regrouped.into_iter();
    let group_change = |((from, to), (devices, examples))| GroupChange { from, to, devices, examples };
    plan.regrouped = regrouped.map(group_change).collect();
    plan.warnings = warnings(snapshot, proposed, now);
    plan.weakened = present.map(|present| weakened::weakened(present, proposed)).unwrap_or_default();
    plan
}

struct Comparison<'a> {
    snapshot: &'a Snapshot,
    now: Timestamp,
    products: Vec<&'a ProductName>,
    /// Whether a hold is in force that tells devices of one group apart.
    has_own_holds: bool,
}

impl<'a> Comparison<'a> {
    fn new(snapshot: &'a Snapshot, now: Timestamp) -> Self {
        let by_device = |scope: &HoldScope| matches!(scope, HoldScope::Devices(_));
        let has_own_holds = snapshot.holds().any(|hold| hold.is_active_at(now) && by_device(&hold.scope));
        let products = snapshot.products().map(|product| &product.product().name).collect();
        Self { snapshot, now, products, has_own_holds }
    }

    /// For each product, what is seen in the old group and in the new one.
    fn versions(&self, old: Option<&Group>, new: Option<&Group>, who: &Requester<'_>) -> Vec<Versions> {
        self.products.iter().map(|product| self.version(old, new, who, product)).collect()
    }

    /// The versions now; where they are the same, those at the next moment at which one of them may change.
    fn version(
        &self,
        old: Option<&Group>,
        new: Option<&Group>,
        who: &Requester<'_>,
        product: &ProductName,
    ) -> Versions {
        let decided = |group: Option<&Group>, at| Some(decide_in_group(self.snapshot, group?, who, product, at));
        let version = |decision: &Option<Decision>| Some(decision.as_ref()?.release.as_ref()?.version().clone());
        let (before, after) = (decided(old, self.now), decided(new, self.now));
        let (from, to) = (version(&before), version(&after));
        let until = |decision: &Option<Decision>| decision.as_ref().and_then(|decision| decision.valid_until);
        let next = until(&before).into_iter().chain(until(&after)).filter(|at| *at > self.now).min();
        match next {
            Some(at) if from == to => {
                let (from, to) = (version(&decided(old, at)), version(&decided(new, at)));
                (from, to, Some(at))
            }
            _ => (from, to, None),
        }
    }

    /// Changes of groups that no device of the inventory is in, before or after.
    fn empty_groups(
        &self,
        present: Option<&Policy>,
        proposed: &Policy,
        filled: &BTreeSet<&GroupName>,
        changes: &mut Tally<VersionKey>,
    ) {
        let names: BTreeSet<_> =
            present.into_iter().chain([proposed]).flat_map(Policy::groups).map(Group::name).collect();
        let who = Requester::default();
        for name in names.into_iter().filter(|name| !filled.contains(*name)) {
            let old = present.and_then(|policy| policy.group(name));
            let versions = self.versions(old, proposed.group(name), &who);
            for (product, versions) in self.products.iter().zip(versions).filter(|(_, (from, to, _))| from != to) {
                changes.entry(((*product).clone(), Some(name.clone()), versions)).or_default();
            }
        }
    }
}

fn count<K: Ord>(tally: &mut Tally<K>, key: K, id: &DeviceId) {
    let (devices, examples) = tally.entry(key).or_default();
    *devices += 1;
    if examples.len() < EXAMPLES {
        examples.push(id.clone());
    }
}

fn warnings(snapshot: &Snapshot, proposed: &Policy, now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    for hold in snapshot.holds().filter(|hold| hold.is_active_at(now)) {
        let (kind, name, known) = match &hold.scope {
            HoldScope::Group(name) => ("group", name.as_str(), proposed.group(name).is_some()),
            HoldScope::Ring(name) => ("ring", name.as_str(), proposed.rings().iter().any(|ring| ring.name() == name)),
            HoldScope::Everyone | HoldScope::Devices(_) => continue,
        };
        if !known {
            let (id, product) = (hold.id, &hold.product);
            warnings.push(format!(
                "hold {id} on {product} would withhold nothing any more: the policy has no {kind} {name}"
            ));
        }
    }
    for pin in snapshot.pins().filter(|pin| pin.is_active_at(now) && proposed.group(&pin.group).is_none()) {
        let (id, product, group) = (pin.id, &pin.product, &pin.group);
        warnings.push(format!("pin {id} of {product} would mean nothing any more: the policy has no group {group}"));
    }
    for group in proposed.groups() {
        for product in group.named_products() {
            let name = group.name();
            let Some(known) = snapshot.product(product) else {
                warnings.push(format!("group {name} has a rule for {product}, and there is no such product"));
                continue;
            };
            let pinned = group.pin(product).filter(|version| known.by_version(version).is_none());
            warnings.extend(pinned.map(|version| {
                format!(
                    "group {name} is pinned to {product} {version}, and there is no such release: it would see nothing"
                )
            }));
        }
    }
    warnings
}
