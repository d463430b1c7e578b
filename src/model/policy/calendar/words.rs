//! Calendars as phrases that can be read aloud.

use super::parse::{DAY_NAMES, EVERY_DAY};
use super::ticks::{Days, LocalTicks, Rule};
use super::zone::Zone;

/// `1 day`, `7 days`.
pub(super) fn count(number: u64, unit: &str) -> String {
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

/// `03:00` for 180 minutes after midnight.
pub(super) fn time(minute: u32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// `every day`, `Saturday and Sunday`, `Monday, Wednesday and Friday`.
pub(super) fn weekdays(days: u8) -> String {
    if days == EVERY_DAY {
        return "every day".to_owned();
    }
    let named = DAY_NAMES.iter().enumerate().filter(|(place, _)| days >> place & 1 == 1);
    let names: Vec<&str> = named.map(|(_, name)| *name).collect();
    match names[..] {
        [ref rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// A cadence's phrase. `text` is what was written: a cron expression is not made clearer by more words than its own.
pub(super) fn rule(rule: &Rule, zone: &Zone, text: &str) -> String {
    let zone_words = zone.in_words();
    match rule {
        Rule::Steps { from, step_secs } => {
            let hours = count(step_secs.unsigned_abs() / 3_600, "hour");
            let wall = zone.wall(*from);
            let minute = u32::from(wall.hour().unsigned_abs()) * 60 + u32::from(wall.minute().unsigned_abs());
            format!("every {hours} from {} {} {zone_words} on", wall.date(), time(minute))
        }
        Rule::Local(ticks) => match days(ticks) {
            Some(days) => {
                let minute = ticks.hours.trailing_zeros() * 60 + ticks.minutes.trailing_zeros();
                format!("{days} at {} {zone_words}", time(minute))
            }
            None => {
                let fields: Vec<&str> = text.split_whitespace().skip(1).take(5).collect();
                format!("whenever the cron expression {} matches in {zone_words}", fields.join(" "))
            }
        },
    }
}

fn days(ticks: &LocalTicks) -> Option<String> {
    let name = |weekday: u8| DAY_NAMES[usize::from(weekday) % 7];
    let words = match &ticks.days {
        Days::Weekly(EVERY_DAY) => "every day".to_owned(),
        Days::Weekly(days) => format!("every {}", weekdays(*days)),
        Days::OnDay(day) if *day > 28 => format!("on day {day} of each month that has it"),
        Days::OnDay(day) => format!("on day {day} of the month"),
        Days::LastDay => "on the last day of the month".to_owned(),
        Days::Nth { nth, weekday } => {
            let ordinal = ["first", "second", "third", "fourth", "fifth"][usize::from(nth - 1) % 5];
            let month = if *nth == 5 { "each month that has one" } else { "the month" };
            format!("on the {ordinal} {} of {month}", name(*weekday))
        }
        Days::Last { weekday } => format!("on the last {} of the month", name(*weekday)),
        Days::Every { step_days: 1, from } => format!("every day from {from} on"),
        Days::Every { step_days, from } => format!("every {step_days} days from {from} on"),
        Days::Cron(_) => return None,
    };
    let hours = u64::from(ticks.offset_hours);
    Some(match hours {
        0 => words,
        _ if hours % 24 == 0 => format!("{words} plus {}", count(hours / 24, "day")),
        _ => format!("{words} plus {}", count(hours, "hour")),
    })
}
