//! How old a group may become before somebody hears of it.

use std::fmt;
use std::str::FromStr;

use crate::model::Span;

/// The longest time without a newer release: past it an alert is raised and, with `relax`, deferral, cadence and ring
/// yield to the last fully baked release.
///
/// Written as a length of time, with `relax` behind it where the rules shall yield: `14d`, `14d relax`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staleness {
    /// How long, more than none.
    pub after: Span,
    /// Whether rules yield.
    pub relaxes: bool,
}

/// Why a text is no staleness.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a staleness: write how long a group may go without a newer release, for example 14d or \"14d relax\""
)]
pub struct StalenessError(String);

impl FromStr for Staleness {
    type Err = StalenessError;

    fn from_str(text: &str) -> Result<Self, StalenessError> {
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        let (after, relaxes) = match words[..] {
            [after] => (after.parse().ok(), false),
            [after, "relax"] => (after.parse().ok(), true),
            _ => (None, false),
        };
        let after = after.filter(|after: &Span| !after.is_none());
        let after = after.ok_or_else(|| StalenessError(text.chars().take(80).collect()))?;
        Ok(Self { after, relaxes })
    }
}

impl fmt::Display for Staleness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relax = if self.relaxes { " relax" } else { "" };
        write!(f, "{}{relax}", self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_written() {
        for (text, seconds, relaxes) in [("14d", 1_209_600, false), ("36h relax", 129_600, true)] {
            let staleness: Staleness = text.parse().unwrap();
            assert_eq!((staleness.after.as_secs(), staleness.relaxes), (seconds, relaxes));
            assert_eq!(staleness.to_string().parse(), Ok(staleness));
        }
        for bad in ["", "0d", "relax", "14", "14d relaxed", "14d relax relax", "366d"] {
            assert!(bad.parse::<Staleness>().is_err(), "{bad:?}");
        }
    }
}
