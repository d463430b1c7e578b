//! What one release must pass to be seen by one device: steps 2 to 12, in their order.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Rule;
use super::pace::{rated_after_ms, rated_share};
use super::rollout::{Admission, Exposure};
use super::view::View;
use super::walk::earlier;
use crate::model::{End, Freeze, Hold, Release, ReleaseState, Rollout, RolloutKind, Version};

/// Why a release is not for this device now.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rejection<'a> {
    Withdrawn,
    Halted(&'a Rollout),
    Frozen(&'a Freeze),
    Held(&'a Hold),
    /// It is gone back from.
    GoneBack(&'a Rollout),
    /// The way down to it is not open to this device yet.
    RollbackWaits(&'a Rollout, Option<Timestamp>),
    Kept,
    Deferred(Timestamp),
    /// It was not eligible at the last tick; the next one.
    NotAtTick(Option<Timestamp>),
    /// Its ring or wave is not open to this device yet.
    Waiting(&'a Rollout, Option<Timestamp>),
    /// Outside of the maintenance windows; when the next one opens.
    Closed(Option<Timestamp>),
    Rated(Timestamp),
    /// Its bytes are not at this site.
    Absent,
    BelowCurrent,
}

/// How a release passed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pass<'a> {
    /// On the ordinary way.
    Plain,
    /// An emergency took it past steps 8 to 11.
    Expedited(&'a Rollout),
    /// A rollback took it below what the device has.
    GoneBackTo(&'a Rollout),
    /// It is baked for so long that steps 8 to 10 no longer hold it back.
    Stale,
}

impl Rejection<'_> {
    pub(super) fn rule(&self) -> Rule {
        match self {
            Self::Withdrawn => Rule::Withdrawn,
            Self::Halted(_) => Rule::Halt,
            Self::Frozen(_) => Rule::Freeze,
            Self::Held(_) => Rule::Hold,
            Self::GoneBack(_) | Self::RollbackWaits(..) => Rule::Rollback,
            Self::Kept => Rule::Keep,
            Self::Deferred(_) => Rule::Deferral,
            Self::NotAtTick(_) => Rule::Cadence,
            Self::Waiting(..) => Rule::Ring,
            Self::Closed(_) => Rule::Window,
            Self::Rated(_) => Rule::Rate,
            Self::Absent => Rule::Absent,
            Self::BelowCurrent => Rule::NeverBelow,
        }
    }

    /// When it ends by itself.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        match self {
            Self::Held(hold) => hold.ends_at(),
            Self::Deferred(until) | Self::Rated(until) => Some(*until),
            Self::NotAtTick(until) | Self::Waiting(_, until) | Self::Closed(until) | Self::RollbackWaits(_, until) => {
                *until
            }
            Self::Withdrawn
            | Self::Halted(_)
            | Self::Frozen(_)
            | Self::GoneBack(_)
            | Self::Kept
            | Self::Absent
            | Self::BelowCurrent => None,
        }
    }
}

impl<'a> View<'a> {
    /// Steps 2 to 4 for one candidate.
    pub(super) fn gate(&self, release: &Release) -> Result<(), Rejection<'a>> {
        if release.state_at(self.now) == ReleaseState::Withdrawn {
            return Err(Rejection::Withdrawn);
        }
        if let Some(rollout) = self.halted(release) {
            return Err(Rejection::Halted(rollout));
        }
        if let Some(freeze) = self.frozen.filter(|freeze| !self.was_baked(release, freeze.frozen.at)) {
            return Err(Rejection::Frozen(freeze));
        }
        if let Some(hold) = self.whole_hold {
            return Err(Rejection::Held(hold));
        }
        self.held(release).map_or(Ok(()), |hold| Err(Rejection::Held(hold)))
    }

    /// Step 12, first half: whether its bytes are at this site.
    pub(super) fn is_absent(&self, release: &Release) -> bool {
        self.product.is_absent(&release.id)
    }

    /// As [`View::gate`], for what comes straight to a release: a pin, a barrier.
    pub(super) fn gate_here(&self, release: &Release) -> Result<(), Rejection<'a>> {
        self.gate(release)?;
        if self.is_absent(release) { Err(Rejection::Absent) } else { Ok(()) }
    }

    /// The rollout of this release that is halted or gone back from: the last of its ordinary ones, or an emergency.
    fn halted(&self, release: &Release) -> Option<&'a Rollout> {
        let mut is_last = true;
        for rollout in self.rollouts_of(release) {
            let counts = match rollout.kind {
                RolloutKind::Release => std::mem::replace(&mut is_last, false),
                RolloutKind::Expedite { .. } => rollout.ended().is_none_or(|(at, _)| at > self.now),
                RolloutKind::Rollback { .. } => false,
            };
            let is_halted = rollout.stop_at(self.now).is_some_and(|stop| stop.is_halt);
            let is_back = matches!(rollout.ended(), Some((at, End::RolledBack(_))) if at <= self.now);
            if counts && (is_halted || is_back) {
                return Some(rollout);
            }
        }
        None
    }

    /// The rollouts of a release that were planned by now, newest first.
    fn rollouts_of(&self, release: &Release) -> impl Iterator<Item = &'a Rollout> + use<'a> {
        let now = self.now;
        let rollouts = self.product.rollouts_of(release.sequence).rev();
        rollouts.map(Arc::as_ref).filter(move |rollout| rollout.planned.at <= now)
    }

    /// Whether everyone was allowed to have the release at `at`: it completed its rollout, or never had one.
    fn was_baked(&self, release: &Release, at: Timestamp) -> bool {
        self.baked_at(release).is_some_and(|baked| baked <= at)
    }

    /// Since when everyone may have the release, as far as rollouts go.
    fn baked_at(&self, release: &Release) -> Option<Timestamp> {
        let mut ordinary = self.rollouts_of(release).filter(|rollout| rollout.kind == RolloutKind::Release);
        match ordinary.next() {
            Some(rollout) => rollout.completed_at().filter(|at| *at <= self.now),
            None => release.published_at,
        }
    }

    /// Step 6: whether the release lies between what a rollback goes back to and what it goes back from.
    pub(super) fn gone_back(&self, release: &Release) -> Option<&'a Rollout> {
        self.rollbacks.iter().copied().find(|rollback| {
            let is_bad = |from: u64| rollback.sequence < release.sequence && release.sequence <= from;
            matches!(rollback.kind, RolloutKind::Rollback { from, .. } if is_bad(from))
        })
    }

    /// Step 6: the rollback that leads a device with `current` down to this release, and whether it is open to it.
    pub(super) fn way_down(&self, release: &Release, current: &Version) -> Option<Result<&'a Rollout, Rejection<'a>>> {
        // A release that was added later was not known then.
        let has = self.product.by_version(current).filter(|release| release.added.at <= self.now)?.sequence;
        let leads = |rollback: &&'a Rollout| match rollback.kind {
            RolloutKind::Rollback { from, .. } => {
                rollback.sequence == release.sequence && release.sequence < has && has <= from
            }
            RolloutKind::Release | RolloutKind::Expedite { .. } => false,
        };
        let rollback = self.rollbacks.iter().copied().find(leads)?;
        let exposure = Exposure::new(self.product, rollback, 0);
        Some(match exposure.admits(self.bucket(rollback), self.now) {
            Admission::Admitted => Ok(rollback),
            Admission::NotBefore(at) => Err(Rejection::RollbackWaits(rollback, at)),
        })
    }

    /// Step 7: the emergency that admits this device, or when it will.
    pub(super) fn expedited(&self, release: &Release) -> Option<Result<&'a Rollout, Option<Timestamp>>> {
        let mut next = None;
        for rollout in self.rollouts_of(release) {
            let RolloutKind::Expedite { expires_at, .. } = rollout.kind else { continue };
            let is_over = expires_at <= self.now || rollout.ended().is_some_and(|(at, _)| at <= self.now);
            let Some(index) = rollout.ring_index(self.ring).filter(|_| !is_over) else { continue };
            match Exposure::new(self.product, rollout, index).admits(self.bucket(rollout), self.now) {
                Admission::Admitted => return Some(Ok(rollout)),
                Admission::NotBefore(at) => next = earlier(next, at),
            }
        }
        next.map(|at| Err(Some(at)))
    }

    /// Steps 8 to 11 for one candidate. `waiting` counts down the releases that the device stays behind.
    pub(super) fn pace(
        &self,
        release: &Release,
        waiting: &mut u32,
        current: Option<&Version>,
    ) -> Result<(), Rejection<'a>> {
        let chosen_at = self.pace.chosen_at;
        let published_at = release.published_at.unwrap_or(Timestamp::MAX);
        if published_at <= chosen_at {
            if *waiting > 0 {
                *waiting -= 1;
                return Err(Rejection::Kept);
            }
        } else {
            let deferred_to = self.defer.ends_at(published_at);
            let is_deferred = deferred_to > self.now;
            let at_tick = Rejection::NotAtTick(self.pace.next_tick);
            return Err(if is_deferred { Rejection::Deferred(deferred_to) } else { at_tick });
        }
        self.pace_but_keep(release, current)
    }

    /// As [`View::pace`], for a release that is not counted.
    pub(super) fn pace_but_keep(&self, release: &Release, current: Option<&Version>) -> Result<(), Rejection<'a>> {
        let chosen_at = self.pace.chosen_at;
        let deferred_to = self.defer.ends_at(release.published_at.unwrap_or(Timestamp::MAX));
        if deferred_to > self.now {
            return Err(Rejection::Deferred(deferred_to));
        }
        let admission = self.admission(release, self.now);
        if let Err((rollout, until)) = admission {
            return Err(Rejection::Waiting(rollout, until));
        }
        if deferred_to > chosen_at || (chosen_at < self.now && self.admission(release, chosen_at).is_err()) {
            return Err(Rejection::NotAtTick(self.pace.next_tick));
        }
        let is_kept = self.keeps_current && current.is_some_and(|current| current == release.version());
        if !self.delays || is_kept || self.shown.contains(&release.version()) {
            return Ok(());
        }
        if let Some(opens_at) = self.pace.closed {
            return Err(Rejection::Closed(opens_at));
        }
        self.rated(release)
    }

    /// Step 10 as it was at `at`.
    fn admission(&self, release: &Release, at: Timestamp) -> Result<(), (&'a Rollout, Option<Timestamp>)> {
        let mut held_by = None;
        for rollout in self.rollouts_of(release).filter(|rollout| rollout.planned.at <= at) {
            if rollout.kind != RolloutKind::Release {
                continue;
            }
            let admission = match rollout.ring_index(self.ring) {
                _ if rollout.completed_at().is_some_and(|done| done <= at) => return Ok(()),
                Some(index) => {
                    let exposure = Exposure::new(self.product, rollout, index);
                    match exposure.share(at).get() {
                        0 => Admission::NotBefore(exposure.admitted_first(at)),
                        10_000 => Admission::Admitted,
                        _ => exposure.admits(self.bucket(rollout), at),
                    }
                }
                // A ring that the plan did not have comes last.
                None => Admission::NotBefore(None),
            };
            match admission {
                Admission::Admitted => return Ok(()),
                // The newest is named; the first to open decides.
                Admission::NotBefore(until) => {
                    let (named, known) = held_by.unwrap_or((rollout, None));
                    held_by = Some((named, earlier(known, until)));
                }
            }
        }
        held_by.map_or(Ok(()), Err)
    }

    /// Step 11, second half: whether the group's rate lets this device change.
    fn rated(&self, release: &Release) -> Result<(), Rejection<'a>> {
        let Some(rate) = self.pace.rate else { return Ok(()) };
        let mut ordinary = self.rollouts_of(release).filter(|rollout| rollout.kind == RolloutKind::Release);
        let Some(rollout) = ordinary.next() else { return Ok(()) };
        let Some(index) = rollout.ring_index(self.ring) else { return Ok(()) };
        let Some(opening) = rollout.rings()[index].opened.first() else { return Ok(()) };
        let from = if self.pace.chosen_at < self.now { opening.at.max(self.pace.chosen_at) } else { opening.at };
        let exposure = Exposure::new(self.product, rollout, index);
        let active_ms = exposure.active_ms(from, self.now);
        let bucket = self.bucket(rollout);
        if rated_share(rate, self.group, rollout, index, active_ms).get() > bucket {
            return Ok(());
        }
        let missing = rated_after_ms(rate, self.group, rollout, index, bucket) - active_ms;
        let now = Timestamp::from_millisecond(self.now.as_millisecond()).unwrap_or(self.now);
        let until = now.checked_add(SignedDuration::from_millis(missing.max(1))).unwrap_or(Timestamp::MAX);
        Err(Rejection::Rated(until))
    }

    /// Staleness: from when on steps 8 to 10 no longer hold this release back.
    pub(super) fn relaxed_from(&self, release: &Release) -> Option<Timestamp> {
        let staleness = self.pace.staleness.filter(|staleness| staleness.relaxes)?;
        Some(staleness.after.ends_at(self.baked_at(release)?))
    }
}
