//! Rates: how many devices may be let through in a period.

use std::fmt;
use std::str::FromStr;

use super::error::{CalendarError, shown};
use super::parse::number;
use super::{MAX_TEXT_BYTES, words};

/// The longest period.
const MAX_PERIOD_SECS: u64 = 31 * 86_400;

/// A cap of so many devices in each period: `500 devices per hour`, `20 devices per 10m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    text: String,
    devices: u32,
    period_secs: u64,
}

impl Rate {
    /// How many devices, at least one.
    pub fn devices(&self) -> u32 {
        self.devices
    }

    /// The length of the period in seconds, from a minute to 31 days.
    pub fn period_secs(&self) -> u64 {
        self.period_secs
    }

    /// The rate as it is read aloud: `at most 500 devices an hour`.
    pub fn in_words(&self) -> String {
        let devices = words::count(u64::from(self.devices), "device");
        match self.period_secs {
            60 => format!("at most {devices} a minute"),
            3_600 => format!("at most {devices} an hour"),
            86_400 => format!("at most {devices} a day"),
            secs if secs % 86_400 == 0 => format!("at most {devices} in {}", words::count(secs / 86_400, "day")),
            secs if secs % 3_600 == 0 => format!("at most {devices} in {}", words::count(secs / 3_600, "hour")),
            secs => format!("at most {devices} in {}", words::count(secs / 60, "minute")),
        }
    }
}

/// The length of a period, in seconds.
fn period_secs(word: &str) -> Result<u64, String> {
    let unit_secs = |unit: &str| match unit {
        "m" | "minute" => Some(60),
        "h" | "hour" => Some(3_600),
        "d" | "day" => Some(86_400),
        _ => None,
    };
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = word.split_at(digits);
    // `per 10 minutes` would need two words; `per h` says nothing that `per hour` does not say better.
    let count = if count.is_empty() && unit.len() > 1 { Some(1) } else { number(count, 1, 44_640) };
    let unit = unit_secs(unit).filter(|_| digits == 0 || unit.len() == 1);
    let secs = count.zip(unit).map(|(count, unit)| u64::from(count) * unit);
    secs.filter(|secs| *secs <= MAX_PERIOD_SECS)
        .ok_or_else(|| format!("{word:?} is not a period: minute, hour, day, or a length such as 10m or 2h up to 31d"))
}

fn read(text: &str) -> Result<(u32, u64), String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("it is longer than {MAX_TEXT_BYTES} bytes"));
    }
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let [count, "device" | "devices", "per", period] = words[..] else {
        return Err("it is a number, the words \"devices per\", and a period".to_owned());
    };
    let devices = number(count, 1, u32::MAX).ok_or_else(|| format!("{count:?} is not a number of devices from 1"))?;
    Ok((devices, period_secs(period)?))
}

impl FromStr for Rate {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let (devices, period_secs) = read(text).map_err(|wrong| CalendarError::Rate { text: shown(text), wrong })?;
        Ok(Self { text: text.to_owned(), devices, period_secs })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
