//! What the devices say of a release: tallies of their votes, and the verdict of a gate over them.
//!
//! Each device has one vote, on the newest rollout it was offered, and a few bytes. `votes` keeps the devices, `counts`
//! the sums per ring, `elsewhere` those of other places, `silence` who has yet to answer, `clusters` what failing devices
//! share, `metrics` their usage, `sprt` the test and `verdict` the gate's answer.
//!
//! What this module deliberately does not do: it does not open waves, wait for bake times or halt anything; it keeps
//! no report and no device name; it trusts no clock, so times may repeat or go back.

mod clusters;
mod counts;
mod elsewhere;
mod metrics;
mod silence;
mod sprt;
#[cfg(test)]
mod tests;
mod verdict;
mod votes;
mod words;

pub use counts::Counts;
pub use sprt::{pass_error, samples_for};
pub use verdict::{MINORITY, Question, Verdict};
pub use votes::DeviceKey;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::{MetricName, MetricValue, ReportEvent, RolloutId, Span};
use counts::Tally;
use votes::{Entry, Vote, Votes};

/// The most rollouts of a product that are counted at a time.
pub const ROLLOUTS_MAX: usize = 256;
/// The most devices of a product that are counted.
pub const DEVICES_MAX: usize = 4_000_000;

/// All votes on one product's rollouts, in memory; rebuilt from the reports at start.
///
/// One entry a device, 17 bytes and the table's slack (36 MB for a million), for the newest rollout it was offered.
#[derive(Debug)]
pub struct Health {
    votes: Votes,
    /// A tally's place never changes while it is watched: the devices' entries refer to it.
    tallies: Vec<Option<Tally>>,
    places: BTreeMap<RolloutId, u16>,
    /// Those of them of which nothing is known but that devices went on to them.
    unknown: BTreeSet<RolloutId>,
}

/// What a call changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The device is counted for this rollout from now on.
    New,
    /// Its vote, or what is known of its progress, is another.
    Changed,
    /// Nothing that was not known.
    Unchanged,
    /// Nothing is counted: the rollout or its ring is not watched, the device was never offered this release, has been
    /// offered a newer one since, or there are too many devices.
    NotWatched,
}

impl Health {
    /// Without votes.
    pub fn new() -> Self {
        Self::with_devices_max(DEVICES_MAX)
    }

    /// Without votes, for at most this many devices.
    pub fn with_devices_max(devices_max: usize) -> Self {
        let (votes, unknown) = (Votes::new(devices_max), BTreeSet::new());
        Self { votes, tallies: Vec::new(), places: BTreeMap::new(), unknown }
    }

    /// Begins to count for a rollout; does nothing where it is counted already.
    ///
    /// `within` has, for each ring of its plan, how long after the offer a device has to answer; `None`: no gate asks.
    /// Of more than [`ROLLOUTS_MAX`] the oldest is forgotten, even if that is this one.
    pub fn watch(&mut self, rollout: RolloutId, sequence: u64, within: &[Option<Span>]) {
        if self.is_watched(rollout) {
            return;
        }
        self.forget(rollout);
        if self.is_full()
            && let Some((&oldest, _)) = self.places.first_key_value()
        {
            if rollout < oldest {
                return;
            }
            self.forget(oldest);
        }
        self.place_or_new(rollout, sequence, within);
    }

    fn place_or_new(&mut self, rollout: RolloutId, sequence: u64, within: &[Option<Span>]) {
        let place = self.tallies.iter().position(Option::is_none).unwrap_or(self.tallies.len());
        let Ok(number) = u16::try_from(place) else { return };
        if place == self.tallies.len() {
            self.tallies.push(None);
        }
        self.tallies[place] = Some(Tally::new(rollout, sequence, within));
        self.places.insert(rollout, number);
    }

    /// Counts only these metrics of a rollout's reports: those its gates name.
    ///
    /// Until this is called any are counted, up to a bound that devices with invented names could use up.
    pub fn watch_metrics(&mut self, rollout: RolloutId, metrics: BTreeSet<MetricName>) {
        if let Some(tally) = self.place(rollout).and_then(|place| self.tallies[place].as_mut()) {
            tally.watched_metrics = Some(metrics);
        }
    }

    /// Whether a rollout is counted.
    pub fn is_watched(&self, rollout: RolloutId) -> bool {
        self.places.contains_key(&rollout) && !self.unknown.contains(&rollout)
    }

    /// Whether one more rollout is counted only if another is forgotten.
    pub fn is_full(&self) -> bool {
        self.places.len() >= ROLLOUTS_MAX
    }

    /// Where there is no room for one more rollout, forgets the oldest that is none of these.
    pub fn make_room(&mut self, is_wanted: impl Fn(RolloutId) -> bool) {
        if self.is_full()
            && let Some(oldest) = self.places.keys().copied().find(|rollout| !is_wanted(*rollout))
        {
            self.forget(oldest);
        }
    }

    /// Forgets a rollout's counters and the devices whose newest it was. Looks at every device once.
    ///
    /// Forget the oldest first: a device that is forgotten with a newer rollout would count anew in an older one.
    pub fn forget(&mut self, rollout: RolloutId) {
        if let Some(place) = self.places.remove(&rollout) {
            self.tallies[usize::from(place)] = None;
            self.unknown.remove(&rollout);
            self.votes.drop_place(place);
        }
    }

    /// The device was offered the rollout's release in this ring.
    ///
    /// It counts once, at its first offer. A device only ever moves to a rollout with a higher number; its vote on the
    /// older one then stays as it is, and if it had none it is no longer waited for there: it is evidently alive.
    /// `shared` is what the inventory says it shares with others, such as `attr.model=X1`, each once.
    pub fn offered<'a>(
        &mut self,
        device: DeviceKey,
        rollout: RolloutId,
        ring: usize,
        at: Timestamp,
        shared: impl Iterator<Item = &'a str>,
    ) -> Counted {
        let Some(&place) = self.places.get(&rollout) else { return Counted::NotWatched };
        let known = self.votes.get(device);
        if let Some(entry) = known {
            if entry.place == place {
                return Counted::Unchanged;
            }
            let newest = self.tallies[usize::from(entry.place)].as_ref().map(|tally| tally.rollout);
            if newest.is_some_and(|newest| newest > rollout) {
                return Counted::NotWatched;
            }
        }
        let Some(tally) = self.tallies[usize::from(place)].as_mut() else { return Counted::NotWatched };
        let Some(number) = u8::try_from(ring).ok().filter(|_| ring < tally.rings.len()) else {
            return Counted::NotWatched;
        };
        let entry = Entry::new(place, number, at);
        if !self.votes.set(device, entry) {
            return Counted::NotWatched;
        }
        tally.rings[ring].offer(entry.minute);
        tally.clusters.offer(shared);
        if let Some(old) = known
            && let Some(tally) = self.tallies[usize::from(old.place)].as_mut()
        {
            tally.rings[usize::from(old.ring)].leave(old);
        }
        Counted::New
    }

    /// The device was offered a rollout of which nothing else is known here any more. It has no vote there, and none from
    /// now on in older ones: as if it had been counted.
    pub fn went_on(&mut self, device: DeviceKey, rollout: RolloutId, at: Timestamp) {
        if self.is_watched(rollout) {
            return;
        }
        if !self.places.contains_key(&rollout) {
            if self.is_full() {
                let Some(&oldest) = self.unknown.first().filter(|oldest| **oldest < rollout) else { return };
                self.forget(oldest);
            }
            // No release has this sequence.
            self.place_or_new(rollout, 0, &[None]);
            self.unknown.insert(rollout);
        }
        self.offered(device, rollout, 0, at, std::iter::empty());
    }

    /// The device reported on the release with this sequence.
    ///
    /// It counts only if that is the release the device was last offered by a rollout. The last of its conclusive
    /// events (healthy, failed, rolled back) is its vote; the others only show progress. Its usage metrics count once:
    /// those of its first conclusive report that has any. `shared` is as at the offer.
    pub fn reported<'a>(
        &mut self,
        device: DeviceKey,
        sequence: u64,
        event: ReportEvent,
        metrics: &BTreeMap<MetricName, MetricValue>,
        shared: impl Iterator<Item = &'a str>,
    ) -> Counted {
        let Some(entry) = self.votes.get_mut(device) else { return Counted::NotWatched };
        let tally = self.tallies[usize::from(entry.place)].as_mut().filter(|tally| tally.sequence == sequence);
        let Some(tally) = tally else { return Counted::NotWatched };
        let before = entry.vote;
        let mut after = before.after(event);
        let ring = &mut tally.rings[usize::from(entry.ring)];
        if Vote::is_conclusive(event) && !metrics.is_empty() && !before.is_metered() {
            after = after.metered();
            ring.metrics.add(metrics, tally.watched_metrics.as_ref());
        }
        if before == after {
            return Counted::Unchanged;
        }
        ring.change(before, after, entry.minute);
        tally.clusters.change(before.conclusion(), after.conclusion(), shared);
        entry.vote = after;
        Counted::Changed
    }

    /// What is known of one ring of a rollout; nothing where it is not watched.
    pub fn counts(&self, rollout: RolloutId, ring: usize, now: Timestamp) -> Counts {
        self.tally(rollout)
            .and_then(|tally| tally.rings.get(ring))
            .map_or_else(Counts::default, |ring| ring.counts(now))
    }

    /// What is known of all rings of a rollout together.
    pub fn total(&self, rollout: RolloutId, now: Timestamp) -> Counts {
        self.tally(rollout).map_or_else(Counts::default, |tally| tally.total(now))
    }

    /// Whether the release with this sequence is the one the device was last offered by a rollout.
    pub fn was_offered(&self, device: DeviceKey, sequence: u64) -> bool {
        let entry = self.votes.get(device);
        let tally = entry.and_then(|entry| self.tallies[usize::from(entry.place)].as_ref());
        tally.is_some_and(|tally| tally.sequence == sequence)
    }

    /// How many devices are counted.
    pub fn devices(&self) -> usize {
        self.votes.len()
    }

    fn place(&self, rollout: RolloutId) -> Option<usize> {
        self.places.get(&rollout).map(|place| usize::from(*place))
    }

    fn tally(&self, rollout: RolloutId) -> Option<&Tally> {
        self.place(rollout).and_then(|place| self.tallies[place].as_ref())
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}
