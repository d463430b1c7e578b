//! When a cadence ticks: sets of local times searched month by month, and steps of absolute time.
//!
//! A set of local times becomes a set of instants by each time's first occurrence. That mapping never goes backwards,
//! which is what lets the search walk local times in order and stop at the first whose instant fits.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};

use super::cron::CronDays;
use super::parse::place_of;
use super::zone::Zone;

/// How far to look for a day: the 29th of February falls on one given weekday at least once in 40 years.
const MAX_MONTHS: u32 = 12 * 41;

/// Which days of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Days {
    /// Days of the week, Monday the lowest bit.
    Weekly(u8),
    /// One day of the month; months without it have no tick.
    OnDay(u8),
    LastDay,
    /// The nth (from 1) of a weekday; months without a fifth have no tick.
    Nth {
        nth: u8,
        weekday: u8,
    },
    /// The last of a weekday.
    Last {
        weekday: u8,
    },
    /// Every so many days from a first one on.
    Every {
        step_days: u16,
        from: Date,
    },
    Cron(CronDays),
}

impl Days {
    /// The month's days as bits, its first day the lowest.
    fn in_month(&self, first: Date) -> u32 {
        let length = first.days_in_month().unsigned_abs();
        let first_weekday = place_of(first.weekday());
        // Days before the month's first such weekday.
        let lead = |weekday: u8| (weekday + 7 - first_weekday) % 7;
        let bits = match self {
            Self::Weekly(days) => weekly_bits(*days, first_weekday),
            Self::OnDay(day) => 1 << (day - 1),
            Self::LastDay => 1 << (length - 1),
            Self::Nth { nth, weekday } => 1u32.checked_shl(u32::from(lead(*weekday) + 7 * (nth - 1))).unwrap_or(0),
            Self::Last { weekday } => 1 << (lead(*weekday) + (length - 1 - lead(*weekday)) / 7 * 7),
            Self::Every { step_days, from } => every_bits(*step_days, *from, first),
            Self::Cron(days) => days.in_month(first.month(), first_weekday),
        };
        bits & (u32::MAX >> (32 - u32::from(length)))
    }
}

/// The days of 31 that fall on a set of weekdays.
pub(super) fn weekly_bits(days: u8, first_weekday: u8) -> u32 {
    let week = u64::from(days);
    // Five weeks and a bit, turned so that the lowest bit is the month's first day.
    let weeks = (0..6).fold(0u64, |bits, index| bits | week << (7 * index));
    u32::try_from(weeks >> first_weekday & 0x7fff_ffff).unwrap_or(0)
}

fn every_bits(step_days: u16, from: Date, first: Date) -> u32 {
    let step = i64::from(step_days);
    let passed = from.duration_until(first).as_secs() / 86_400;
    let start = if passed <= 0 { -passed } else { (step - passed % step) % step };
    let mut bits = 0;
    let mut day = start;
    while day < 31 {
        bits |= 1 << day;
        day += step;
    }
    bits
}

/// A set of local times: days, and on each of them the same minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalTicks {
    pub(super) days: Days,
    /// Hours of the day as bits, never none.
    pub(super) hours: u32,
    /// Minutes of the hour as bits, never none.
    pub(super) minutes: u64,
    /// Added to every local time, on the wall clock.
    pub(super) offset_hours: u16,
}

impl LocalTicks {
    fn offset(&self) -> SignedDuration {
        SignedDuration::from_hours(i64::from(self.offset_hours))
    }

    /// The earliest of the set after `local`.
    fn after(&self, local: DateTime) -> Option<DateTime> {
        let local = local.checked_sub(self.offset()).unwrap_or(DateTime::MIN);
        let minute = minute_of(local);
        let today = self.has(local.date()).then(|| self.minute_after(minute + 1)).flatten();
        let found = match today {
            Some(minute) => (local.date(), minute),
            None => (self.day_after(local.date())?, self.minute_after(0)?),
        };
        at_minute(found.0, found.1)?.checked_add(self.offset()).ok()
    }

    /// The latest of the set at or before `local`.
    fn at_or_before(&self, local: DateTime) -> Option<DateTime> {
        let local = local.checked_sub(self.offset()).ok()?;
        let today = self.has(local.date()).then(|| self.minute_until(minute_of(local))).flatten();
        let found = match today {
            Some(minute) => (local.date(), minute),
            None => (self.day_before(local.date())?, self.minute_until(1_439)?),
        };
        at_minute(found.0, found.1)?.checked_add(self.offset()).ok()
    }

    fn has(&self, date: Date) -> bool {
        self.days.in_month(date.first_of_month()) >> (date.day() - 1) & 1 == 1
    }

    fn day_after(&self, date: Date) -> Option<Date> {
        let mut first = date.first_of_month();
        let mut wanted = u32::MAX << date.day();
        for _ in 0..MAX_MONTHS {
            let days = self.days.in_month(first) & wanted;
            if days != 0 {
                return first.with().day(i8::try_from(days.trailing_zeros() + 1).ok()?).build().ok();
            }
            first = first.last_of_month().tomorrow().ok()?;
            wanted = u32::MAX;
        }
        None
    }

    fn day_before(&self, date: Date) -> Option<Date> {
        let mut first = date.first_of_month();
        let mut wanted = (1u32 << (date.day() - 1)) - 1;
        for _ in 0..MAX_MONTHS {
            let days = self.days.in_month(first) & wanted;
            if days != 0 {
                return first.with().day(i8::try_from(32 - days.leading_zeros()).ok()?).build().ok();
            }
            first = first.yesterday().ok()?.first_of_month();
            wanted = u32::MAX;
        }
        None
    }

    /// The earliest minute of the day at or after `minute`.
    fn minute_after(&self, minute: u32) -> Option<u32> {
        let (hour, minute) = (minute / 60, minute % 60);
        let rest = self.minutes & u64::MAX << minute;
        if self.hours.checked_shr(hour).unwrap_or(0) & 1 == 1 && rest != 0 {
            return Some(hour * 60 + rest.trailing_zeros());
        }
        let hours = self.hours & u32::MAX.checked_shl(hour + 1).unwrap_or(0);
        (hours != 0).then(|| hours.trailing_zeros() * 60 + self.minutes.trailing_zeros())
    }

    /// The latest minute of the day at or before `minute`.
    fn minute_until(&self, minute: u32) -> Option<u32> {
        let (hour, minute) = (minute / 60, minute % 60);
        let rest = self.minutes & u64::MAX >> (63 - minute);
        if self.hours >> hour & 1 == 1 && rest != 0 {
            return Some(hour * 60 + 63 - rest.leading_zeros());
        }
        let hours = self.hours & ((1 << hour) - 1);
        (hours != 0).then(|| (31 - hours.leading_zeros()) * 60 + 63 - self.minutes.leading_zeros())
    }
}

fn minute_of(local: DateTime) -> u32 {
    u32::from(local.hour().unsigned_abs()) * 60 + u32::from(local.minute().unsigned_abs())
}

fn at_minute(date: Date, minute: u32) -> Option<DateTime> {
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    Some(date.to_datetime(Time::new(hour, minute, 0, 0).ok()?))
}

/// What ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// Local times, at their first occurrence.
    Local(LocalTicks),
    /// Equal steps of absolute time from a first tick on.
    Steps { from: Timestamp, step_secs: i64 },
}

impl Rule {
    pub(super) fn last_tick(&self, zone: &Zone, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Local(ticks) => {
                let mut local = ticks.at_or_before(zone.latest_wall(at))?;
                loop {
                    let tick = zone.first(local)?;
                    if tick <= at {
                        return Some(tick);
                    }
                    local = ticks.at_or_before(local.checked_sub(SignedDuration::from_secs(1)).ok()?)?;
                }
            }
            Self::Steps { from, step_secs } => {
                let passed = from.duration_until(at);
                let steps = (!passed.is_negative()).then(|| passed.as_secs() / step_secs)?;
                from.checked_add(SignedDuration::from_secs(steps * step_secs)).ok()
            }
        }
    }

    pub(super) fn next_tick(&self, zone: &Zone, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Local(ticks) => {
                // A tick after `after` has a local time after what the wall shows then, never before it.
                let mut local = ticks.after(zone.wall(after))?;
                loop {
                    let tick = zone.first(local)?;
                    if tick > after {
                        return Some(tick);
                    }
                    local = ticks.after(local)?;
                }
            }
            Self::Steps { from, step_secs } => match self.last_tick(zone, after) {
                None => Some(*from),
                Some(last) => last.checked_add(SignedDuration::from_secs(*step_secs)).ok(),
            },
        }
    }
}
