//! Which share of a ring a rollout admits at a moment, and when it admits a bucket.

use jiff::{SignedDuration, Timestamp};

use crate::model::{BasisPoints, Freeze, ProductReleases, Rollout};

/// Whether a bucket is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Admission {
    /// It is.
    Admitted,
    /// Not before this moment; `None`: not before something happens.
    NotBefore(Option<Timestamp>),
}

/// What keeps a product's rollouts from moving: their own stops, and freezes of the product.
#[derive(Clone, Copy)]
pub(in crate::policy) struct Exposure<'a> {
    rollout: &'a Rollout,
    freezes: &'a [std::sync::Arc<Freeze>],
    index: usize,
}

impl<'a> Exposure<'a> {
    /// The rollout's way through the ring at this place of its plan.
    pub(in crate::policy) fn new(product: &'a ProductReleases, rollout: &'a Rollout, index: usize) -> Self {
        Self { rollout, freezes: product.freezes(), index }
    }

    /// The last wave that is open at `now`: its place and when it opened.
    pub(in crate::policy) fn wave(&self, now: Timestamp) -> Option<(usize, Timestamp)> {
        let opened = &self.rollout.rings()[self.index].opened;
        let count = opened.partition_point(|opening| opening.at <= now);
        let last = count.checked_sub(1)?;
        Some((last, opened[last].at))
    }

    /// The share of the ring that is admitted at `now`. It never falls.
    pub(in crate::policy) fn share(&self, now: Timestamp) -> BasisPoints {
        if self.rollout.completed_at().is_some_and(|at| at <= now) {
            return BasisPoints::ALL;
        }
        let Some((place, opened_at)) = self.wave(now) else { return BasisPoints::NONE };
        let (start, end) = self.bounds(place);
        let over = self.rollout.plan.rings[self.index].waves[place].over.as_millis();
        if over == 0 {
            return BasisPoints::new(end);
        }
        let elapsed = self.active_ms(opened_at, now).min(over);
        let grown = i64::from(end - start) * elapsed / over;
        BasisPoints::new(start + u16::try_from(grown).unwrap_or(0))
    }

    /// Whether a bucket is admitted at `now`.
    pub(in crate::policy) fn admits(&self, bucket: u16, now: Timestamp) -> Admission {
        if self.share(now).get() > bucket {
            return Admission::Admitted;
        }
        Admission::NotBefore(self.admitted_from(bucket, now))
    }

    /// As [`Exposure::admits`] where nobody is admitted: the moment at which the bucket could be, for the first one.
    pub(in crate::policy) fn admitted_first(&self, now: Timestamp) -> Option<Timestamp> {
        self.admitted_from(0, now)
    }

    /// The moment at which the wave that is growing now reaches the bucket, if nothing stops it.
    fn admitted_from(&self, bucket: u16, now: Timestamp) -> Option<Timestamp> {
        let (place, opened_at) = self.wave(now)?;
        let (start, end) = self.bounds(place);
        if bucket >= end || bucket < start || self.is_stopped(now) {
            return None;
        }
        let over = self.rollout.plan.rings[self.index].waves[place].over.as_millis();
        let needed = (i64::from(bucket - start + 1) * over + i64::from(end - start) - 1) / i64::from(end - start);
        let missing = needed - self.active_ms(opened_at, now);
        whole_ms(now).checked_add(SignedDuration::from_millis(missing.max(1))).ok()
    }

    /// When the wave at this place has baked, if nothing stops it: the end of its growth and of its bake time.
    pub(in crate::policy) fn baked_at(&self, place: usize, now: Timestamp) -> Option<Timestamp> {
        let opened_at = self.rollout.rings()[self.index].opened.get(place)?.at;
        let wave = &self.rollout.plan.rings[self.index].waves[place];
        let needed = wave.over.as_millis().saturating_add(wave.bake.as_millis());
        let missing = needed - self.active_ms(opened_at, now);
        whole_ms(now).checked_add(SignedDuration::from_millis(missing)).ok()
    }

    /// Whether it stands still at `now`.
    pub(in crate::policy) fn is_stopped(&self, now: Timestamp) -> bool {
        self.rollout.stop_at(now).is_some()
            || self.rollout.ended().is_some_and(|(at, _)| at <= now)
            || self.freezes.iter().any(|freeze| freeze.is_active_at(now))
    }

    /// Milliseconds from `from` to `to` in which nothing stopped it.
    pub(in crate::policy) fn active_ms(&self, from: Timestamp, to: Timestamp) -> i64 {
        let to = self.rollout.ended().map_or(to, |(at, _)| to.min(at));
        if to <= from {
            return 0;
        }
        let stops = self.rollout.stops().iter().map(|stop| (stop.from, stop.until));
        let freezes = self.freezes.iter().map(|freeze| (freeze.frozen.at, freeze.reset.as_ref().map(|(at, _)| at.at)));
        let clip = |(start, end): (Timestamp, Option<Timestamp>)| (start.max(from), end.unwrap_or(to).min(to));
        let mut still: Vec<_> = stops.chain(freezes).map(clip).filter(|(start, end)| start < end).collect();
        still.sort_unstable();
        let mut active = to.as_millisecond() - from.as_millisecond();
        let mut counted_to = from;
        for (start, end) in still {
            let start = start.max(counted_to);
            if start < end {
                active -= end.as_millisecond() - start.as_millisecond();
                counted_to = end;
            }
        }
        active
    }

    /// The shares before and at the end of a wave.
    fn bounds(&self, place: usize) -> (u16, u16) {
        let waves = &self.rollout.plan.rings[self.index].waves;
        let start = place.checked_sub(1).map_or(0, |before| waves[before].share.get());
        (start, waves[place].share.get().max(start))
    }
}

/// The millisecond that `now` lies in: shares grow by whole ones.
fn whole_ms(now: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// The share of the ring at this place of the rollout's plan that is admitted at `now`.
pub fn share_of(product: &ProductReleases, rollout: &Rollout, index: usize, now: Timestamp) -> BasisPoints {
    Exposure::new(product, rollout, index).share(now)
}
