//! Moments and lengths of time as people type them.

use std::time::Duration;

use jiff::{Timestamp, civil, tz::TimeZone};

use super::CliError;

/// Reads a moment: RFC 3339, or a local date and time without a zone.
///
/// # Errors
/// A sentence for people.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    let local = text.parse::<civil::DateTime>().ok().and_then(|local| local.to_zoned(TimeZone::system()).ok());
    local.map(|zoned| zoned.timestamp()).ok_or_else(|| {
        "a time looks like 2026-11-21T14:30:00Z, or like \"2026-11-21 14:30\" in this machine's time zone".to_owned()
    })
}

/// Reads a length of time such as `24h` or `7d`.
///
/// # Errors
/// A sentence for people.
pub(super) fn length(text: &str) -> Result<Duration, String> {
    crate::config::parse_length(text).map_err(|error| error.to_string())
}

/// The moment that lies this far after `now`, in whole seconds.
///
/// # Errors
/// It lies beyond what a calendar holds.
pub(super) fn after(now: Timestamp, length: Duration) -> Result<Timestamp, CliError> {
    let far = || CliError::Usage("that is too far in the future".to_owned());
    let seconds = i64::try_from(length.as_secs()).map_err(|_| far())?;
    now.checked_add(jiff::SignedDuration::from_secs(seconds)).map_err(|_| far())
}

/// A moment for a table: to the second, in UTC.
pub(super) fn shown(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The same for one that may not be.
pub(super) fn shown_or(timestamp: Option<Timestamp>, otherwise: &str) -> String {
    timestamp.map_or_else(|| otherwise.to_owned(), shown)
}

/// How long ago, in the largest unit that has at least two of it.
pub(super) fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (count, unit) = match seconds {
        172_800.. => (seconds / 86_400, "d"),
        7_200.. => (seconds / 3_600, "h"),
        120.. => (seconds / 60, "min"),
        _ => (seconds, "s"),
    };
    format!("{count} {unit}")
}
