//! Who was offered a release and has yet to conclude: counted by the minute of the offer, so that nobody is looked at
//! one by one.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::Span;

/// The minute of a time since 1970; before that, the first one.
pub(super) fn minute_of(at: Timestamp) -> u32 {
    u32::try_from(at.as_second().div_euclid(60).max(0)).unwrap_or(u32::MAX)
}

/// Devices that have yet to conclude, by the minute of their first offer.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_minute: BTreeMap<u32, u32>,
}

impl Waiting {
    pub(super) fn add(&mut self, minute: u32) {
        let count = self.by_minute.entry(minute).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn remove(&mut self, minute: u32) {
        if let Some(count) = self.by_minute.get_mut(&minute) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_minute.remove(&minute);
            }
        }
    }

    /// Those whose deadline has passed: the end of their minute lies at least `within` back. Up to a minute late,
    /// never early.
    pub(super) fn silent(&self, within: Span, now: Timestamp) -> u64 {
        let deadline = now.as_second().saturating_sub_unsigned(within.as_secs()).div_euclid(60);
        let Ok(first_open) = u32::try_from(deadline) else { return 0 };
        self.by_minute.range(..first_open).map(|(_, count)| u64::from(*count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_device_is_silent_after_its_minute_and_its_deadline() {
        let mut waiting = Waiting::default();
        waiting.add(minute_of(at(600)));
        waiting.add(minute_of(at(659)));
        let within = Span::from_secs(3_600);
        assert_eq!(waiting.silent(within, at(4_259)), 0);
        assert_eq!(waiting.silent(within, at(4_260)), 2);
        waiting.remove(minute_of(at(601)));
        assert_eq!(waiting.silent(within, at(4_260)), 1);
        assert_eq!(waiting.silent(within, at(0)), 0, "time may go back");
        for _ in 0..3 {
            waiting.remove(minute_of(at(601)));
        }
        assert_eq!(waiting.silent(Span::NONE, Timestamp::MAX), 0);
    }

    #[test]
    fn no_time_is_too_far() {
        let mut waiting = Waiting::default();
        for time in [Timestamp::MIN, at(-1), at(0), Timestamp::MAX] {
            waiting.add(minute_of(time));
        }
        assert_eq!(waiting.silent(Span::from_secs(60), Timestamp::MIN), 0);
        assert_eq!(waiting.silent(Span::from_secs(60), at(120)), 3);
    }
}
