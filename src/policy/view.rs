//! One device's view of one product: everything that its releases are measured against.

use jiff::Timestamp;

use super::requester::Requester;
use crate::model::policy::{DeviceFacts, Group};
use crate::model::{
    Device, Hold, HoldScope, Pin, Platform, ProductReleases, Release, ReleaseState, RingName, Snapshot, Span, Version,
};

/// What the device is subject to at `now`.
pub(super) struct View<'a> {
    pub(super) product: &'a ProductReleases,
    pub(super) group: &'a Group,
    pub(super) ring: &'a RingName,
    pub(super) platform: Option<&'a Platform>,
    /// A hold on the whole product.
    pub(super) freeze: Option<&'a Hold>,
    /// Holds on single versions.
    pub(super) holds: Vec<&'a Hold>,
    pub(super) pin: Option<Pinned<'a>>,
    pub(super) keep: u32,
    pub(super) defer: Span,
    pub(super) now: Timestamp,
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

/// Why a release is not for this device now.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rejection<'a> {
    Withdrawn,
    Held(&'a Hold),
    Kept,
    Deferred(Timestamp),
    BelowCurrent,
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
        let mut freeze = None;
        let mut holds = Vec::new();
        for hold in product.holds().iter().map(AsRef::as_ref) {
            if hold.is_active_at(now) && concerns(hold, group, ring, &facts) {
                match hold.version {
                    Some(_) => holds.push(hold),
                    None => freeze = Some(longer(freeze, hold)),
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
            freeze,
            holds,
            pin,
            keep: group.keep(name, class),
            defer: group.defer(name, class),
            now,
        }
    }

    /// Step 1: whether it is published and fits. What was withdrawn stays a candidate here; step 2 takes it.
    pub(super) fn is_candidate(&self, release: &Release) -> bool {
        release.published_at.is_some_and(|at| at <= self.now) && release.artifacts_for(self.platform).next().is_some()
    }

    /// Steps 2 and 4 for one candidate.
    pub(super) fn gate(&self, release: &Release) -> Result<(), Rejection<'a>> {
        if release.state_at(self.now) == ReleaseState::Withdrawn {
            return Err(Rejection::Withdrawn);
        }
        if let Some(hold) = self.freeze {
            return Err(Rejection::Held(hold));
        }
        let held = self.holds.iter().filter(|hold| hold.version.as_ref() == Some(release.version()));
        let held = held.fold(None, |longest, hold| Some(longer(longest, hold)));
        held.map_or(Ok(()), |hold| Err(Rejection::Held(hold)))
    }

    /// Step 8, second half: until when the release is deferred.
    pub(super) fn deferred_until(&self, release: &Release) -> Option<Timestamp> {
        let end = self.defer.ends_at(release.published_at?);
        (end > self.now).then_some(end)
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

fn concerns(hold: &Hold, group: &Group, ring: &RingName, facts: &DeviceFacts<'_>) -> bool {
    match &hold.scope {
        HoldScope::Everyone => true,
        HoldScope::Group(name) => name == group.name(),
        HoldScope::Ring(name) => name == ring,
        HoldScope::Devices(predicate) => predicate.matches(facts),
    }
}
