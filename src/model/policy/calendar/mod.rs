//! Calendars as admins write them: cadences that tick, maintenance windows that open and close, rates that cap.
//!
//! Every answer is a pure function of the text and the moment asked about. Time zones come from the database in the
//! binary, so that two machines with the same policy decide the same.
//!
//! What this module deliberately does not do: read a clock, remember ticks, or decide what a tick means for a release.

mod cadence;
mod cron;
mod error;
mod parse;
mod rate;
#[cfg(test)]
mod tests;
mod ticks;
mod window;
mod words;
mod zone;

pub use cadence::Cadence;
pub use error::CalendarError;
pub use rate::Rate;
pub use window::{Window, Windows};

/// The longest text of a cadence, a window or a rate, in bytes.
const MAX_TEXT_BYTES: usize = 256;
