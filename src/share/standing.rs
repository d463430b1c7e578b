//! How a share stands against the clock: how old what it shows is, and how far its targets are behind. The admin
//! listener, the metrics and the alerts ask here, so that they never say different things.

use jiff::Timestamp;
use serde::Serialize;

use super::targets::{TargetReport, TargetState};
use super::view::age_of;
use crate::model::policy::{SharePolicy, ShareStaleness};
use crate::model::{Class, Share, Snapshot};

/// How old the newest release of a share is, against what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Staleness {
    /// Nobody wants to be told, or nothing is shown yet.
    None,
    /// Young enough.
    Fresh,
    /// Older than the time of the warning.
    Warn,
    /// Older than the time of the critical alert.
    Critical,
}

/// The ages at which people are told: those of the policy; the defaults where it says none and the share carries
/// intelligence, which is old soon; none for anything else.
pub fn staleness_limits(snapshot: &Snapshot, share: &SharePolicy) -> Option<ShareStaleness> {
    let is_intelligence =
        |name| snapshot.product(name).is_some_and(|product| product.product().class == Class::Intelligence);
    let default = || share.products().iter().any(is_intelligence).then(ShareStaleness::default);
    share.staleness().or_else(default)
}

/// How stale a share is at `now`.
pub fn staleness(snapshot: &Snapshot, share: &SharePolicy, now: Timestamp) -> Staleness {
    let Some(limits) = staleness_limits(snapshot, share) else { return Staleness::None };
    let published_at = snapshot.share(share.name()).and_then(|state| age_of(snapshot, state));
    match published_at {
        None => Staleness::None,
        Some(at) if limits.critical.ends_at(at) <= now => Staleness::Critical,
        Some(at) if limits.warn.ends_at(at) <= now => Staleness::Warn,
        Some(_) => Staleness::Fresh,
    }
}

/// For how many seconds the newest switch of a share waits for this target; 0 where the target shows it.
pub fn lag_s(state: &Share, report: &TargetReport, now: Timestamp) -> u64 {
    if report.state == TargetState::Published && report.switch >= state.switch.seq {
        return 0;
    }
    u64::try_from(now.duration_since(state.switch.at).as_secs()).unwrap_or(0)
}
