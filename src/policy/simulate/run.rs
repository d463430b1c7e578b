//! What came of a scenario.

use crate::model::{EventRecord, HaltCause, Snapshot};

/// A wave that opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningSeen {
    /// When, in minutes after the publication.
    pub minute: u32,
    /// The ring.
    pub ring: String,
    /// The wave, from 0.
    pub wave: u32,
}

/// The end of the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaltSeen {
    /// When, in minutes after the publication.
    pub minute: u32,
    /// What made it.
    pub cause: HaltCause,
    /// Why, as one sentence.
    pub reason: String,
}

/// What came of a scenario.
#[derive(Debug, Clone)]
pub struct Run {
    /// All devices.
    pub devices: u64,
    /// Those that check in at all.
    pub reachable: u64,
    /// The waves that opened, in order.
    pub openings: Vec<OpeningSeen>,
    /// The halt, if there was one.
    pub halt: Option<HaltSeen>,
    /// When everyone was allowed to have the release, in minutes after the publication.
    pub completed_minute: Option<u32>,
    /// The ring that waits for a person to let the release in.
    pub waits_for: Option<String>,
    /// The last minute that was looked at.
    pub last_minute: u32,
    /// Every event, the setting up included.
    pub records: Vec<EventRecord>,
    /// The state after all of them.
    pub snapshot: Snapshot,
    /// At which second after the publication each device got the release.
    pub(super) exposed_s: Vec<u32>,
    /// How many got it in each minute.
    pub(super) by_minute: Vec<u32>,
}

/// In place of a second: the device does not have the release, and is not on its way to it.
pub(super) const IDLE: u32 = u32::MAX;
/// The device does not have the release; a check-in of it is planned.
pub(super) const QUEUED: u32 = u32::MAX - 1;
/// The device never checks in.
pub(super) const OFFLINE: u32 = u32::MAX - 2;

impl Run {
    /// How many devices got the release before nobody could get it any more.
    pub fn hit(&self) -> u64 {
        self.by_minute.iter().map(|count| u64::from(*count)).sum()
    }

    /// How many had it by the end of a minute.
    pub fn exposed_at(&self, minute: u32) -> u64 {
        self.by_minute.iter().take(minute as usize + 1).map(|count| u64::from(*count)).sum()
    }

    /// How many had it by the end of each minute.
    pub fn curve(&self) -> Vec<u64> {
        let mut sum = 0;
        let sums = self.by_minute.iter().map(|count| {
            sum += u64::from(*count);
            sum
        });
        sums.collect()
    }

    /// The minute in which this share of the reachable devices had it.
    pub fn minute_of(&self, share: f64) -> Option<u32> {
        let needed = (share * self.reachable as f64).ceil() as u64;
        let place = self.curve().iter().position(|sum| *sum >= needed.max(1))?;
        u32::try_from(place + 1).ok()
    }

    /// When a device got it, in seconds after the publication.
    pub fn exposed_second(&self, device: u32) -> Option<u32> {
        self.exposed_s.get(device as usize).copied().filter(|second| *second < OFFLINE)
    }
}
