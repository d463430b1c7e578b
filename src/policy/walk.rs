//! Going down a product's releases, highest sequence first, to the one that no rule takes away.

use std::sync::Arc;

use jiff::Timestamp;

use super::Rule;
use super::steps::{Pass, Rejection};
use super::view::{Pinned, View};
use crate::model::{Release, Rollout, RolloutKind, Version};

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
    /// How the release passed where that is not the ordinary way.
    Passed(&'a Release, Pass<'a>),
    /// The barrier before a release, and what is in the barrier's way.
    Barrier { barrier: &'a Release, before: &'a Release, blocked: Option<Rejection<'a>> },
}

/// Why a pin serves nothing.
pub(super) enum PinBlock<'a> {
    /// There is no published release of that version that fits.
    Unknown,
    Rejected(Rejection<'a>),
}

/// Steps 1 to 12 for a device that has `current`.
pub(super) fn walk<'a>(view: &View<'a>, current: Option<&Version>, recorder: &mut impl Recorder<'a>) -> Found<'a> {
    let found = straight(view, current, recorder);
    reroute(view, current, found)
}

/// As [`walk`], barriers on the way left out.
pub(super) fn straight<'a>(view: &View<'a>, current: Option<&Version>, recorder: &mut impl Recorder<'a>) -> Found<'a> {
    // A hold on everything comes before a pin; when it ends, the pin decides.
    let over_pin = if view.whole_hold.is_none() { expedited_over_pin(view, current) } else { None };
    let found = match (view.pin, view.whole_hold, over_pin) {
        (Some(_), None, Some(found)) => found,
        (Some(pin), None, None) => pinned(view, pin, current, recorder),
        (Some(_), Some(freeze), _) => {
            let found = highest(view, current, recorder);
            Found { valid_until: earlier(found.valid_until, freeze.ends_at()), ..found }
        }
        (None, ..) => highest(view, current, recorder),
    };
    // At the next tick releases are counted anew, whatever took them away.
    let calendar = earlier(view.pace.closes_at, view.pace.next_tick);
    Found { valid_until: earlier(found.valid_until, calendar), ..found }
}

/// Step 7 before step 5: an emergency whose approval names the pinned group.
fn expedited_over_pin<'a>(view: &View<'a>, current: Option<&Version>) -> Option<Found<'a>> {
    view.pin?;
    let rollouts = view.product.rollouts().iter().rev();
    let names_group = |rollout: &&Arc<Rollout>| match &rollout.kind {
        RolloutKind::Expedite { pinned_groups, .. } => pinned_groups.contains(view.group.name()),
        RolloutKind::Release | RolloutKind::Rollback { .. } => false,
    };
    rollouts.filter(names_group).find_map(|rollout| {
        let release = view.product.by_sequence(rollout.sequence)?;
        let is_open =
            view.is_candidate(release) && view.gate_here(release).is_ok() && view.gone_back(release).is_none();
        if !is_open || current.is_some_and(|current| release.version() < current) {
            return None;
        }
        let by = view.expedited(release)?.ok()?;
        let valid_until = expiry(by);
        let why = Why::Passed(release, Pass::Expedited(by));
        Some(Found { release: Some(release), rule: Rule::Expedite, why, valid_until })
    })
}

/// When an emergency is over by itself.
fn expiry(rollout: &Rollout) -> Option<jiff::Timestamp> {
    match rollout.kind {
        RolloutKind::Expedite { expires_at, .. } => Some(expires_at),
        RolloutKind::Release | RolloutKind::Rollback { .. } => None,
    }
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
    if let Err(rejection) = view.gate_here(release) {
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
        let judged = judge(view, release, &mut waiting, current);
        found.valid_until = earlier(found.valid_until, judged.valid_until);
        let rejection = match judged.outcome {
            Ok(pass) => {
                (found.rule, found.why) = passed(found.rule, found.why, release, pass);
                found.release = Some(release);
                return found;
            }
            Err(rejection) => rejection,
        };
        recorder.rejected(release, rejection);
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

/// The rule that decided when this release came out on top.
fn passed<'a>(rule: Rule, why: Why<'a>, release: &'a Release, pass: Pass<'a>) -> (Rule, Why<'a>) {
    match pass {
        Pass::Plain if rule == Rule::Fit => (Rule::Highest, Why::Plain),
        Pass::Plain => (rule, why),
        Pass::Expedited(_) => (Rule::Expedite, Why::Passed(release, pass)),
        Pass::GoneBackTo(_) => (Rule::Rollback, Why::Passed(release, pass)),
        Pass::Stale => (Rule::Staleness, Why::Passed(release, pass)),
    }
}

/// What the steps say of one release.
struct Judged<'a> {
    outcome: Result<Pass<'a>, Rejection<'a>>,
    /// When they may say something else.
    valid_until: Option<Timestamp>,
}

impl<'a> Judged<'a> {
    fn pass(pass: Pass<'a>, valid_until: Option<Timestamp>) -> Self {
        Self { outcome: Ok(pass), valid_until }
    }

    fn reject(rejection: Rejection<'a>) -> Self {
        Self { outcome: Err(rejection), valid_until: rejection.ends_at() }
    }
}

/// Steps 2 to 12 for one candidate. `waiting` counts down the releases that the device stays behind.
fn judge<'a>(view: &View<'a>, release: &Release, waiting: &mut u32, current: Option<&Version>) -> Judged<'a> {
    if let Err(rejection) = view.gate(release) {
        return Judged::reject(rejection);
    }
    if let Some(rollback) = view.gone_back(release) {
        return Judged::reject(Rejection::GoneBack(rollback));
    }
    let below = current.filter(|current| release.version() < current);
    match below.and_then(|current| view.way_down(release, current)) {
        Some(Ok(_)) if view.is_absent(release) => return Judged::reject(Rejection::Absent),
        Some(Ok(rollback)) => return Judged::pass(Pass::GoneBackTo(rollback), None),
        Some(Err(rejection)) => return Judged::reject(rejection),
        None => {}
    }
    let paced = view.pace(release, waiting, current);
    let judged = match paced {
        Ok(()) => Judged::pass(Pass::Plain, None),
        Err(rejection) => around(view, release, rejection),
    };
    match judged.outcome {
        Ok(_) if view.is_absent(release) => Judged { outcome: Err(Rejection::Absent), ..judged },
        Ok(_) if below.is_some() => Judged { outcome: Err(Rejection::BelowCurrent), ..judged },
        _ => judged,
    }
}

/// What may take a release past steps 8 to 11 that rejected it: an emergency, or staleness.
fn around<'a>(view: &View<'a>, release: &Release, rejection: Rejection<'a>) -> Judged<'a> {
    let back = rejection.ends_at();
    let expedited = view.expedited(release);
    if let Some(Ok(rollout)) = expedited {
        return Judged::pass(Pass::Expedited(rollout), earlier(back, expiry(rollout)));
    }
    let back = earlier(back, expedited.and_then(|open| open.err().flatten()));
    // What only delays, delays the stale ones, too.
    let is_delay = matches!(rejection, Rejection::Closed(_) | Rejection::Rated(_));
    match view.relaxed_from(release).filter(|_| !is_delay) {
        Some(from) if from <= view.now => Judged::pass(Pass::Stale, back),
        from => Judged { outcome: Err(rejection), valid_until: earlier(back, from) },
    }
}

/// Whether the outcome is certain: all else is below the device, or everything is held.
fn nothing_can_follow(view: &View<'_>, release: &Release, rule: Rule, current: Option<&Version>) -> bool {
    match rule {
        // A rollback may lead below.
        Rule::NeverBelow if !view.rollbacks.is_empty() => false,
        Rule::NeverBelow => view
            .product
            .highest_version_up_to(release.sequence - 1)
            .zip(current)
            .is_none_or(|(highest, current)| highest < current),
        Rule::Hold => view.whole_hold.is_some(),
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
    if let Err(rejection) = view.gate_here(barrier) {
        return Some(rejection);
    }
    if view.pin.is_some() {
        return None;
    }
    // A later sequence than the release that was found: the walk has passed it, so it waits or is kept.
    let kept = (barrier.sequence > release.sequence).then_some(Rejection::Kept);
    view.pace_but_keep(barrier, None).err().or(kept)
}

impl<'a> View<'a> {
    /// Whether a barrier would be served on the way to `to`.
    pub(super) fn is_way_to(&self, barrier: &Release, to: &Release) -> bool {
        barrier_block(self, barrier, to).is_none()
    }
}

/// The earlier of two moments that may not come.
pub(super) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}
