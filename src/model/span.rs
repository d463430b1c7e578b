//! Lengths of time as a policy writes them: deferrals, bake times, deadlines.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest one.
const MAX_SECONDS: u64 = 365 * 86_400;
/// Units, largest first, with their seconds. A day is 24 hours: they are counted from an instant, not a calendar.
const UNITS: [(char, u64, &str); 5] =
    [('w', 604_800, "week"), ('d', 86_400, "day"), ('h', 3_600, "hour"), ('m', 60, "minute"), ('s', 1, "second")];

/// A length of time in whole seconds, from none to 365 days.
///
/// Written as whole numbers with the units `w`, `d`, `h`, `m`, `s`, largest first, each at most once: `48h`, `7d`,
/// `1d12h`, `0h`. A day is 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    seconds: u64,
}

/// Why a text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// Not in the grammar.
    #[error(
        "{0:?} is not a length of time: write a number and a unit (w, d, h, m, s), largest first, for example 48h or 1d12h"
    )]
    Grammar(String),
    /// Over 365 days.
    #[error("{0:?} is too long: at most 365d can be written")]
    TooLong(String),
}

impl Span {
    /// None at all.
    pub const NONE: Self = Self { seconds: 0 };

    /// Whether it is none.
    pub fn is_none(self) -> bool {
        self.seconds == 0
    }

    /// Its length in seconds.
    pub fn as_secs(self) -> u64 {
        self.seconds
    }

    /// When it ends, begun at `start`. An end beyond the calendar (year 9999) is its last moment.
    pub fn ends_at(self, start: Timestamp) -> Timestamp {
        start.checked_add(self.as_duration()).unwrap_or(Timestamp::MAX)
    }

    /// The span of this many seconds; at most 365 days.
    pub const fn from_secs(seconds: u64) -> Self {
        Self { seconds: if seconds > MAX_SECONDS { MAX_SECONDS } else { seconds } }
    }

    /// It as a signed duration.
    pub fn as_duration(self) -> SignedDuration {
        SignedDuration::from_secs(i64::try_from(self.seconds).unwrap_or(i64::MAX))
    }

    /// Its length in milliseconds.
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.seconds * 1_000).unwrap_or(i64::MAX)
    }

    /// The length in words, for sentences: `48 hours`, `1 day`.
    pub(crate) fn in_words(self) -> String {
        // Up to three days people speak of hours; past that, the largest unit that divides it.
        let fits = |unit: &&(char, u64, &str)| {
            self.seconds >= unit.1
                && self.seconds.is_multiple_of(unit.1)
                && !(unit.1 >= 86_400 && self.seconds <= 259_200)
        };
        let (_, seconds, name) = UNITS.iter().find(fits).unwrap_or(&UNITS[4]);
        let count = self.seconds / seconds;
        if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let shown = || text.chars().take(80).collect::<String>();
        let mut seconds = 0u64;
        let mut next_unit = 0;
        let mut rest = text;
        while !rest.is_empty() || next_unit == 0 {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let unit = rest[digits..].chars().next();
            let place = unit.and_then(|unit| UNITS.iter().position(|(letter, ..)| *letter == unit));
            let Some(place) = place.filter(|place| *place >= next_unit && digits > 0) else {
                return Err(SpanError::Grammar(shown()));
            };
            let count = rest[..digits].parse::<u64>().ok();
            seconds = count
                .and_then(|count| count.checked_mul(UNITS[place].1))
                .and_then(|part| seconds.checked_add(part))
                .filter(|sum| *sum <= MAX_SECONDS)
                .ok_or_else(|| SpanError::TooLong(shown()))?;
            next_unit = place + 1;
            // Every unit is one ASCII letter.
            rest = &rest[digits + 1..];
        }
        Ok(Self { seconds })
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("0s");
        }
        let mut rest = self.seconds;
        for (letter, seconds, _) in &UNITS[1..] {
            if rest >= *seconds {
                write!(f, "{}{letter}", rest / seconds)?;
                rest %= seconds;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_may_be_written() {
        for (text, seconds) in [("0h", 0), ("48h", 172_800), ("1d12h", 129_600), ("365d", MAX_SECONDS), ("90s", 90)] {
            assert_eq!(text.parse::<Span>().unwrap().as_secs(), seconds, "{text}");
        }
        for bad in ["", "48", "h", "-1h", "1.5h", "1h2d", "1h1h", "48 h", "48H", "1é", "366d", "99999999999999999999s"]
        {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn in_words() {
        let cases = [
            ("1h", "1 hour"),
            ("48h", "48 hours"),
            ("3d", "72 hours"),
            ("4d", "4 days"),
            ("2w", "2 weeks"),
            ("90m", "90 minutes"),
        ];
        for (text, words) in cases {
            assert_eq!(text.parse::<Span>().unwrap().in_words(), words);
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(seconds in 0..=MAX_SECONDS) {
            let span = Span { seconds };
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<Span>();
        }
    }
}
