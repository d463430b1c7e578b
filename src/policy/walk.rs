//! Going down a product's releases, highest sequence first, to the one that no rule takes away.

use std::sync::Arc;

use jiff::Timestamp;

use super::Rule;
use super::view::{Pinned, Rejection, View};
use crate::model::{Release, Version};

/// Is told of every release that is taken away on the way.
pub(super) trait Recorder<'a> {
    fn rejected(&mut self, release: &'a Release, rejection: Rejection<'a>);
}

/// Keeps nothing.
impl<'a> Recorder<'a> for () {
    fn rejected(&mut self, _: &'a Release, _: Rejection<'a>) {}
}

/// Keeps everything, for a trace.
impl<'a> Recorder<'a> for Vec<(&'a Release, Rejection<'a>)> {
    fn rejected(&mut self, release: &'a Release, rejection: Rejection<'a>) {
        self.push((release, rejection));
    }
}

/// Where a walk ended.
pub(super) struct Found<'a> {
    pub(super) release: Option<&'a Arc<Release>>,
    pub(super) rule: Rule,
    pub(super) why: Why<'a>,
    /// The first moment at which a release that was taken away may come back.
    pub(super) valid_until: Option<Timestamp>,
}

/// What the words of a reason are made from.
pub(super) enum Why<'a> {
    /// Nothing was taken away, or there was nothing.
    Plain,
    /// The first release that the deciding rule took away.
    Rejected(&'a Release, Rejection<'a>),
    /// The pin, and what is in its way.
    Pinned(Pinned<'a>, Option<PinBlock<'a>>),
    /// The barrier before a release, and what is in the barrier's way.
    Barrier { barrier: &'a Release, before: &'a Release, blocked: Option<Rejection<'a>> },
}

/// Why a pin serves nothing.
pub(super) enum PinBlock<'a> {
    /// There is no published release of that version that fits.
    Unknown,
    Rejected(Rejection<'a>),
}

impl Rejection<'_> {
    pub(super) fn rule(&self) -> Rule {
        match self {
            Self::Withdrawn => Rule::Withdrawn,
            Self::Held(_) => Rule::Hold,
            Self::Kept => Rule::Keep,
            Self::Deferred(_) => Rule::Deferral,
            Self::BelowCurrent => Rule::NeverBelow,
        }
    }

    /// When it ends by itself.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        match self {
            Self::Held(hold) => hold.ends_at(),
            Self::Deferred(until) => Some(*until),
            Self::Withdrawn | Self::Kept | Self::BelowCurrent => None,
        }
    }
}

/// Steps 1 to 12 for a device that has `current`.
pub(super) fn walk<'a>(view: &View<'a>, current: Option<&Version>, recorder: &mut impl Recorder<'a>) -> Found<'a> {
    // A hold on everything comes before a pin; when it ends, the pin decides.
    let found = match (view.pin, view.freeze) {
        (Some(pin), None) => pinned(view, pin, current, recorder),
        (Some(_), Some(freeze)) => {
            let found = highest(view, current, recorder);
            Found { valid_until: earlier(found.valid_until, freeze.ends_at()), ..found }
        }
        (None, _) => highest(view, current, recorder),
    };
    reroute(view, current, found)
}

fn pinned<'a>(
    view: &View<'a>,
    pin: Pinned<'a>,
    current: Option<&Version>,
    recorder: &mut impl Recorder<'a>,
) -> Found<'a> {
    let found = |release, rule, why, valid_until| Found { release, rule, why, valid_until };
    let known = view.product.by_version(pin.version()).filter(|release| view.is_candidate(release));
    let Some(release) = known else {
        return found(None, Rule::Pin, Why::Pinned(pin, Some(PinBlock::Unknown)), None);
    };
    if let Err(rejection) = view.gate(release) {
        recorder.rejected(release, rejection);
        let why = Why::Pinned(pin, Some(PinBlock::Rejected(rejection)));
        return found(None, Rule::Pin, why, rejection.ends_at());
    }
    if current.is_some_and(|current| release.version() < current) {
        recorder.rejected(release, Rejection::BelowCurrent);
        return found(None, Rule::NeverBelow, Why::Rejected(release, Rejection::BelowCurrent), None);
    }
    found(Some(release), Rule::Pin, Why::Pinned(pin, None), None)
}

fn highest<'a>(view: &View<'a>, current: Option<&Version>, recorder: &mut impl Recorder<'a>) -> Found<'a> {
    let mut found = Found { release: None, rule: Rule::Fit, why: Why::Plain, valid_until: None };
    let mut waiting = view.keep;
    for release in view.product.releases().iter().rev() {
        if !view.is_candidate(release) {
            continue;
        }
        let rejection = match judge(view, release, &mut waiting, current) {
            Ok(()) => {
                if found.rule == Rule::Fit {
                    found.rule = Rule::Highest;
                }
                found.release = Some(release);
                return found;
            }
            Err(rejection) => rejection,
        };
        recorder.rejected(release, rejection);
        found.valid_until = earlier(found.valid_until, rejection.ends_at());
        // The last step that took the top away decides; of several releases it took, the highest is named.
        if rejection.rule() > found.rule {
            found.rule = rejection.rule();
            found.why = Why::Rejected(release, rejection);
        }
        if nothing_can_follow(view, release, found.rule, current) {
            return found;
        }
    }
    found
}

/// Steps 2, 4, 8 and 12 for one candidate. `waiting` counts down the releases that the device stays behind.
fn judge<'a>(
    view: &View<'a>,
    release: &Release,
    waiting: &mut u32,
    current: Option<&Version>,
) -> Result<(), Rejection<'a>> {
    view.gate(release)?;
    if *waiting > 0 {
        *waiting -= 1;
        return Err(Rejection::Kept);
    }
    if let Some(until) = view.deferred_until(release) {
        return Err(Rejection::Deferred(until));
    }
    match current {
        Some(current) if release.version() < current => Err(Rejection::BelowCurrent),
        _ => Ok(()),
    }
}

/// Whether the outcome is certain: all else is below the device, or everything is held.
fn nothing_can_follow(view: &View<'_>, release: &Release, rule: Rule, current: Option<&Version>) -> bool {
    match rule {
        Rule::NeverBelow => view
            .product
            .highest_version_up_to(release.sequence - 1)
            .zip(current)
            .is_none_or(|(highest, current)| highest < current),
        Rule::Hold => view.freeze.is_some(),
        _ => false,
    }
}

/// Step 2: a device below a barrier gets the lowest one instead of anything above it.
fn reroute<'a>(view: &View<'a>, current: Option<&Version>, found: Found<'a>) -> Found<'a> {
    let (Some(current), Some(release)) = (current, found.release) else { return found };
    let Some(barrier) = view.barrier_between(current, release.version()) else { return found };
    let blocked = barrier_block(view, barrier, release);
    let why = Why::Barrier { barrier, before: release, blocked };
    let back = blocked.and_then(|rejection| rejection.ends_at());
    let valid_until = earlier(found.valid_until, back);
    let release = if blocked.is_none() { view.product.by_sequence(barrier.sequence) } else { None };
    Found { release, rule: Rule::Barrier, why, valid_until }
}

/// What is in the way of a barrier before `release`. On the way to a pin only steps 1 to 4 count for it, as for the
/// pin itself.
fn barrier_block<'a>(view: &View<'a>, barrier: &Release, release: &Release) -> Option<Rejection<'a>> {
    if let Err(rejection) = view.gate(barrier) {
        return Some(rejection);
    }
    if view.pin.is_some() {
        return None;
    }
    // A later sequence than the release that was found: the walk has passed it, so it is deferred or kept.
    let kept = (barrier.sequence > release.sequence).then_some(Rejection::Kept);
    view.deferred_until(barrier).map(Rejection::Deferred).or(kept)
}

/// The earlier of two moments that may not come.
pub(super) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}
