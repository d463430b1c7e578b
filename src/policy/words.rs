//! Reasons in words.

use super::rollout::Exposure;
use super::steps::{Pass, Rejection};
use super::view::{Pinned, View};
use super::walk::{Found, PinBlock, Why};
use crate::model::{Hold, HoldScope, Release, Rollout, RolloutChange, Version};
use jiff::Timestamp;

/// Why the walk ended where it did, as one sentence.
pub(super) fn reason(view: &View<'_>, current: Option<&Version>, found: &Found<'_>) -> String {
    let group = view.group.name();
    match &found.why {
        Why::Plain => match found.release {
            Some(release) => format!("{} is the highest release for group {group}", release.version()),
            None => nothing_fits(view),
        },
        Why::Rejected(release, rejection) => {
            let because = because(view, current, release, rejection);
            match found.release {
                Some(release) => format!("{} is the highest release left: {because}", release.version()),
                None => format!("no release is left: {because}"),
            }
        }
        Why::Passed(release, pass) => passed(view, current, release, *pass),
        Why::Pinned(pin, block) => pinned(view, *pin, block.as_ref()),
        Why::Barrier { barrier, before, blocked } => {
            let must = format!("{} must be installed before {}", barrier.version(), before.version());
            match blocked {
                None => must,
                Some(rejection) => format!("{must}, but {}", because(view, current, barrier, rejection)),
            }
        }
    }
}

/// That no release is published, or that none fits.
pub(super) fn nothing_fits(view: &View<'_>) -> String {
    let product = &view.product.product().name;
    let published = |release: &Release| release.published_at.is_some_and(|at| at <= view.now);
    match view.platform {
        Some(platform) if view.product.releases().iter().any(|release| published(release)) => {
            format!("no published release of {product} is for {platform}")
        }
        _ => format!("no release of {product} is published"),
    }
}

/// What is in a release's way.
pub(super) fn because(
    view: &View<'_>,
    current: Option<&Version>,
    release: &Release,
    rejection: &Rejection<'_>,
) -> String {
    let version = release.version();
    let group = view.group.name();
    match rejection {
        Rejection::Withdrawn => match &release.withdrawn {
            Some((_, reason)) => format!("{version} was withdrawn ({reason})"),
            None => format!("{version} was withdrawn"),
        },
        Rejection::Held(hold) => held(version, hold),
        Rejection::Kept if view.keep == 1 => {
            format!("{version} is the newest, and group {group} stays one behind (N-1)")
        }
        Rejection::Kept => {
            format!("{version} is among the {0} newest, which group {group} stays behind (N-{0})", view.keep)
        }
        Rejection::Deferred(until) => {
            format!("{version} is deferred until {until} ({} after publication)", view.defer)
        }
        Rejection::Halted(rollout) => halted(version, rollout, view.now),
        Rejection::Frozen(freeze) => {
            let product = &view.product.product().name;
            format!("{product} is frozen ({}), and {version} had not completed its rollout", freeze.reason)
        }
        Rejection::GoneBack(rollback) => format!("{version} is gone back from by rollback {}", rollback.id),
        Rejection::RollbackWaits(rollback, until) => {
            let until = from(*until);
            format!("the way back to {version} (rollback {}) is not open to this device yet{until}", rollback.id)
        }
        Rejection::NotAtTick(until) => {
            let until = from(*until);
            format!(
                "{version} was not eligible at the last tick of group {group}'s cadence, {}{until}",
                view.pace.chosen_at
            )
        }
        Rejection::Waiting(rollout, until) => waiting(view, version, rollout, *until),
        Rejection::Closed(until) => {
            let until = from(*until);
            format!("{version} waits for the next maintenance window of group {group}{until}")
        }
        Rejection::Rated(until) => {
            let rate = view.pace.rate.map(ToString::to_string).unwrap_or_default();
            format!("{version} waits until {until}: group {group} changes {rate}")
        }
        Rejection::Absent => format!("{version} is not at this site yet: it comes with a later bundle"),
        Rejection::BelowCurrent => match current {
            Some(current) => format!("{version} is below the device's {current}"),
            None => format!("{version} is below what the device has"),
        },
    }
}

/// How a release passed that the ordinary steps would not have let pass.
fn passed(view: &View<'_>, current: Option<&Version>, release: &Release, pass: Pass<'_>) -> String {
    let version = release.version();
    match pass {
        Pass::Plain => format!("{version} is the highest release for group {}", view.group.name()),
        Pass::Expedited(rollout) => format!("{version} is expedited (rollout {})", rollout.id),
        Pass::GoneBackTo(rollback) => {
            let had = current.map_or_else(String::new, |current| format!(" from {current}"));
            format!("rollback {} goes back{had} to {version}", rollback.id)
        }
        Pass::Stale => {
            format!(
                "{version} is baked for longer than group {} may stay stale, so nothing holds it back",
                view.group.name()
            )
        }
    }
}

fn halted(version: &Version, rollout: &Rollout, now: Timestamp) -> String {
    let mut steps = rollout.steps().iter().rev().filter(|step| step.at <= now);
    let why = steps.find_map(|step| match &step.change {
        RolloutChange::Halted { reason, .. } => Some(format!("{version} is halted: {reason} (rollout {})", rollout.id)),
        RolloutChange::RolledBack { by } => Some(format!("{version} is gone back from by rollback {by}")),
        _ => None,
    });
    why.unwrap_or_else(|| format!("{version} is halted (rollout {})", rollout.id))
}

fn waiting(view: &View<'_>, version: &Version, rollout: &Rollout, until: Option<Timestamp>) -> String {
    let (ring, id) = (view.ring, rollout.id);
    let Some(index) = rollout.ring_index(ring) else {
        return format!("{version} has not completed rollout {id}, whose plan has no ring {ring}");
    };
    match Exposure::new(view.product, rollout, index).wave(view.now) {
        None => format!("{version} has not reached ring {ring} yet (rollout {id})"),
        Some((wave, _)) => {
            let share = rollout.plan.rings[index].waves[wave].share;
            let until = from(until);
            format!("{version} is open to {share} of ring {ring}, and this device comes later{until} (rollout {id})")
        }
    }
}

/// From when on something is open, if that is known.
fn from(until: Option<Timestamp>) -> String {
    until.map_or_else(String::new, |until| format!(" (from {until})"))
}

fn held(version: &Version, hold: &Hold) -> String {
    let whom = match &hold.scope {
        HoldScope::Everyone => "everyone".into(),
        HoldScope::Group(group) => format!("group {group}"),
        HoldScope::Ring(ring) => format!("ring {ring}"),
        HoldScope::Devices(_) => "devices such as this one".into(),
    };
    let until = hold.expires_at.map(|end| format!(" until {end}")).unwrap_or_default();
    match &hold.version {
        Some(_) => format!("{version} is held for {whom}{until} ({})", hold.reason),
        None => format!("every release is held for {whom}{until} ({})", hold.reason),
    }
}

fn pinned(view: &View<'_>, pin: Pinned<'_>, block: Option<&PinBlock<'_>>) -> String {
    let group = view.group.name();
    let version = pin.version();
    let kept = match pin {
        Pinned::Admin(pin) => format!("group {group} is pinned to {version} ({})", pin.reason),
        Pinned::Policy(_) => format!("group {group} is pinned to {version} by the policy"),
    };
    match block {
        None => kept,
        Some(PinBlock::Unknown) => format!("{kept}, but no published release of that version fits"),
        Some(PinBlock::Rejected(rejection)) => match view.product.by_version(version) {
            Some(release) => format!("{kept}, but {}", because(view, None, release, rejection)),
            None => kept,
        },
    }
}
