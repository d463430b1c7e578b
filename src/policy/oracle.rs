//! The decision once more, slowly: each step of the design as a filter over a list. For tests.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::bucket::bucket;
use super::{Requester, Rule};
use crate::model::policy::{DeviceFacts, Group};
use crate::model::{
    Device, HoldScope, Platform, ProductName, ProductReleases, Release, Rollout, RolloutChange, RolloutKind, Snapshot,
    Version,
};

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
    let current = who.current.as_ref();
    let is_safe = |release: &&Arc<Release>| case.unsafe_rule(release, now).is_none() && !case.is_absent(release);
    let safe: Vec<_> = published.iter().filter(is_safe).cloned().collect();
    let pin = case.pin().filter(|_| !case.is_held(None, now));
    let expedited_pin = case.expedited_over_pin(&safe, current, now);
    let (chosen, rule) = match (pin, expedited_pin) {
        (Some(_), Some(release)) => (Some(release), Rule::Expedite),
        (Some(pin), None) => {
            let chosen = safe.iter().find(|release| *release.version() == pin).cloned();
            match (chosen, current) {
                (Some(release), Some(current)) if release.version() < current => (None, Rule::NeverBelow),
                (chosen, _) => (chosen, Rule::Pin),
            }
        }
        (None, _) => case.highest(&published, current, now),
    };
    let Some((release, current)) = chosen.clone().zip(current) else {
        return (chosen.map(|release| release.version().clone()), rule);
    };
    let barriers = published.iter().filter(|release| release.manifest.barrier && release.withdrawn.is_none());
    let between = barriers.filter(|barrier| barrier.version() > current && barrier.version() < release.version());
    let Some(barrier) = between.min_by_key(|barrier| barrier.version().clone()) else {
        return (Some(release.version().clone()), rule);
    };
    let is_safe = safe.iter().any(|known| known.id == barrier.id);
    let is_pinned = case.pin().is_some() && !case.is_held(None, now);
    let is_paced = barrier.sequence < release.sequence && case.paced_rule(barrier, None, now).is_none();
    let is_served = is_safe && (is_pinned || is_paced);
    (is_served.then(|| barrier.version().clone()), Rule::Barrier)
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
    release.is_none_or(|release| case.unsafe_rule(&release, now).is_some() || case.is_absent(&release))
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
        let is_carried = snapshot.applied_bundle().is_none_or(|bundle| bundle.groups.contains(group.name()));
        (snapshot.product(product).is_some() && group.sees(product) && is_carried).then_some(Self {
            snapshot,
            product,
            group,
            facts,
        })
    }

    fn is_absent(&self, release: &Release) -> bool {
        self.releases().absent().contains(&release.id)
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

    /// Without a pin: each release from the highest sequence down is labelled with the step that takes it away; the
    /// first without a label is served, and the last step that took something above it away decides.
    fn highest(
        &self,
        published: &[Arc<Release>],
        current: Option<&Version>,
        now: Timestamp,
    ) -> (Option<Arc<Release>>, Rule) {
        let mut kept = self.group.keep(self.product, self.class());
        let mut last = Rule::Fit;
        for release in published.iter().rev() {
            let below = current.filter(|current| release.version() < *current);
            let mut label = self.unsafe_rule(release, now).or(self.is_gone_back(release).then_some(Rule::Rollback));
            if label.is_none() {
                match below.and_then(|current| self.way_down(release, current, now)) {
                    Some(true) if self.is_absent(release) => label = Some(Rule::Absent),
                    Some(true) => return (Some(release.clone()), Rule::Rollback),
                    Some(false) => label = Some(Rule::Rollback),
                    None => {
                        if release.published_at.unwrap() > self.tick(now) {
                            let defer = self.group.defer(self.product, self.class());
                            let is_deferred = defer.ends_at(release.published_at.unwrap()) > now;
                            label = Some(if is_deferred { Rule::Deferral } else { Rule::Cadence });
                        } else {
                            label = (kept > 0).then_some(Rule::Keep).or(self.paced_rule(release, current, now));
                            kept = kept.saturating_sub(1);
                        }
                        let is_expedited = label.is_some() && self.is_expedited(release, now);
                        if (label.is_none() || is_expedited) && self.is_absent(release) {
                            last = last.max(Rule::Absent);
                            continue;
                        }
                        if is_expedited && below.is_none() {
                            return (Some(release.clone()), Rule::Expedite);
                        }
                        if below.is_some() && (label.is_none() || is_expedited) {
                            label = Some(Rule::NeverBelow);
                        }
                    }
                }
            }
            match label {
                None if last == Rule::Fit => return (Some(release.clone()), Rule::Highest),
                None => return (Some(release.clone()), last),
                Some(rule) => last = last.max(rule),
            }
        }
        (None, last)
    }

    /// Steps 2 to 4.
    fn unsafe_rule(&self, release: &Release, now: Timestamp) -> Option<Rule> {
        if release.withdrawn.is_some() {
            return Some(Rule::Withdrawn);
        }
        let rollouts = self.rollouts(release);
        let ordinary = rollouts.iter().rfind(|rollout| rollout.kind == RolloutKind::Release);
        let emergencies = rollouts
            .iter()
            .filter(|rollout| matches!(rollout.kind, RolloutKind::Expedite { .. }) && rollout.ended().is_none());
        if ordinary.into_iter().chain(emergencies).any(|rollout| is_halted(rollout)) {
            return Some(Rule::Halt);
        }
        let freeze = self.releases().freezes().iter().find(|freeze| freeze.reset.is_none());
        let is_baked = |at: Timestamp| match ordinary {
            Some(rollout) => times(rollout, |change| matches!(change, RolloutChange::Completed)).any(|done| done <= at),
            None => release.published_at.is_some_and(|published| published <= at),
        };
        if freeze.is_some_and(|freeze| !is_baked(freeze.frozen.at)) {
            return Some(Rule::Freeze);
        }
        self.is_held(Some(release.version()), now).then_some(Rule::Hold)
    }

    /// Steps 8 to 11, but for the count of releases.
    fn paced_rule(&self, release: &Release, current: Option<&Version>, now: Timestamp) -> Option<Rule> {
        let rule = self.eligible_rule(release, now);
        let is_had = current == Some(release.version());
        rule.or(self.eligible_rule(release, self.tick(now)).map(|_| Rule::Cadence))
            .or((!is_had && self.is_closed(now)).then_some(Rule::Window))
    }

    /// The last tick of the group's cadence; every three hours of the day, where it has one.
    fn tick(&self, now: Timestamp) -> Timestamp {
        match self.group.cadence(self.product, self.class()) {
            None => now,
            Some(_) => Timestamp::from_second(now.as_second() - now.as_second().rem_euclid(10_800)).unwrap(),
        }
    }

    /// Whether it is not between two and five o'clock, for a group with a window.
    fn is_closed(&self, now: Timestamp) -> bool {
        let hour = now.as_second().rem_euclid(86_400) / 3_600;
        self.group.windows().is_some() && !(2..5).contains(&hour)
    }

    /// Steps 8 and 10, but for the count of releases.
    fn eligible_rule(&self, release: &Release, now: Timestamp) -> Option<Rule> {
        if release.published_at.unwrap() > now {
            return Some(Rule::Cadence);
        }
        let defer = self.group.defer(self.product, self.class());
        if defer.ends_at(release.published_at.unwrap()) > now {
            return Some(Rule::Deferral);
        }
        let rollouts = self.rollouts(release);
        let ordinary = rollouts.iter().filter(|rollout| rollout.kind == RolloutKind::Release);
        let mut ordinary = ordinary.filter(|rollout| rollout.planned.at <= now).peekable();
        let is_open = ordinary.peek().is_none() || ordinary.any(|rollout| self.is_open(rollout, now));
        (!is_open).then_some(Rule::Ring)
    }

    fn is_expedited(&self, release: &Release, now: Timestamp) -> bool {
        self.rollouts(release).iter().any(|rollout| match rollout.kind {
            RolloutKind::Expedite { expires_at, .. } => {
                expires_at > now && rollout.ended().is_none() && self.is_open(rollout, now)
            }
            _ => false,
        })
    }

    fn expedited_over_pin(
        &self,
        safe: &[Arc<Release>],
        current: Option<&Version>,
        now: Timestamp,
    ) -> Option<Arc<Release>> {
        let open = safe.iter().filter(|release| !self.is_gone_back(release) && self.is_expedited(release, now));
        let named = open.filter_map(|release| {
            let rollouts = self.rollouts(release);
            let naming = rollouts.into_iter().rfind(|rollout| match &rollout.kind {
                RolloutKind::Expedite { pinned_groups, .. } => pinned_groups.contains(self.group.name()),
                _ => false,
            })?;
            current.is_none_or(|current| release.version() >= current).then_some((naming.id, release.clone()))
        });
        named.max_by_key(|(id, _)| *id).map(|(_, release)| release)
    }

    fn rollbacks(&self) -> Vec<(Arc<Rollout>, u64)> {
        let rollouts = self.releases().rollouts().iter().filter(|rollout| rollout.ended().is_none());
        let mine = rollouts.filter_map(|rollout| match &rollout.kind {
            RolloutKind::Rollback { from, groups, .. } => {
                (groups.is_empty() || groups.contains(self.group.name())).then(|| (rollout.clone(), *from))
            }
            _ => None,
        });
        mine.collect()
    }

    fn is_gone_back(&self, release: &Release) -> bool {
        let is_bad =
            |(rollback, from): &(Arc<Rollout>, u64)| rollback.sequence < release.sequence && release.sequence <= *from;
        self.rollbacks().iter().any(is_bad)
    }

    /// Whether a rollback leads from `current` to this release, and is open.
    fn way_down(&self, release: &Release, current: &Version, now: Timestamp) -> Option<bool> {
        let has = self.releases().by_version(current)?.sequence;
        let rollbacks = self.rollbacks();
        let leading = rollbacks.iter().rfind(|(rollback, from)| {
            rollback.sequence == release.sequence && (release.sequence + 1..=*from).contains(&has)
        });
        leading.map(|(rollback, _)| self.is_open(rollback, now))
    }

    /// Whether the device's bucket is below the share, drawn minute by minute.
    fn is_open(&self, rollout: &Rollout, now: Timestamp) -> bool {
        let is_rollback = matches!(rollout.kind, RolloutKind::Rollback { .. });
        if times(rollout, |change| matches!(change, RolloutChange::Completed)).any(|at| at <= now) {
            return true;
        }
        let ring = if is_rollback { &rollout.plan.rings[0].ring } else { self.group.ring(self.class()) };
        let bucket = self.facts.id.map_or(9_999, |id| bucket(self.product, &rollout.salt, id));
        let Some(plan) = rollout.plan.rings.iter().find(|plan| plan.ring == *ring) else { return false };
        let mut opened: Vec<Timestamp> =
            times(rollout, |change| matches!(change, RolloutChange::WaveOpened { ring: of, .. } if of == ring))
                .filter(|at| *at <= now)
                .collect();
        let Some(last) = opened.pop() else { return false };
        let before = if opened.is_empty() { 0 } else { plan.waves[opened.len() - 1].share.get() };
        let wave = plan.waves[opened.len()];
        let minutes = wave.over.as_secs() / 60;
        if minutes == 0 {
            return wave.share.get() > bucket;
        }
        let mut active = 0;
        let mut minute = last;
        while minute < now {
            active += u64::from(!self.stands_still(rollout, minute));
            minute += SignedDuration::from_mins(1);
        }
        let grown = u64::from(wave.share.get() - before) * active.min(minutes) / minutes;
        u64::from(before) + grown > u64::from(bucket)
    }

    fn stands_still(&self, rollout: &Rollout, at: Timestamp) -> bool {
        let mut is_stopped = false;
        for step in rollout.steps().iter().take_while(|step| step.at <= at) {
            match step.change {
                RolloutChange::Paused { .. } | RolloutChange::Halted { .. } => is_stopped = true,
                RolloutChange::Resumed { .. } => is_stopped = false,
                RolloutChange::Superseded { .. } | RolloutChange::RolledBack { .. } | RolloutChange::Ended { .. } => {
                    return true;
                }
                _ => {}
            }
        }
        let freezes = self.releases().freezes().iter();
        let mut frozen = freezes
            .filter(|freeze| freeze.frozen.at <= at && freeze.reset.as_ref().is_none_or(|(reset, _)| reset.at > at));
        is_stopped || frozen.next().is_some()
    }

    fn releases(&self) -> &ProductReleases {
        self.snapshot.product(self.product).unwrap()
    }

    fn rollouts(&self, release: &Release) -> Vec<Arc<Rollout>> {
        let all = self.releases().rollouts().iter();
        all.filter(|rollout| rollout.sequence == release.sequence).cloned().collect()
    }

    fn pin(&self) -> Option<Version> {
        let mut pins =
            self.snapshot.pins().filter(|pin| pin.product == *self.product && pin.group == *self.group.name());
        let admin = pins.find(|pin| pin.removed.is_none()).map(|pin| pin.version.clone());
        admin.or_else(|| self.group.pin(self.product).cloned())
    }
}

/// The times of the steps of one kind.
fn times(rollout: &Rollout, is_it: impl Fn(&RolloutChange) -> bool) -> impl Iterator<Item = Timestamp> {
    rollout.steps().iter().filter(move |step| is_it(&step.change)).map(|step| step.at)
}

fn is_halted(rollout: &Rollout) -> bool {
    let mut is_halted = false;
    for step in rollout.steps() {
        match step.change {
            RolloutChange::Halted { .. } | RolloutChange::RolledBack { .. } => is_halted = true,
            RolloutChange::Resumed { .. } => is_halted = false,
            _ => {}
        }
    }
    is_halted
}
