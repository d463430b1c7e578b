//! Shares of devices, in hundredths of a percent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A part of a whole in basis points: 0 (none) to 10000 (all). Written as a percentage with at most two decimals:
/// `20%`, `0.5%`, `0.05%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct BasisPoints(u16);

/// Why a text or number is not a part of a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a share: write a percentage from 0% to 100% with at most two decimals, for example 20% or 0.5%")]
pub struct BasisPointsError(String);

impl BasisPoints {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(10_000);

    /// This many hundredths of a percent; more than everything is everything.
    pub const fn new(basis_points: u16) -> Self {
        Self(if basis_points > 10_000 { 10_000 } else { basis_points })
    }

    /// The number, 0 to 10000.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// As a fraction of 1.
    pub fn as_fraction(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// This part of `whole`, rounded up.
    pub fn of(self, whole: u64) -> u64 {
        let part = (u128::from(whole) * u128::from(self.0)).div_ceil(10_000);
        u64::try_from(part).unwrap_or(u64::MAX)
    }
}

impl TryFrom<u16> for BasisPoints {
    type Error = BasisPointsError;

    fn try_from(number: u16) -> Result<Self, BasisPointsError> {
        if number <= 10_000 { Ok(Self(number)) } else { Err(BasisPointsError(number.to_string())) }
    }
}

impl From<BasisPoints> for u16 {
    fn from(share: BasisPoints) -> Self {
        share.0
    }
}

impl FromStr for BasisPoints {
    type Err = BasisPointsError;

    fn from_str(text: &str) -> Result<Self, BasisPointsError> {
        let error = || BasisPointsError(text.chars().take(40).collect());
        let number = text.strip_suffix('%').ok_or_else(error)?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || !is_digits(whole) || decimals.len() > 2 || !is_digits(decimals) {
            return Err(error());
        }
        if number.contains('.') && decimals.is_empty() {
            return Err(error());
        }
        let hundredths = format!("{decimals:0<2}").parse::<u16>().map_err(|_| error())?;
        // At most three digits.
        let whole = whole.parse::<u16>().ok().filter(|whole| *whole <= 100).ok_or_else(error)?;
        Self::try_from(whole * 100 + hundredths).map_err(|_| error())
    }
}

impl fmt::Display for BasisPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        let text = match (rest, rest % 10) {
            (0, _) => format!("{whole}%"),
            (_, 0) => format!("{whole}.{}%", rest / 10),
            _ => format!("{whole}.{rest:02}%"),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_bad_ones_are_refused() {
        for number in 0..=10_000 {
            let share = BasisPoints::new(number);
            assert_eq!(share.to_string().parse(), Ok(share));
        }
        for bad in ["", "%", "20", "100.01%", "101%", "999%", "-1%", "1.%", ".5%", "0.005%", "1e2%", "９%", "99999%"] {
            assert!(bad.parse::<BasisPoints>().is_err(), "{bad:?}");
        }
        assert!(BasisPoints::try_from(10_001).is_err());
    }

    #[test]
    fn a_part_of_a_whole_is_rounded_up() {
        assert_eq!(BasisPoints::new(200).of(750), 15);
        assert_eq!(BasisPoints::new(1).of(3), 1);
        assert_eq!(BasisPoints::NONE.of(u64::MAX), 0);
        assert_eq!(BasisPoints::ALL.of(u64::MAX), u64::MAX);
    }
}
