//! Rules that hold for every moment, and a slow second way to the same answers.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::super::{Rate, Windows};
use super::*;

const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Africa/Casablanca",
    "UTC",
];

const DAYS: [&str; 12] = [
    "daily",
    "weekly on Tuesday",
    "Sat, Sun",
    "monthly on 15",
    "monthly on 31",
    "last day",
    "fifth Friday",
    "last Sunday",
    "second Tuesday + 7 days",
    "first Sunday + 31 days",
    "last day + 5 hours",
    "every 3 days from 2009-02-01",
];

const CRONS: [&str; 6] =
    ["* * * * *", "*/7 1-3 * * *", "0 0 29 2 *", "30 2 * * sun", "0,59 0,23 1,31 * mon", "15 0-4/2 */6 3,10 *"];

fn cadence_text() -> impl Strategy<Value = String> {
    let zone = prop::sample::select(ZONES.as_slice());
    let days = (prop::sample::select(DAYS.as_slice()), 0..24u32, 0..60u32);
    let days = days.prop_map(|(days, hour, minute)| format!("{days} at {hour:02}:{minute:02}"));
    let cron = prop::sample::select(CRONS.as_slice()).prop_map(|cron| format!("cron {cron}"));
    let steps = (1..50u32).prop_map(|hours| format!("every {hours}h from 2009-02-01T02:30"));
    (prop_oneof![4 => days, 2 => cron, 1 => steps], zone).prop_map(|(rule, zone)| format!("{rule} {zone}"))
}

fn window_text() -> impl Strategy<Value = String> {
    let days = prop::sample::select(["daily", "Sat-Sun", "Fri", "Sun-Tue,Thu"].as_slice());
    let zone = prop::sample::select(ZONES.as_slice());
    let minute = |most: u32| (0..most).prop_map(|minute| minute * 10);
    (days, minute(144), minute(145), zone).prop_filter_map("empty", |(days, start, end, zone)| {
        let time = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        (start != end).then(|| format!("{days} {}-{} {zone}", time(start), time(end)))
    })
}

/// Moments from 2010 to 2030, half of them within hours of a change of some clock.
fn moment() -> impl Strategy<Value = Timestamp> {
    let changes = ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"];
    let more = ["2026-10-03T15:30:00Z", "2026-04-04T15:00:00Z", "2018-11-04T03:00:00Z", "2018-02-18T02:00:00Z"];
    let places: Vec<&str> = changes.into_iter().chain(more).chain(["2011-12-30T10:00:00Z"]).collect();
    let near = (prop::sample::select(places), -20_000_000i64..20_000_000)
        .prop_map(|(place, millis)| at(place) + SignedDuration::from_millis(millis));
    let any = (1_262_304_000i64..1_893_456_000).prop_map(|secs| Timestamp::from_second(secs).unwrap());
    prop_oneof![near, any]
}

fn any_moment() -> impl Strategy<Value = Timestamp> {
    let ends = prop::sample::select(vec![Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH]);
    let secs = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    prop_oneof![1 => ends, 9 => secs.prop_map(|secs| Timestamp::from_second(secs).unwrap_or(Timestamp::MAX))]
}

proptest! {
    #[test]
    fn the_two_directions_agree(text in cadence_text(), now in moment()) {
        let cadence = cadence(&text);
        let next = cadence.next_tick(now).unwrap();
        prop_assert!(next > now, "{text}");
        prop_assert_eq!(cadence.last_tick(next), Some(next), "{}", text);
        // Nothing ticks between: just before the next tick, the last one is still the one of now.
        let before = next - SignedDuration::from_nanos(1);
        prop_assert_eq!(cadence.last_tick(before), cadence.last_tick(now), "{}", text);
        if let Some(last) = cadence.last_tick(now) {
            prop_assert!(last <= now);
            prop_assert_eq!(cadence.next_tick(last), Some(next), "{}", text);
        }
    }

    #[test]
    fn nothing_panics_from_the_first_moment_to_the_last(text in cadence_text(), window in window_text(), now in any_moment()) {
        let (cadence, window) = (cadence(&text), super::window(&window));
        prop_assert!(cadence.last_tick(now).is_none_or(|last| last <= now));
        prop_assert!(cadence.next_tick(now).is_none_or(|next| next > now));
        prop_assert!(window.next_open(now).is_none_or(|opens| opens > now && window.is_open(opens)));
        prop_assert!(window.closes_at(now).is_none_or(|closes| closes > now && !window.is_open(closes)));
    }

    /// The slow way: look at every minute. All clocks of these years change at whole minutes.
    #[test]
    fn a_window_changes_where_a_walk_by_minutes_finds_it(texts in prop::collection::vec(window_text(), 1..3), now in moment()) {
        let windows = Windows(texts.iter().map(|text| window(text)).collect());
        let open = windows.is_open(now);
        let whole = Timestamp::from_second(now.as_second() / 60 * 60).unwrap();
        let mut minutes = (1..16 * 1_440).map(|minute| whole + SignedDuration::from_mins(minute));
        let walked = minutes.find(|minute| windows.is_open(*minute) != open);
        prop_assert_eq!(windows.next_change(now), walked, "{:?} {}", texts, now);
    }

    #[test]
    fn parsing_never_panics(text in ".*") {
        let _ = text.parse::<Cadence>();
        let _ = text.parse::<Windows>();
        let _ = text.parse::<Rate>();
    }

    #[test]
    fn parsing_words_of_the_grammar_never_panics(words in prop::collection::vec(prop::sample::select(vec![
        "every", "monthly", "on", "at", "+", "3", "days", "6h", "from", "2026-01-05", "2026-01-05T00:00", "02:00", "cron", "*",
        "*/2", "1-5", "last", "second", "Tue", "Sat-Sun", "22:00-04:00", "devices", "per", "hour", "UTC", "-", "/", ",", "Europe/Berlin",
        "9999-12-31", "-009999-01-01", "366days", "744", "hours", "é", "99999999999999999999",
    ]), 0..10)) {
        let text = words.join(" ");
        for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            if let Ok(cadence) = text.parse::<Cadence>() {
                let _ = (cadence.last_tick(now), cadence.next_tick(now), cadence.in_words());
            }
            if let Ok(window) = text.parse::<Window>() {
                let _ = (window.next_open(now), window.closes_at(now), window.in_words());
            }
        }
        let _ = text.parse::<Rate>();
    }
}
