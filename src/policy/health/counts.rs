//! Sums per ring and rollout, kept as votes change.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::clusters::Clusters;
use super::metrics::Metrics;
use super::silence::Waiting;
use super::votes::{Conclusion, Entry, Vote};
use crate::model::{Evidence, MetricName, RolloutId, Span};

/// The most offline sites and mirrors whose sums are kept for one ring.
const PLACES_MAX: usize = 10_000;

/// Numbers of devices, each counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Devices that were offered the release.
    pub offered: u64,
    /// Those that got at least as far as having its bytes.
    pub fetched: u64,
    /// Those that had it installed at least once.
    pub installed: u64,
    /// Those that last said they are healthy.
    pub healthy: u64,
    /// Those that last said they failed.
    pub failed: u64,
    /// Those that last said they went back.
    pub rolled_back: u64,
    /// Those that have yet to conclude, and have not been offered a newer release.
    pub pending: u64,
    /// Those of them whose deadline has passed.
    pub silent: u64,
}

impl Counts {
    /// Devices with the release that do not work, or did not.
    pub const fn bad(&self) -> u64 {
        self.failed + self.rolled_back
    }

    /// Devices whose vote is in.
    pub const fn concluded(&self) -> u64 {
        self.bad() + self.healthy
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            offered: self.offered + other.offered,
            fetched: self.fetched + other.fetched,
            installed: self.installed + other.installed,
            healthy: self.healthy + other.healthy,
            failed: self.failed + other.failed,
            rolled_back: self.rolled_back + other.rolled_back,
            pending: self.pending + other.pending,
            silent: self.silent + other.silent,
        }
    }

    /// As the journal has them, with what a gate made of them.
    pub(super) fn evidence(self, detail: String) -> Evidence {
        let Self { offered, fetched, installed, healthy, failed, rolled_back, silent, .. } = self;
        Evidence { offered, fetched, installed, healthy, failed, rolled_back, silent, detail }
    }
}

/// What is counted in one ring of a rollout.
#[derive(Debug)]
pub(super) struct Ring {
    within: Option<Span>,
    /// All but `silent`, which needs a time.
    sums: Counts,
    waiting: Waiting,
    pub(super) metrics: Metrics,
    /// The sums of other places, each by its name: of offline sites and mirrors.
    pub(super) elsewhere: BTreeMap<Box<str>, Counts>,
}

impl Ring {
    fn new(within: Option<Span>) -> Self {
        Self {
            within,
            sums: Counts::default(),
            waiting: Waiting::default(),
            metrics: Metrics::default(),
            elsewhere: BTreeMap::new(),
        }
    }

    /// A device was offered the release.
    pub(super) fn offer(&mut self, minute: u32) {
        self.sums.offered += 1;
        self.sums.pending += 1;
        self.waiting.add(minute);
    }

    /// A device's vote changed.
    pub(super) fn change(&mut self, before: Vote, after: Vote, minute: u32) {
        self.sums.fetched += u64::from(after.has_fetched() && !before.has_fetched());
        self.sums.installed += u64::from(after.has_installed() && !before.has_installed());
        match (before.conclusion(), after.conclusion()) {
            (Some(old), new) => {
                let sum = self.sum(old);
                *sum = sum.saturating_sub(1);
                if let Some(new) = new {
                    *self.sum(new) += 1;
                }
            }
            (None, Some(new)) => {
                *self.sum(new) += 1;
                self.stop_waiting(minute);
            }
            (None, None) => {}
        }
    }

    /// A device went on to a newer rollout.
    pub(super) fn leave(&mut self, entry: Entry) {
        if entry.vote.conclusion().is_none() {
            self.stop_waiting(entry.minute);
        }
    }

    /// What the devices of another place said, in place of what is known of that place.
    pub(super) fn set_elsewhere(&mut self, place: &str, counts: Counts) {
        if self.elsewhere.len() < PLACES_MAX || self.elsewhere.contains_key(place) {
            self.elsewhere.insert(place.into(), counts);
        }
    }

    pub(super) fn counts(&self, now: Timestamp) -> Counts {
        self.elsewhere.values().copied().fold(self.counts_here(now), Counts::plus)
    }

    fn counts_here(&self, now: Timestamp) -> Counts {
        Counts { silent: self.within.map_or(0, |within| self.waiting.silent(within, now)), ..self.sums }
    }

    fn sum(&mut self, conclusion: Conclusion) -> &mut u64 {
        match conclusion {
            Conclusion::Healthy => &mut self.sums.healthy,
            Conclusion::Failed => &mut self.sums.failed,
            Conclusion::RolledBack => &mut self.sums.rolled_back,
        }
    }

    fn stop_waiting(&mut self, minute: u32) {
        self.sums.pending = self.sums.pending.saturating_sub(1);
        self.waiting.remove(minute);
    }
}

/// What is counted for one rollout.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) rollout: RolloutId,
    pub(super) sequence: u64,
    pub(super) rings: Vec<Ring>,
    /// Over all rings: what fails on one model fails on it everywhere.
    pub(super) clusters: Clusters,
    pub(super) watched_metrics: Option<BTreeSet<MetricName>>,
}

impl Tally {
    pub(super) fn new(rollout: RolloutId, sequence: u64, within: &[Option<Span>]) -> Self {
        let rings = within.iter().map(|within| Ring::new(*within)).collect();
        Self { rollout, sequence, rings, clusters: Clusters::default(), watched_metrics: None }
    }

    pub(super) fn total(&self, now: Timestamp) -> Counts {
        self.rings.iter().map(|ring| ring.counts(now)).fold(Counts::default(), Counts::plus)
    }
}
