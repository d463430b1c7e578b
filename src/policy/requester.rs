//! Who asks, and which group that makes it.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::policy::{DeviceFacts, Group, Policy, PolicyError};
use crate::model::{Device, DeviceHistory, DeviceId, Platform, Snapshot, Version};

/// Who asks. Only `device` and `address` are proven; `platform` and `current` are the request's own words.
#[derive(Debug, Clone, Default)]
pub struct Requester<'a> {
    /// The proven identity.
    pub device: Option<&'a DeviceId>,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// What it runs on; counts only where the inventory does not say.
    pub platform: Option<Platform>,
    /// The version it has.
    pub current: Option<Version>,
}

impl Requester<'_> {
    /// What the inventory says of the device over time.
    pub(super) fn history<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s DeviceHistory> {
        self.device.and_then(|id| snapshot.device(id))
    }

    /// What the inventory said of it at `now`.
    pub(super) fn record<'s>(&self, snapshot: &'s Snapshot, now: Timestamp) -> Option<&'s Device> {
        self.history(snapshot).and_then(|history| history.at(now)).map(Arc::as_ref)
    }
}

/// Where a requester stands.
pub(super) enum Place<'a> {
    /// In this group.
    Group(&'a Group),
    /// In no group of the policy.
    NoGroup,
    /// No policy was in force.
    NoPolicy,
    /// The policy in force is in words that this build does not know.
    Unreadable(&'a PolicyError),
}

pub(super) fn place<'a>(snapshot: &'a Snapshot, who: &Requester<'_>, now: Timestamp) -> Place<'a> {
    let policy = match snapshot.policy_at(now).map(|applied| applied.policy()) {
        Some(Ok(policy)) => policy,
        Some(Err(error)) => return Place::Unreadable(error),
        None => return Place::NoPolicy,
    };
    find_group(policy, snapshot, who, now).map_or(Place::NoGroup, Place::Group)
}

/// The group that `policy` gives the requester at `now`.
pub(super) fn find_group<'a>(
    policy: &'a Policy,
    snapshot: &Snapshot,
    who: &Requester<'_>,
    now: Timestamp,
) -> Option<&'a Group> {
    let facts = DeviceFacts { id: who.device, device: who.record(snapshot, now), address: who.address };
    policy.group_of(&facts)
}

/// The requester's group under the policy in force at `now`. It depends on nothing but the snapshot, the device, the
/// address and `now`, and changes with `now` only at a recorded change of the policy or the device: a caller may keep
/// it for one snapshot and hand it to [`decide_in_group`](super::decide_in_group).
pub fn group_of<'a>(snapshot: &'a Snapshot, who: &Requester<'_>, now: Timestamp) -> Option<&'a Group> {
    match place(snapshot, who, now) {
        Place::Group(group) => Some(group),
        Place::NoGroup | Place::NoPolicy | Place::Unreadable(_) => None,
    }
}
