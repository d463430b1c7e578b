//! A made-up fleet: how many devices each group has, how often they check in, and what they share.

use std::collections::BTreeMap;

use crate::model::policy::{Policy, UNIDENTIFIED};
use crate::model::{Class, GroupName, Span};

/// The devices of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetGroup {
    /// The group.
    pub group: GroupName,
    /// How many there are.
    pub devices: u64,
    /// How often each asks; when first is chance.
    pub check_in: Span,
    /// The share that is switched off all the time, as a fraction of 1.
    pub offline: f64,
    /// Tags, each with the share of the devices that have it.
    pub tags: Vec<(String, f64)>,
    /// For each attribute its values with their shares: a device has one of them, or none.
    pub attributes: BTreeMap<String, Vec<(String, f64)>>,
}

/// All devices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fleet {
    /// By group.
    pub groups: Vec<FleetGroup>,
}

/// The share of all devices in the first of several rings, and how many are there at least.
const FIRST: (f64, u64) = (0.000_75, 20);
/// The share of all devices in the second of three or more rings.
const SECOND: f64 = 0.004;
/// The share of all devices in the last of four or more rings.
const LAST: f64 = 0.01;
/// The share of a ring's devices in each of its groups but the last.
const SPECIAL: f64 = 0.001;
/// The share of devices of each of the usual models, the most frequent first.
const MODELS: [f64; 12] = [0.20, 0.15, 0.12, 0.10, 0.08, 0.07, 0.06, 0.06, 0.05, 0.05, 0.04, 0.02];
/// How many sites there are, all of one size.
const SITES: u32 = 20;

impl Fleet {
    /// `devices` spread over the rings that a policy has for a class: 0.075 % in the first (at least 20), 0.4 % in the
    /// second of three or more, 1 % in the last of four or more, the rest in the others equally. Within a ring the last group
    /// has all but 0.1 % for each of the others: what has rules of its own is rare. Nobody is unidentified. Devices are of twelve models and on twenty sites, and have their
    /// group's name as a tag.
    pub fn spread(policy: &Policy, class: Class, devices: u64, check_in: Span, offline: f64) -> Self {
        let rings: Vec<Vec<&GroupName>> = policy
            .rings()
            .iter()
            .map(|ring| {
                let groups = policy.groups().iter().filter(|group| group.ring(class) == ring.name());
                groups.map(|group| group.name()).filter(|name| name.as_str() != UNIDENTIFIED).collect()
            })
            .filter(|groups: &Vec<_>| !groups.is_empty())
            .collect();
        let sizes = ring_sizes(rings.len(), devices);
        let mut fleet = Self::default();
        for (groups, size) in rings.iter().zip(sizes) {
            for (group, devices) in groups.iter().zip(group_sizes(groups.len(), size)) {
                fleet.groups.push(FleetGroup::usual((*group).clone(), devices, check_in, offline));
            }
        }
        fleet
    }

    /// How many there are.
    pub fn devices(&self) -> u64 {
        self.groups.iter().map(|group| group.devices).sum()
    }
}

impl FleetGroup {
    /// Devices of the usual models on the usual sites.
    pub fn usual(group: GroupName, devices: u64, check_in: Span, offline: f64) -> Self {
        let models = MODELS.iter().enumerate().map(|(place, share)| (format!("m{place}"), *share)).collect();
        let sites = (0..SITES).map(|site| (format!("s{site}"), 1.0 / f64::from(SITES))).collect();
        let attributes = BTreeMap::from([("model".to_owned(), models), ("site".to_owned(), sites)]);
        let tags = vec![(group.as_str().to_owned(), 1.0)];
        Self { group, devices, check_in, offline, tags, attributes }
    }
}

/// The devices of each of `rings` rings.
fn ring_sizes(rings: usize, devices: u64) -> Vec<u64> {
    let part = |share: f64| (devices as f64 * share).round() as u64;
    let mut sizes = vec![0; rings];
    if rings >= 2 {
        sizes[0] = part(FIRST.0).max(FIRST.1).min(devices);
    }
    if rings >= 3 {
        sizes[1] = part(SECOND).min(devices - sizes[0]);
    }
    if rings >= 4 {
        sizes[rings - 1] = part(LAST).min(devices - sizes[0] - sizes[1]);
    }
    let rest = devices - sizes.iter().sum::<u64>();
    let others = match rings {
        0 => 0..0,
        1 => 0..1,
        2 => 1..2,
        3 => 2..3,
        _ => 2..rings - 1,
    };
    for (place, size) in others.clone().zip(split(rest, others.len())) {
        sizes[place] = size;
    }
    sizes
}

/// The devices of each of a ring's groups.
fn group_sizes(groups: usize, devices: u64) -> impl Iterator<Item = u64> {
    let special = ((devices as f64 * SPECIAL).round() as u64).min(devices / groups.max(1) as u64);
    let rest = devices - special * (groups.saturating_sub(1)) as u64;
    (0..groups).map(move |place| if place + 1 == groups { rest } else { special })
}

/// `whole` in `parts` parts that differ by one at most.
fn split(whole: u64, parts: usize) -> impl Iterator<Item = u64> {
    let parts = parts as u64;
    (0..parts).map(move |place| whole / parts + u64::from(place < whole % parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_get_their_shares() {
        assert_eq!(ring_sizes(4, 1_000_000), [750, 4_000, 985_250, 10_000]);
        assert_eq!(ring_sizes(3, 1_000), [20, 4, 976]);
        assert_eq!(ring_sizes(2, 1_000), [20, 980]);
        assert_eq!(ring_sizes(1, 7), [7]);
        assert_eq!(ring_sizes(5, 10).iter().sum::<u64>(), 10);
        assert!(ring_sizes(0, 10).is_empty());
        assert!(group_sizes(3, 10_000).eq([10, 10, 9_980]));
        assert!(group_sizes(2, 1).eq([0, 1]));
    }
}
