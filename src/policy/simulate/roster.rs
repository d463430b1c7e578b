//! A fleet with numbers for devices: each device's group, times of check-in and what it shares, worked out when asked.

use std::ops::Range;

use super::random::{Purpose, draw, unit};
use super::{Fleet, FleetGroup, Scenario, SimulateError};
use crate::model::DeviceId;
use crate::model::policy::{Group, Policy};
use crate::policy::health::DeviceKey;

/// All devices, numbered from 0, group by group.
pub(super) struct Roster<'p> {
    seed: u64,
    sections: Vec<Section<'p>>,
    strings: Vec<String>,
    /// The place in `strings` of what the affected devices share.
    affected: Option<usize>,
}

/// The devices of one group.
pub(super) struct Section<'p> {
    pub(super) group: &'p Group,
    pub(super) devices: Range<u32>,
    check_in_s: u64,
    offline: f64,
    choices: Vec<Choice>,
}

/// One value of several, or none: (sum of the shares so far, place of the string).
struct Choice {
    purpose: u64,
    values: Vec<(f64, usize)>,
}

impl<'p> Roster<'p> {
    pub(super) fn new(scenario: &Scenario, policy: &'p Policy) -> Result<Self, SimulateError> {
        let fleet = with_affected(scenario);
        let mut roster = Self { seed: scenario.seed, sections: Vec::new(), strings: Vec::new(), affected: None };
        let (mut names, mut next) = (Vec::new(), 0);
        for group in &fleet.groups {
            let known = policy.group(&group.group);
            let known = known.ok_or_else(|| SimulateError::UnknownGroup(group.group.clone()))?;
            // The scenario's check has bounded their number.
            let end = next + u32::try_from(group.devices).unwrap_or(u32::MAX / 2);
            let (check_in_s, offline) = (group.check_in.as_secs(), group.offline);
            let choices = roster.choices(group, &mut names);
            roster.sections.push(Section { group: known, devices: next..end, check_in_s, offline, choices });
            next = end;
        }
        if let Some(affected) = &scenario.fault.affected {
            let place = roster.strings.iter().position(|string| string == affected);
            roster.affected = Some(place.ok_or_else(|| SimulateError::NobodyAffected(affected.clone()))?);
        }
        Ok(roster)
    }

    fn choices(&mut self, group: &FleetGroup, names: &mut Vec<String>) -> Vec<Choice> {
        let tags = group.tags.iter().map(|(tag, share)| (format!("tag={tag}"), vec![(format!("tag={tag}"), *share)]));
        let attributes = group.attributes.iter().map(|(name, values)| {
            let values = values.iter().map(|(value, share)| (format!("attr.{name}={value}"), *share));
            (format!("attr.{name}"), values.collect::<Vec<_>>())
        });
        let all: Vec<_> = tags.chain(attributes).collect();
        let choice = |(name, values): (String, Vec<(String, f64)>)| {
            let mut sum = 0.0;
            let values = values.into_iter().map(|(string, share)| {
                sum += share;
                (sum, place_of(&mut self.strings, string))
            });
            let values = values.collect();
            Choice { purpose: Purpose::Shared as u64 + place_of(names, name) as u64, values }
        };
        all.into_iter().map(choice).collect()
    }

    pub(super) fn sections(&self) -> &[Section<'p>] {
        &self.sections
    }

    /// How many devices there are.
    pub(super) fn len(&self) -> u32 {
        self.sections.last().map_or(0, |section| section.devices.end)
    }

    /// The place of a device's section.
    pub(super) fn section_of(&self, device: u32) -> usize {
        self.sections.partition_point(|section| section.devices.end <= device).min(self.sections.len() - 1)
    }

    /// The device's first check-in at or after a second.
    pub(super) fn check_in(&self, device: u32, from_s: u64) -> u64 {
        let every = self.sections[self.section_of(device)].check_in_s;
        let phase = draw(self.seed, device, Purpose::Phase as u64) % every;
        phase + from_s.saturating_sub(phase).div_ceil(every) * every
    }

    /// Whether the device ever checks in.
    pub(super) fn is_reachable(&self, device: u32) -> bool {
        unit(self.seed, device, Purpose::Offline as u64) >= self.sections[self.section_of(device)].offline
    }

    /// What the device shares with others.
    pub(super) fn shared(&self, device: u32) -> impl Iterator<Item = &str> {
        self.places(device).map(|place| self.strings[place].as_str())
    }

    /// Whether the release's fault can happen to the device.
    pub(super) fn is_affected(&self, device: u32) -> bool {
        self.affected.is_none_or(|affected| self.places(device).any(|place| place == affected))
    }

    fn places(&self, device: u32) -> impl Iterator<Item = usize> {
        self.sections[self.section_of(device)].choices.iter().filter_map(move |choice| {
            let drawn = unit(self.seed, device, choice.purpose);
            choice.values.iter().find(|(sum, _)| drawn < *sum).map(|(_, place)| *place)
        })
    }

    /// The device as the tallies know it.
    pub(super) fn key(&self, device: u32) -> DeviceKey {
        DeviceKey(draw(self.seed, device, Purpose::Key as u64))
    }
}

/// A device's identity.
pub(super) fn device_id(device: u32) -> Option<DeviceId> {
    format!("sim-{device:08}").parse().ok()
}

/// The fleet, with the attribute of the affected devices where the scenario gives them one.
fn with_affected(scenario: &Scenario) -> Fleet {
    let mut fleet = scenario.fleet.clone();
    let Some((affected, share)) = scenario.fault.affected.as_ref().zip(scenario.fault.affected_share) else {
        return fleet;
    };
    for group in &mut fleet.groups {
        if let Some(tag) = affected.strip_prefix("tag=") {
            group.tags.push((tag.to_owned(), share));
        } else if let Some((name, value)) = affected.strip_prefix("attr.").and_then(|text| text.split_once('=')) {
            let values = group.attributes.entry(name.to_owned()).or_default();
            values.iter_mut().for_each(|(_, other)| *other *= 1.0 - share);
            values.insert(0, (value.to_owned(), share));
        }
    }
    fleet
}

fn place_of(known: &mut Vec<String>, text: String) -> usize {
    known.iter().position(|one| *one == text).unwrap_or_else(|| {
        known.push(text);
        known.len() - 1
    })
}
