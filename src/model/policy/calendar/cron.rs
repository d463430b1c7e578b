//! Cron expressions: five fields, read into sets of bits.

use super::parse::{DAY_NAMES, number};
use super::ticks::{Days, LocalTicks, weekly_bits};

const MONTH_NAMES: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// The most days that each month can have.
const MONTH_DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The three day fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CronDays {
    /// Days of the month, the first the lowest bit.
    days: u32,
    /// Months, January the lowest bit.
    months: u16,
    /// Days of the week, Monday the lowest bit.
    weekdays: u8,
    /// Whether a day needs only one of the two day fields: so it is when neither begins with a star.
    either: bool,
}

impl CronDays {
    /// The days of a month as bits, some of them perhaps beyond its end.
    pub(super) fn in_month(&self, month: i8, first_weekday: u8) -> u32 {
        if self.months >> (month - 1) & 1 == 0 {
            return 0;
        }
        let weekly = weekly_bits(self.weekdays, first_weekday);
        if self.either { self.days | weekly } else { self.days & weekly }
    }

    /// Whether there is any such day. A day of the month that exists falls on each weekday sooner or later.
    fn ever_fires(&self) -> bool {
        let exists = |(index, length): (usize, &u32)| {
            self.months >> index & 1 == 1 && (self.either || self.days.trailing_zeros() < *length)
        };
        MONTH_DAYS.iter().enumerate().any(exists)
    }
}

/// One field's place, bounds and names.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    value_of: fn(&str) -> Option<u32>,
}

fn place_in(names: &[&str], word: &str) -> Option<u32> {
    let place = names.iter().position(|name| word.eq_ignore_ascii_case(&name[..3]))?;
    u32::try_from(place).ok()
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, value_of: |_| None },
    Field { name: "hour", least: 0, most: 23, value_of: |_| None },
    Field { name: "day of the month", least: 1, most: 31, value_of: |_| None },
    Field { name: "month", least: 1, most: 12, value_of: |word| place_in(&MONTH_NAMES, word).map(|place| place + 1) },
    // Sunday is 0 and 7.
    Field {
        name: "day of the week",
        least: 0,
        most: 7,
        value_of: |word| place_in(&DAY_NAMES, word).map(|place| (place + 1) % 7),
    },
];

impl Field {
    fn value(&self, word: &str) -> Option<u32> {
        number(word, self.least, self.most).or_else(|| (self.value_of)(word))
    }

    /// The field's values as bits.
    fn bits(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0u64;
        for part in text.split(',') {
            let wrong = || format!("{part:?} is not a {} from {} to {}", self.name, self.least, self.most);
            let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
            let step_by = step.map_or(Some(1), |step| number(step, 1, self.most)).ok_or_else(wrong)?;
            let (first, last) = if range == "*" {
                (self.least, self.most)
            } else if let Some((first, last)) = range.split_once('-') {
                let (first, last) = self.value(first).zip(self.value(last)).ok_or_else(wrong)?;
                // A week that ends with Sunday ends with 7: as 0 the range would run backwards.
                (first, if self.most == 7 && last == 0 && first > 0 { 7 } else { last })
            } else {
                let only = self.value(range).ok_or_else(wrong)?;
                (only, if step.is_some() { self.most } else { only })
            };
            if first > last {
                return Err(format!("the {} range {range:?} runs backwards", self.name));
            }
            let mut value = first;
            while value <= last {
                bits |= 1 << value;
                value += step_by;
            }
        }
        Ok(bits)
    }
}

/// Why five fields are no cron expression.
pub(super) enum CronWrong {
    Grammar(String),
    NeverFires,
}

/// Reads the five fields.
pub(super) fn read(fields: &[&str; 5]) -> Result<LocalTicks, CronWrong> {
    let mut sets = [0u64; 5];
    for ((set, field), text) in sets.iter_mut().zip(&FIELDS).zip(fields) {
        *set = field.bits(text).map_err(CronWrong::Grammar)?;
    }
    let [minutes, hours, days, months, weekdays] = sets;
    // Sunday, 0 or 7, goes to the end of the week; the others move down by one.
    let weekdays = weekdays >> 1 | weekdays << 6;
    let either = !fields[2].starts_with('*') && !fields[4].starts_with('*');
    let low = |set: u64| u32::try_from(set & 0xffff_ffff).unwrap_or(0);
    let cron = CronDays {
        days: low(days >> 1),
        months: u16::try_from(months >> 1 & 0xfff).unwrap_or(0),
        weekdays: u8::try_from(weekdays & 0x7f).unwrap_or(0),
        either,
    };
    if !cron.ever_fires() {
        return Err(CronWrong::NeverFires);
    }
    Ok(LocalTicks { days: Days::Cron(cron), hours: low(hours), minutes, offset_hours: 0 })
}
