//! The words that cadences and windows share: days, times, counts.

use jiff::civil::Weekday;

/// The days of the week, Monday first, as a set of bits.
pub(super) const EVERY_DAY: u8 = 0x7f;
/// Their long names, Monday first.
pub(super) const DAY_NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A day's place in the week, Monday 0, by its long or three-letter name.
pub(super) fn weekday(word: &str) -> Result<u8, String> {
    let is_named = |name: &&str| word.eq_ignore_ascii_case(name) || word.eq_ignore_ascii_case(&name[..3]);
    let place = DAY_NAMES.iter().position(is_named);
    place.and_then(|place| u8::try_from(place).ok()).ok_or_else(|| format!("{word:?} is not a day of the week"))
}

/// A day's place in the week, Monday 0.
pub(super) fn place_of(day: Weekday) -> u8 {
    day.to_monday_zero_offset().unsigned_abs()
}

/// A list of days and ranges: `Mon,Wed`, `Fri-Mon`. A range may run over the end of the week.
pub(super) fn weekdays(words: &[&str]) -> Result<u8, String> {
    let text = words.concat();
    let mut days = 0u8;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (weekday(first)?, weekday(last)?);
        for step in 0..=(last + 7 - first) % 7 {
            days |= 1 << ((first + step) % 7);
        }
    }
    Ok(days)
}

/// A whole number of ASCII digits within bounds.
pub(super) fn number(word: &str, least: u32, most: u32) -> Option<u32> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|number| digits && (least..=most).contains(number))
}

/// A time of day as minutes since midnight, `24:00` only where the caller takes it.
pub(super) fn minute_of_day(word: &str) -> Result<u16, String> {
    let wrong = || format!("{word:?} is not a time from 00:00 to 23:59");
    let (hour, minute) = word.split_once(':').filter(|(_, minute)| minute.len() == 2).ok_or_else(wrong)?;
    let hour = number(hour, 0, 24).filter(|_| hour.len() <= 2).ok_or_else(wrong)?;
    let minute = number(minute, 0, 59).filter(|minute| hour < 24 || *minute == 0).ok_or_else(wrong)?;
    u16::try_from(hour * 60 + minute).map_err(|_| wrong())
}

/// A time of day at which something can happen.
pub(super) fn tick_minute(word: &str) -> Result<u16, String> {
    minute_of_day(word)
        .and_then(|minute| if minute < 1_440 { Ok(minute) } else { Err("a day ends at 23:59, write 00:00".to_owned()) })
}
