//! Steps 9 and 11: the moment at which a group's releases were chosen, and when the next device may change.

use jiff::Timestamp;

use crate::model::policy::{Group, Rate, Staleness};
use crate::model::{BasisPoints, Class, ProductName, Rollout};

/// The devices that a rated group is taken to have until the inventory has some of it.
const UNKNOWN_DEVICES: u64 = 10_000;

/// What the calendar says of one group at one moment.
pub(super) struct Pace<'a> {
    /// The last tick of the group's cadence: releases are chosen as they were eligible then. `now` without a cadence.
    pub(super) chosen_at: Timestamp,
    /// The next tick.
    pub(super) next_tick: Option<Timestamp>,
    /// Outside of the group's maintenance windows: when the next one opens, if one ever does.
    pub(super) closed: Option<Option<Timestamp>>,
    /// Inside of one: when it closes.
    pub(super) closes_at: Option<Timestamp>,
    pub(super) rate: Option<&'a Rate>,
    pub(super) staleness: Option<&'a Staleness>,
}

impl<'a> Pace<'a> {
    pub(super) fn new(group: &'a Group, product: &ProductName, class: Class, now: Timestamp) -> Self {
        let cadence = group.cadence(product, class);
        // Before the first tick there ever was, nothing was chosen.
        let chosen_at = cadence.map_or(now, |cadence| cadence.last_tick(now).unwrap_or(Timestamp::MIN));
        let windows = group.windows();
        Self {
            chosen_at,
            next_tick: cadence.and_then(|cadence| cadence.next_tick(now)),
            closed: windows.filter(|windows| !windows.is_open(now)).map(|windows| windows.next_open(now)),
            closes_at: windows.and_then(|windows| windows.closes_at(now)),
            rate: group.rate(product, class),
            staleness: group.staleness(product, class),
        }
    }
}

/// The share of the group that the rate lets change in `active_ms` of the ring's being open.
pub(super) fn rated_share(rate: &Rate, group: &Group, rollout: &Rollout, ring: usize, active_ms: i64) -> BasisPoints {
    let devices = devices_of(group, rollout, ring);
    let allowed = i128::from(rate.devices()) * i128::from(active_ms) * 10_000;
    let share = allowed / (i128::from(rate.period_secs()) * 1_000 * i128::from(devices));
    BasisPoints::new(u16::try_from(share.clamp(0, 10_000)).unwrap_or(10_000))
}

/// The milliseconds of the ring's being open after which the rate admits a bucket.
pub(super) fn rated_after_ms(rate: &Rate, group: &Group, rollout: &Rollout, ring: usize, bucket: u16) -> i64 {
    let devices = devices_of(group, rollout, ring);
    let needed = (i128::from(bucket) + 1) * i128::from(rate.period_secs()) * 1_000 * i128::from(devices);
    let per_ms = i128::from(rate.devices()) * 10_000;
    i64::try_from((needed + per_ms - 1) / per_ms).unwrap_or(i64::MAX)
}

/// How many devices a rated group has: as counted when the ring's first wave opened, the ring's where the group's were
/// not, and a round number where the inventory has none of them.
fn devices_of(group: &Group, rollout: &Rollout, ring: usize) -> u64 {
    let opening = rollout.rings().get(ring).and_then(|ring| ring.opened.first());
    let counted = opening.map_or(0, |opening| opening.rated.get(group.name()).copied().unwrap_or(opening.devices));
    if counted == 0 { UNKNOWN_DEVICES } else { counted }
}
