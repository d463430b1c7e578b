//! When windows open and close. The DST cases are Zincati's documented ones (docs, "Time zone caveats"): clock times
//! are obeyed, so a window may be shorter or missing in spring and longer in autumn.

use super::super::Windows;
use super::*;

/// Every change of a window from `after` on, as (moment, open then).
fn changes(text: &str, after: &str, count: usize) -> Vec<(String, bool)> {
    let windows: Windows = text.parse().unwrap();
    let mut last = at(after);
    let mut found = Vec::new();
    for _ in 0..count {
        last = windows.next_change(last).unwrap();
        found.push((last.to_string(), windows.is_open(last)));
    }
    found
}

fn expect(text: &str, after: &str, expected: &[(&str, bool)]) {
    let expected: Vec<(String, bool)> = expected.iter().map(|(moment, open)| ((*moment).to_owned(), *open)).collect();
    assert_eq!(changes(text, after, expected.len()), expected, "{text}");
}

#[test]
fn zincatis_documented_windows() {
    // Saturday and Sunday 23:30 for 60 minutes, Wednesday 01:00 for 30: over the end of the day and of the week.
    expect(
        "Sat,Sun 23:30-00:30; Wed 01:00-01:30",
        "2020-11-24T00:00:00Z",
        &[
            ("2020-11-25T01:00:00Z", true),
            ("2020-11-25T01:30:00Z", false),
            ("2020-11-28T23:30:00Z", true),
            ("2020-11-29T00:30:00Z", false),
            ("2020-11-29T23:30:00Z", true),
            ("2020-11-30T00:30:00Z", false),
        ],
    );
    // Panama: Sunday 23:30 and Monday 00:00 for an hour each are one window of 90 minutes.
    expect(
        "Sat,Sun 23:30-00:30 America/Panama; Mon 00:00-01:00 America/Panama",
        "2020-11-29T12:00:00Z",
        &[("2020-11-30T04:30:00Z", true), ("2020-11-30T06:00:00Z", false)],
    );
    // Monday 01:30 for 15 minutes, the waits that its tests list.
    let window = window("Mon 01:30-01:45");
    for (now, minutes) in
        [("2020-11-23T00:15:00Z", 75), ("2020-11-23T02:00:00Z", 60 * 24 * 7 - 30), ("2020-11-22T01:30:00Z", 60 * 24)]
    {
        let wait = at(now).duration_until(window.next_open(at(now)).unwrap());
        assert_eq!(wait.as_mins(), minutes, "{now}");
    }
    assert!(window.is_open(at("2020-11-23T01:30:00Z")));
    // Theirs counts the minute of the end as open; ours closes at its end.
    assert!(!window.is_open(at("2020-11-23T01:45:00Z")));
}

#[test]
fn zincatis_sunday_around_the_changes_of_the_clock() {
    let text = "Sun 01:30-02:30 US/Eastern";
    // Spring: 02:00 to 03:00 is missing, so it is half an hour.
    expect(text, "2026-03-07T12:00:00Z", &[("2026-03-08T06:30:00Z", true), ("2026-03-08T07:00:00Z", false)]);
    // Autumn: 01:30 to 02:00 comes twice, so it is half an hour longer.
    expect(
        text,
        "2026-10-31T12:00:00Z",
        &[
            ("2026-11-01T05:30:00Z", true),
            ("2026-11-01T06:00:00Z", false),
            ("2026-11-01T06:30:00Z", true),
            ("2026-11-01T07:30:00Z", false),
        ],
    );
    // A window inside the gap is skipped; one that starts in it opens after it.
    let skipped = [("2026-03-15T06:10:00Z", true), ("2026-03-15T06:50:00Z", false)];
    expect("Sun 02:10-02:50 US/Eastern", "2026-03-07T12:00:00Z", &skipped);
    let late = [("2026-03-08T07:00:00Z", true), ("2026-03-08T08:00:00Z", false)];
    expect("Sun 02:30-04:00 US/Eastern", "2026-03-07T12:00:00Z", &late);
}

#[test]
fn over_midnight_and_around_skipped_days() {
    expect(
        "Mon,Wed,Fri 22:00-04:00 America/New_York",
        "2026-10-30T12:00:00Z",
        &[("2026-10-31T02:00:00Z", true), ("2026-10-31T08:00:00Z", false), ("2026-11-03T03:00:00Z", true)],
    );
    // The night of the change: one hour more.
    let night = [("2026-10-25T00:00:00Z", false), ("2026-10-24T20:00:00Z", true), ("2026-10-25T03:00:00Z", false)];
    expect("Sat 22:00-04:00 Europe/Berlin", "2026-10-24T00:00:00Z", &night[1..]);
    assert!(window("Sat 22:00-04:00 Europe/Berlin").is_open(at(night[0].0)));
    // Apia had no 30 December 2011: its Friday is missed for a week.
    expect("Fri 10:00-12:00 Pacific/Apia", "2011-12-24T12:00:00Z", &[("2012-01-05T20:00:00Z", true)]);
    // São Paulo's clocks went back at midnight: the last hour of Saturday came twice.
    let sao_paulo = [("2018-02-18T00:00:00Z", true), ("2018-02-18T03:00:00Z", false)];
    expect("Sat 22:00-24:00 America/Sao_Paulo", "2018-02-17T12:00:00Z", &sao_paulo);
}

#[test]
fn always_and_never() {
    let always = window("daily 00:00-24:00 Europe/Berlin");
    let now = at("2026-03-28T12:00:00Z");
    assert!(always.is_open(now));
    assert_eq!((always.closes_at(now), always.next_open(now)), (None, None));
    let never = Windows(Vec::new());
    assert!(!never.is_open(now));
    assert_eq!((never.next_open(now), never.next_change(now), never.closes_at(now)), (None, None, None));
    let weekend = window("Sat-Sun 00:00-24:00");
    assert_eq!(weekend.closes_at(now), Some(at("2026-03-30T00:00:00Z")));
    assert_eq!(weekend.next_open(now), Some(at("2026-04-04T00:00:00Z")));
    assert_eq!(weekend.closes_at(at("2026-03-30T00:00:00Z")), None);
}
