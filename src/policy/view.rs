//! One device's view of one product: everything that its releases are measured against.

use std::cell::Cell;

use jiff::Timestamp;

use super::bucket;
use super::pace::Pace;
use super::requester::Requester;
use crate::model::policy::{DeviceFacts, Group};
use crate::model::{
    Device, DeviceId, Freeze, Hold, HoldScope, Pin, Platform, ProductReleases, Release, ReleaseState, RingName,
    Rollout, RolloutKind, Snapshot, Span, Version,
};

/// What the device is subject to at `now`.
pub(super) struct View<'a> {
    pub(super) product: &'a ProductReleases,
    pub(super) group: &'a Group,
    pub(super) ring: &'a RingName,
    pub(super) platform: Option<&'a Platform>,
    /// A hold on the whole product: step 4.
    pub(super) whole_hold: Option<&'a Hold>,
    /// Holds on single versions.
    pub(super) holds: Vec<&'a Hold>,
    pub(super) pin: Option<Pinned<'a>>,
    pub(super) keep: u32,
    pub(super) defer: Span,
    /// A freeze of the product.
    pub(super) frozen: Option<&'a Freeze>,
    /// The rollbacks in force for the group, newest first.
    pub(super) rollbacks: Vec<&'a Rollout>,
    pub(super) pace: Pace<'a>,
    /// Whether what the device has is its to keep, windows or not. Not when it is asked what it may download.
    pub(super) keeps_current: bool,
    /// Whether windows and rates count.
    pub(super) delays: bool,
    /// What a share shows and has shown: nothing new to it, windows or not, and no floor.
    pub(super) shown: Vec<&'a Version>,
    pub(super) now: Timestamp,
    device: Option<&'a DeviceId>,
    drawn: Cell<Option<(&'a str, u16)>>,
}

/// The version a group is kept at, and by whom.
#[derive(Clone, Copy)]
pub(super) enum Pinned<'a> {
    /// By an admin; comes first.
    Admin(&'a Pin),
    /// By the policy's text.
    Policy(&'a Version),
}

impl<'a> Pinned<'a> {
    pub(super) fn version(self) -> &'a Version {
        match self {
            Self::Admin(pin) => &pin.version,
            Self::Policy(version) => version,
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        product: &'a ProductReleases,
        group: &'a Group,
        who: &'a Requester<'_>,
        now: Timestamp,
    ) -> Self {
        let (name, class) = (&product.product().name, product.product().class);
        let record = who.record(snapshot, now);
        let facts = DeviceFacts { id: who.device, device: record, address: who.address };
        let ring = group.ring(class);
        let mut whole_hold = None;
        let mut holds = Vec::new();
        for hold in product.holds().iter().map(AsRef::as_ref) {
            if hold.is_active_at(now) && concerns(hold, group, ring, &facts) {
                match hold.version {
                    Some(_) => holds.push(hold),
                    None => whole_hold = Some(longer(whole_hold, hold)),
                }
            }
        }
        let admin = product.pins().iter().rfind(|pin| pin.is_active_at(now) && pin.group == *group.name());
        let pin = admin.map(|pin| Pinned::Admin(pin)).or_else(|| group.pin(name).map(Pinned::Policy));
        Self {
            product,
            group,
            ring,
            platform: platform(record, who),
            whole_hold,
            holds,
            pin,
            keep: group.keep(name, class),
            defer: group.defer(name, class),
            frozen: product.freezes().iter().map(AsRef::as_ref).find(|freeze| freeze.is_active_at(now)),
            rollbacks: rollbacks(product, group, now),
            pace: Pace::new(group, name, class, now),
            keeps_current: true,
            delays: true,
            shown: Vec::new(),
            now,
            device: who.device,
            drawn: Cell::new(None),
        }
    }

    /// Step 1: whether it is published and fits. What was withdrawn stays a candidate here; step 2 takes it.
    pub(super) fn is_candidate(&self, release: &Release) -> bool {
        release.published_at.is_some_and(|at| at <= self.now) && release.artifacts_for(self.platform).next().is_some()
    }

    /// The hold on this version that withholds it for longest.
    pub(super) fn held(&self, release: &Release) -> Option<&'a Hold> {
        let held = self.holds.iter().filter(|hold| hold.version.as_ref() == Some(release.version()));
        held.fold(None, |longest, hold| Some(longer(longest, hold)))
    }

    /// The device's bucket in a rollout; the last one where there is no device.
    pub(super) fn bucket(&self, rollout: &'a Rollout) -> u16 {
        let Some(device) = self.device else { return bucket::LAST };
        // Rollouts of one week share a salt.
        if let Some((salt, number)) = self.drawn.get().filter(|(salt, _)| *salt == rollout.salt) {
            self.drawn.set(Some((salt, number)));
            return number;
        }
        let number = bucket::bucket(&self.product.product().name, &rollout.salt, device);
        self.drawn.set(Some((&rollout.salt, number)));
        number
    }

    /// The lowest barrier above `current` and below `version`, whatever else is said of it.
    pub(super) fn barrier_between(&self, current: &Version, version: &Version) -> Option<&'a Release> {
        let barriers = self.product.barriers().map(AsRef::as_ref);
        let between = barriers.filter(|barrier| barrier.version() > current && barrier.version() < version);
        let standing = between
            .filter(|barrier| self.is_candidate(barrier) && barrier.state_at(self.now) != ReleaseState::Withdrawn);
        standing.min_by(|a, b| a.version().cmp(b.version()))
    }
}

/// The inventory's word comes before the request's.
fn platform<'a>(record: Option<&'a Device>, who: &'a Requester<'_>) -> Option<&'a Platform> {
    record.and_then(|device| device.platform.as_ref()).or(who.platform.as_ref())
}

/// Of two holds on the same thing the one that expires last: until then, nothing changes by itself. A lift is an event
/// and may lie after `now`, so it does not count.
fn longer<'a>(known: Option<&'a Hold>, hold: &'a Hold) -> &'a Hold {
    let end = |hold: &Hold| hold.expires_at.unwrap_or(Timestamp::MAX);
    known.filter(|known| end(known) >= end(hold)).unwrap_or(hold)
}

fn rollbacks<'a>(product: &'a ProductReleases, group: &Group, now: Timestamp) -> Vec<&'a Rollout> {
    let concerns = |rollout: &&Rollout| {
        let is_over = rollout.ended().is_some_and(|(at, _)| at <= now);
        let is_mine = match &rollout.kind {
            RolloutKind::Rollback { groups, .. } => groups.is_empty() || groups.contains(group.name()),
            RolloutKind::Release | RolloutKind::Expedite { .. } => false,
        };
        rollout.planned.at <= now && !is_over && is_mine
    };
    product.rollbacks().rev().map(AsRef::as_ref).filter(concerns).collect()
}

fn concerns(hold: &Hold, group: &Group, ring: &RingName, facts: &DeviceFacts<'_>) -> bool {
    match &hold.scope {
        HoldScope::Everyone => true,
        HoldScope::Group(name) => name == group.name(),
        HoldScope::Ring(name) => name == ring,
        HoldScope::Devices(predicate) => predicate.matches(facts),
    }
}
