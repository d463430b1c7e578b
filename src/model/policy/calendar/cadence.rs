//! Cadences: their grammar and what they are asked.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};

use super::cron::{self, CronWrong};
use super::error::{CalendarError, shown};
use super::parse::{EVERY_DAY, number, tick_minute, weekday, weekdays};
use super::ticks::{Days, LocalTicks, Rule};
use super::zone::Zone;
use super::{MAX_TEXT_BYTES, words};

/// The ordinals of weekdays in a month, the first first.
const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
/// The longest step of `every`, in days.
const MAX_STEP_DAYS: u32 = 366;

/// A calendar's ticks in a time zone, UTC where none is written.
///
/// Written as `daily at 03:00 Europe/Berlin`, `Mon, Thu at 02:00`, `monthly on 15 at 02:00`, `last day at 02:00`,
/// `second Tuesday + 7 days at 02:00`, `every 3 days from 2026-01-05 at 02:00`, `every 6h from 2026-01-05T00:00 UTC`,
/// or `cron 0 3 * * 1-5`.
///
/// A local time that daylight saving leaves out ticks at the first instant after the gap; one that comes twice ticks
/// the first time only. `+ N hours` is counted on the wall clock, `every N h` in absolute time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cadence {
    text: String,
    zone: Zone,
    rule: Rule,
}

impl Cadence {
    /// The latest tick at or before `at`. `None` before the first one.
    pub fn last_tick(&self, at: Timestamp) -> Option<Timestamp> {
        self.rule.last_tick(&self.zone, at)
    }

    /// The earliest tick strictly after `after`. `None` at the end of the calendar (year 9999).
    pub fn next_tick(&self, after: Timestamp) -> Option<Timestamp> {
        self.rule.next_tick(&self.zone, after)
    }

    /// The cadence as it is read aloud: `on the second Tuesday of the month plus 7 days at 02:00 Berlin time`.
    pub fn in_words(&self) -> String {
        words::rule(&self.rule, &self.zone, &self.text)
    }
}

/// Why a text is no cadence: a sentence about its grammar, or that it never fires.
type Wrong = CronWrong;

impl From<String> for Wrong {
    fn from(wrong: String) -> Self {
        Self::Grammar(wrong)
    }
}

fn read(text: &str) -> Result<(Rule, Zone), Wrong> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Wrong::Grammar(format!("it is longer than {MAX_TEXT_BYTES} bytes")));
    }
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    match words[..] {
        ["cron", minute, hour, day, month, weekday, ref zone @ ..] => {
            Ok((Rule::Local(cron::read(&[minute, hour, day, month, weekday])?), Zone::trailing(zone)?))
        }
        ["cron", ..] => Err("a cron expression has five fields".to_owned().into()),
        ["every", ref rest @ ..] => Ok(every(rest)?),
        _ => Ok(on_days(&words)?),
    }
}

/// `<days> [+ N days|hours] at HH:MM [zone]`.
fn on_days(words: &[&str]) -> Result<(Rule, Zone), String> {
    let at = words.iter().position(|word| *word == "at").ok_or("\"at\" and a time of day are missing")?;
    let (days, rest) = (&words[..at], &words[at + 1..]);
    let (time, zone) = rest.split_first().ok_or("a time of day is missing after \"at\"")?;
    let plus = days.iter().position(|word| *word == "+");
    let (days, offset) = match plus {
        None => (days, 0),
        Some(plus) => (&days[..plus], offset_hours(&days[plus + 1..])?),
    };
    let days = which_days(days)?;
    if plus.is_some() && matches!(days, Days::Weekly(_)) {
        return Err("only days of a month can be moved by \"+\"".to_owned());
    }
    Ok((Rule::Local(local(days, tick_minute(time)?, offset)), Zone::trailing(zone)?))
}

fn local(days: Days, minute: u16, offset_hours: u16) -> LocalTicks {
    LocalTicks { days, hours: 1 << (minute / 60), minutes: 1 << (minute % 60), offset_hours }
}

fn which_days(words: &[&str]) -> Result<Days, String> {
    let ordinal = |word: &str| ORDINALS.iter().position(|ordinal| *ordinal == word);
    match *words {
        [] => Err("it does not say on which days".to_owned()),
        ["daily"] => Ok(Days::Weekly(EVERY_DAY)),
        ["weekly", "on", ref list @ ..] => Ok(Days::Weekly(weekdays(list)?)),
        // `monthly` and `on` may stand before every day of a month.
        ["monthly", "on", day] if number(day, 0, u32::MAX).is_some() => number(day, 1, 31)
            .and_then(|day| u8::try_from(day).ok())
            .map(Days::OnDay)
            .ok_or_else(|| format!("{day:?} is not a day of a month, 1 to 31")),
        ["monthly", "on", ref list @ ..] => match which_days(list)? {
            Days::Weekly(_) => Err("a month has more than one of each weekday: say which, first to last".to_owned()),
            days => Ok(days),
        },
        ["last", "day"] => Ok(Days::LastDay),
        ["last", day] => Ok(Days::Last { weekday: weekday(day)? }),
        [nth, day] if ordinal(nth).is_some() => {
            let nth = ordinal(nth).and_then(|nth| u8::try_from(nth + 1).ok()).unwrap_or(1);
            Ok(Days::Nth { nth, weekday: weekday(day)? })
        }
        _ => Ok(Days::Weekly(weekdays(words)?)),
    }
}

/// `7 days`, `12 hours`.
fn offset_hours(words: &[&str]) -> Result<u16, String> {
    let wrong = || "after \"+\" stands a number of days up to 31, or of hours up to 744".to_owned();
    let hours = match *words {
        [count, "day" | "days"] => number(count, 0, 31).map(|days| days * 24),
        [count, "hour" | "hours"] => number(count, 0, 744),
        _ => None,
    };
    hours.and_then(|hours| u16::try_from(hours).ok()).ok_or_else(wrong)
}

/// What follows `every`: `3 days from 2026-01-05 at 02:00 [zone]`, `6h from 2026-01-05T00:00 [zone]`.
fn every(words: &[&str]) -> Result<(Rule, Zone), String> {
    let from = words.iter().position(|word| *word == "from").ok_or("\"from\" and a first date are missing")?;
    let step = words[..from].concat();
    let (date, minute, zone) = start(&words[from + 1..])?;
    let digits = step.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = step.split_at(digits);
    let rule = match unit {
        "d" | "day" | "days" => {
            let step_days = number(count, 1, MAX_STEP_DAYS).and_then(|days| u16::try_from(days).ok());
            let step_days = step_days.ok_or_else(|| format!("{step:?} is not a number of days from 1 to 366"))?;
            Rule::Local(local(Days::Every { step_days, from: date }, minute, 0))
        }
        "h" | "hour" | "hours" => {
            let hours = number(count, 1, MAX_STEP_DAYS * 24);
            let hours = hours.ok_or_else(|| format!("{step:?} is not a number of hours from 1 to 8784"))?;
            let from = start_instant(date, minute, &zone).ok_or("its start is out of range")?;
            Rule::Steps { from, step_secs: i64::from(hours) * 3_600 }
        }
        _ => return Err(format!("{step:?} is not a number of days or hours")),
    };
    Ok((rule, zone))
}

/// `2026-01-05 at 02:00 [zone]` or `2026-01-05t02:00 [zone]`.
fn start(words: &[&str]) -> Result<(Date, u16, Zone), String> {
    let (date, time, zone) = match *words {
        [date, "at", time, ref zone @ ..] => (date, time, zone),
        [both, ref zone @ ..] => {
            let (date, time) = both.split_once('t').ok_or("after \"from\" stands a date and a time")?;
            (date, time, zone)
        }
        [] => return Err("a date and a time are missing after \"from\"".to_owned()),
    };
    let parsed = (date.len() == 10).then(|| date.parse::<Date>().ok()).flatten();
    let date = parsed.ok_or_else(|| format!("{date:?} is not a date such as 2026-01-05"))?;
    Ok((date, tick_minute(time)?, Zone::trailing(zone)?))
}

fn start_instant(date: Date, minute: u16, zone: &Zone) -> Option<Timestamp> {
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    zone.first(DateTime::from_parts(date, Time::new(hour, minute, 0, 0).ok()?))
}

impl FromStr for Cadence {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let (rule, zone) = read(text).map_err(|wrong| match wrong {
            Wrong::Grammar(wrong) => CalendarError::Cadence { text: shown(text), wrong },
            Wrong::NeverFires => CalendarError::NeverFires { text: shown(text) },
        })?;
        Ok(Self { text: text.to_owned(), zone, rule })
    }
}

impl fmt::Display for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
