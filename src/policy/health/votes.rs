//! The devices: one small entry each, in a table by their keys.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use jiff::Timestamp;

use super::silence::minute_of;
use crate::model::ReportEvent;

/// A device as tallies know it: a keyed 64-bit hash of its id, made by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceKey(pub u64);

/// What a device last concluded of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conclusion {
    Healthy,
    Failed,
    RolledBack,
}

/// A device's vote in one byte: bits 0 and 1 how far it came (offered, fetched, installed), bits 2 and 3 what it
/// concluded (nothing, healthy, failed, rolled back), bit 4 whether its metrics are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vote(u8);

const FETCHED: u8 = 1;
const INSTALLED: u8 = 2;
const PROGRESS: u8 = 0b11;
const CONCLUSION: u8 = 0b1100;
const HEALTHY: u8 = 0b0100;
const FAILED: u8 = 0b1000;
const ROLLED_BACK: u8 = 0b1100;
const METERED: u8 = 0b1_0000;

impl Vote {
    /// Offered, and nothing since.
    pub(super) const OFFERED: Self = Self(0);

    /// Whether an event is a vote, not only progress.
    pub(super) const fn is_conclusive(event: ReportEvent) -> bool {
        matches!(event, ReportEvent::Healthy | ReportEvent::Failed | ReportEvent::RolledBack)
    }

    /// The vote once the event is known, in whatever order events come: progress never goes back, a later conclusion
    /// takes an earlier one's place. Who is healthy or went back had it installed; who failed may not have.
    pub(super) fn after(self, event: ReportEvent) -> Self {
        let (progress, conclusion) = match event {
            ReportEvent::Offered => (0, None),
            ReportEvent::Fetched => (FETCHED, None),
            ReportEvent::Installed => (INSTALLED, None),
            ReportEvent::Healthy => (INSTALLED, Some(HEALTHY)),
            ReportEvent::Failed => (0, Some(FAILED)),
            ReportEvent::RolledBack => (INSTALLED, Some(ROLLED_BACK)),
        };
        let progress = progress.max(self.0 & PROGRESS);
        Self(self.0 & METERED | progress | conclusion.unwrap_or(self.0 & CONCLUSION))
    }

    /// The same vote, its metrics counted.
    pub(super) const fn metered(self) -> Self {
        Self(self.0 | METERED)
    }

    pub(super) const fn is_metered(self) -> bool {
        self.0 & METERED != 0
    }

    pub(super) const fn has_fetched(self) -> bool {
        self.0 & PROGRESS >= FETCHED
    }

    pub(super) const fn has_installed(self) -> bool {
        self.0 & PROGRESS >= INSTALLED
    }

    pub(super) const fn conclusion(self) -> Option<Conclusion> {
        match self.0 & CONCLUSION {
            HEALTHY => Some(Conclusion::Healthy),
            FAILED => Some(Conclusion::Failed),
            ROLLED_BACK => Some(Conclusion::RolledBack),
            _ => None,
        }
    }
}

/// What is kept of a device: eight bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// The place of its rollout's tally.
    pub(super) place: u16,
    pub(super) ring: u8,
    pub(super) vote: Vote,
    /// The minute of its first offer.
    pub(super) minute: u32,
}

impl Entry {
    pub(super) fn new(place: u16, ring: u8, at: Timestamp) -> Self {
        Self { place, ring, vote: Vote::OFFERED, minute: minute_of(at) }
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The table of devices, bounded.
#[derive(Debug)]
pub(super) struct Votes {
    entries: HashMap<DeviceKey, Entry, BuildHasherDefault<KeyHasher>>,
    devices_max: usize,
}

impl Votes {
    pub(super) fn new(devices_max: usize) -> Self {
        Self { entries: HashMap::default(), devices_max }
    }

    pub(super) fn get(&self, device: DeviceKey) -> Option<Entry> {
        self.entries.get(&device).copied()
    }

    pub(super) fn get_mut(&mut self, device: DeviceKey) -> Option<&mut Entry> {
        self.entries.get_mut(&device)
    }

    /// Sets a device's entry; false where the device is new and there is no room.
    pub(super) fn set(&mut self, device: DeviceKey, entry: Entry) -> bool {
        if let Some(known) = self.entries.get_mut(&device) {
            *known = entry;
            return true;
        }
        if self.entries.len() >= self.devices_max {
            return false;
        }
        self.entries.insert(device, entry);
        true
    }

    /// Drops the devices whose rollout had this place.
    pub(super) fn drop_place(&mut self, place: u16) {
        self.entries.retain(|_, entry| entry.place != place);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 8);
        assert_eq!(size_of::<(DeviceKey, Entry)>(), 16);
    }

    #[test]
    fn progress_never_goes_back_and_the_last_conclusion_is_the_vote() {
        let after = |events: &[ReportEvent]| events.iter().fold(Vote::OFFERED, |vote, event| vote.after(*event));
        use ReportEvent::{Failed, Fetched, Healthy, Installed, Offered, RolledBack};
        assert_eq!(after(&[Installed, Fetched, Offered]), after(&[Installed]));
        assert_eq!(after(&[Healthy, Fetched]), after(&[Healthy]));
        assert_eq!(after(&[Healthy, Failed]).conclusion(), Some(Conclusion::Failed));
        assert_eq!(after(&[Failed, Healthy]).conclusion(), Some(Conclusion::Healthy));
        assert_eq!(after(&[Failed, RolledBack]).conclusion(), Some(Conclusion::RolledBack));
        assert!(!after(&[Failed]).has_fetched(), "a device can fail before it has the bytes");
        assert!(after(&[RolledBack]).has_installed());
        assert!(!Vote::OFFERED.metered().after(Failed).has_fetched());
        assert!(Vote::OFFERED.metered().after(Healthy).is_metered());
    }
}
