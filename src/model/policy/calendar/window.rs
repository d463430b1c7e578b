//! Maintenance windows: hours of the week in which something may happen.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::error::{CalendarError, shown};
use super::parse::{EVERY_DAY, minute_of_day, place_of, tick_minute, weekdays};
use super::zone::Zone;
use super::{MAX_TEXT_BYTES, words};

/// How far to look for a change, in days: a whole week, and another where a date line moves over the one day.
const HORIZON_DAYS: i64 = 16;
const DAY_MINUTES: u16 = 1_440;

/// A weekly maintenance window in a time zone, UTC where none is written.
///
/// Written as `Sat-Sun 00:00-06:00 Europe/Berlin`, `Mon,Wed,Fri 22:00-04:00` (ends on the next day), `daily
/// 01:00-05:00`, `Sat 00:00-24:00`. It is open exactly while the clock on the wall shows such a time: where daylight
/// saving leaves its start out it opens after the gap, and an hour that comes twice counts both times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    text: String,
    zone: Zone,
    days: u8,
    start_minute: u16,
    /// After the start; beyond 24 hours where the window ends on the next day.
    end_minute: u16,
}

impl Window {
    /// Whether it is open at `at`. It is open at its start and closed at its end.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let wall = self.zone.wall(at);
        let minute = u16::from(wall.hour().unsigned_abs()) * 60 + u16::from(wall.minute().unsigned_abs());
        let weekday = place_of(wall.weekday());
        let within = |minute: u16| (self.start_minute..self.end_minute).contains(&minute);
        let on = |weekday: u8| self.days >> weekday & 1 == 1;
        on(weekday) && within(minute) || on((weekday + 6) % 7) && within(minute + DAY_MINUTES)
    }

    /// When it opens next, strictly after `after`. `None` where it never closes, and at the end of the calendar.
    pub fn next_open(&self, after: Timestamp) -> Option<Timestamp> {
        next_open(std::slice::from_ref(self), after)
    }

    /// When the opening around `at` ends. `None` where it is closed then, or never closes.
    pub fn closes_at(&self, at: Timestamp) -> Option<Timestamp> {
        self.is_open(at).then(|| next_change(std::slice::from_ref(self), at)).flatten()
    }

    /// The window as it is read aloud: `Saturday and Sunday from 00:00 to 06:00 Berlin time`.
    pub fn in_words(&self) -> String {
        let end = match self.end_minute {
            end if end > DAY_MINUTES => format!("{} the next day", words::time(u32::from(end - DAY_MINUTES))),
            end => words::time(u32::from(end)),
        };
        let start = words::time(u32::from(self.start_minute));
        format!("{} from {start} to {end} {}", words::weekdays(self.days), self.zone.in_words())
    }

    /// Calls `each` with every instant around `at` at which the window may open or close.
    fn edges(&self, at: Timestamp, each: &mut impl FnMut(Timestamp)) {
        let today = self.zone.wall(at).date();
        // An hour or a day may be repeated, and a window reaches into the next day.
        for day in -2..HORIZON_DAYS {
            let Ok(date) = today.checked_add(day.days()) else { continue };
            if self.days >> place_of(date.weekday()) & 1 == 0 {
                continue;
            }
            let midnight = DateTime::from_parts(date, Time::midnight());
            for minute in [self.start_minute, self.end_minute] {
                if let Ok(local) = midnight.checked_add(SignedDuration::from_mins(i64::from(minute))) {
                    self.zone.passes(local).into_iter().flatten().for_each(&mut *each);
                }
            }
        }
        let end = at.checked_add(SignedDuration::from_hours(24 * HORIZON_DAYS)).unwrap_or(Timestamp::MAX);
        self.zone.changes(at, end).for_each(each);
    }
}

/// Several windows as one: open while any of them is. Without a window it is never open.
///
/// Written as windows with `;` between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows(pub Vec<Window>);

impl Windows {
    /// Whether any is open at `at`.
    pub fn is_open(&self, at: Timestamp) -> bool {
        is_open(&self.0, at)
    }

    /// When one opens next after a time when none was, strictly after `after`. `None` where that never is.
    pub fn next_open(&self, after: Timestamp) -> Option<Timestamp> {
        next_open(&self.0, after)
    }

    /// When the last of the windows open around `at` closes. `None` where none is open then, or one always is.
    pub fn closes_at(&self, at: Timestamp) -> Option<Timestamp> {
        self.is_open(at).then(|| self.next_change(at)).flatten()
    }

    /// The first moment after `at` at which [`Self::is_open`] changes.
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        next_change(&self.0, at)
    }

    /// The windows as they are read aloud.
    pub fn in_words(&self) -> String {
        let each: Vec<String> = self.0.iter().map(Window::in_words).collect();
        if each.is_empty() { "never".to_owned() } else { each.join(", or ") }
    }
}

fn is_open(windows: &[Window], at: Timestamp) -> bool {
    windows.iter().any(|window| window.is_open(at))
}

fn next_open(windows: &[Window], after: Timestamp) -> Option<Timestamp> {
    let closed = if is_open(windows, after) { next_change(windows, after)? } else { after };
    next_change(windows, closed)
}

/// Between two edges nothing changes, so the earliest edge with another answer is the moment of change.
fn next_change(windows: &[Window], at: Timestamp) -> Option<Timestamp> {
    let open = is_open(windows, at);
    let mut found: Option<Timestamp> = None;
    for window in windows {
        window.edges(at, &mut |edge| {
            if edge > at && found.is_none_or(|found| edge < found) && is_open(windows, edge) != open {
                found = Some(edge);
            }
        });
    }
    found
}

fn read(text: &str) -> Result<Window, String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("it is longer than {MAX_TEXT_BYTES} bytes"));
    }
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let is_hours = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    let at = words.iter().position(is_hours).ok_or("its hours are missing")?;
    let days = match words[..at] {
        [] => return Err("it does not say on which days".to_owned()),
        ["daily"] => EVERY_DAY,
        ref list => weekdays(list)?,
    };
    let hours = words[at];
    let (start, end) = hours.split_once('-').ok_or_else(|| format!("{hours:?} has no start and end"))?;
    let (start_minute, end) = (tick_minute(start)?, minute_of_day(end)?);
    if start_minute == end {
        return Err("it is empty, the whole day is 00:00-24:00".to_owned());
    }
    let end_minute = if end < start_minute { end + DAY_MINUTES } else { end };
    let zone = Zone::trailing(&words[at + 1..])?;
    Ok(Window { text: text.to_owned(), zone, days, start_minute, end_minute })
}

impl FromStr for Window {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        read(text).map_err(|wrong| CalendarError::Window { text: shown(text), wrong })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Windows {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        text.split(';').map(|one| one.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}
