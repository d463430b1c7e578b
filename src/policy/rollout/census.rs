//! How many devices of the inventory are where.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::policy::{DeviceFacts, Group, Policy, UNIDENTIFIED};
use crate::model::{Class, GroupName, ProductName, RingName, Snapshot};

/// The devices of the inventory counted by group, under one policy.
#[derive(Debug, Clone, Default)]
pub struct Census {
    groups: BTreeMap<GroupName, u64>,
}

impl Census {
    /// Counts. Takes as long as asking for the group of every device: a few microseconds each.
    pub fn count(policy: &Policy, snapshot: &Snapshot, now: Timestamp) -> Self {
        let mut groups: BTreeMap<GroupName, u64> = BTreeMap::new();
        for (id, history) in snapshot.devices() {
            let Some(device) = history.at(now) else { continue };
            let facts = DeviceFacts { id: Some(id), device: Some(device), address: None };
            if let Some(group) = policy.group_of(&facts) {
                match groups.get_mut(group.name()) {
                    Some(count) => *count += 1,
                    None => {
                        groups.insert(group.name().clone(), 1);
                    }
                }
            }
        }
        Self { groups }
    }

    /// A census made by other means, such as a simulated fleet's.
    pub fn from_groups(groups: BTreeMap<GroupName, u64>) -> Self {
        Self { groups }
    }

    /// The devices of a group.
    pub fn in_group(&self, group: &GroupName) -> u64 {
        self.groups.get(group).copied().unwrap_or(0)
    }

    /// The devices of the groups that sit in a ring for this class.
    pub fn in_ring(&self, policy: &Policy, ring: &RingName, class: Class) -> u64 {
        in_ring(policy, ring, class).map(|group| self.in_group(group.name())).sum()
    }

    /// As [`Census::in_ring`], for each group that has a rate.
    pub fn rated(
        &self,
        policy: &Policy,
        ring: &RingName,
        product: &ProductName,
        class: Class,
    ) -> BTreeMap<GroupName, u64> {
        let rated = in_ring(policy, ring, class).filter(|group| group.rate(product, class).is_some());
        rated.map(|group| (group.name().clone(), self.in_group(group.name()))).collect()
    }

    /// Whether no device can be in the ring: each of its groups takes only devices that the inventory says something
    /// of, and the inventory has none of them. A group that takes devices by their identity or address may have some
    /// that the inventory does not know, and so does not count as empty.
    pub fn is_empty(&self, policy: &Policy, ring: &RingName, class: Class) -> bool {
        in_ring(policy, ring, class).all(|group| {
            let needs_inventory = group.matches().is_some_and(|predicate| predicate.needs_inventory());
            needs_inventory && group.name().as_str() != UNIDENTIFIED && self.in_group(group.name()) == 0
        })
    }
}

fn in_ring<'a>(policy: &'a Policy, ring: &'a RingName, class: Class) -> impl Iterator<Item = &'a Group> {
    policy.groups().iter().filter(move |group| group.ring(class) == ring)
}
