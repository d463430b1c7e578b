//! Reasons in words.

use super::view::{Pinned, Rejection, View};
use super::walk::{Found, PinBlock, Why};
use crate::model::{Hold, HoldScope, Release, Version};

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
        Rejection::BelowCurrent => match current {
            Some(current) => format!("{version} is below the device's {current}"),
            None => format!("{version} is below what the device has"),
        },
    }
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
