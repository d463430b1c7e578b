//! The answers of other programs, as constants.

use super::*;

/// One question to `systemd-analyze calendar` (systemd 252): what was asked, the same as a cadence, its answers.
struct Vector {
    /// `systemd-analyze calendar --iterations=N --base-time='<base>' '<asked>'`
    asked: &'static str,
    cadence: &'static str,
    base: &'static str,
    answers: &'static [&'static str],
}

const VECTORS: &[Vector] = &[
    Vector {
        asked: "Tue *-*-8..14 02:00:00 Europe/Berlin",
        cadence: "second Tuesday at 02:00 Europe/Berlin",
        base: "2026-01-01T00:00:00Z",
        answers: &[
            "2026-01-13T01:00:00Z",
            "2026-02-10T01:00:00Z",
            "2026-03-10T01:00:00Z",
            "2026-04-14T00:00:00Z",
            "2026-05-12T00:00:00Z",
            "2026-06-09T00:00:00Z",
            "2026-07-14T00:00:00Z",
            "2026-08-11T00:00:00Z",
            "2026-09-08T00:00:00Z",
            "2026-10-13T00:00:00Z",
            "2026-11-10T01:00:00Z",
            "2026-12-08T01:00:00Z",
        ],
    },
    Vector {
        asked: "*-*~01 02:00:00 America/New_York",
        cadence: "last day at 02:00 America/New_York",
        base: "2026-01-01T00:00:00Z",
        answers: &[
            "2026-01-31T07:00:00Z",
            "2026-02-28T07:00:00Z",
            "2026-03-31T06:00:00Z",
            "2026-04-30T06:00:00Z",
            "2026-05-31T06:00:00Z",
        ],
    },
    Vector {
        asked: "Fri *-*~07/1 02:00:00 Europe/Berlin",
        cadence: "last Friday at 02:00 Europe/Berlin",
        base: "2026-01-01T00:00:00Z",
        answers: &[
            "2026-01-30T01:00:00Z",
            "2026-02-27T01:00:00Z",
            "2026-03-27T01:00:00Z",
            "2026-04-24T00:00:00Z",
            "2026-05-29T00:00:00Z",
        ],
    },
    Vector {
        asked: "*-*-* 03:00:00 Europe/Berlin",
        cadence: "daily at 03:00 Europe/Berlin",
        base: "2026-10-22T00:00:00Z",
        answers: &[
            "2026-10-22T01:00:00Z",
            "2026-10-23T01:00:00Z",
            "2026-10-24T01:00:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-26T02:00:00Z",
            "2026-10-27T02:00:00Z",
        ],
    },
    // 02:30 comes twice on 25 October: one tick, the first.
    Vector {
        asked: "*-*-* 02:30:00 Europe/Berlin",
        cadence: "daily at 02:30 Europe/Berlin",
        base: "2026-10-23T00:00:00Z",
        answers: &[
            "2026-10-23T00:30:00Z",
            "2026-10-24T00:30:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
            "2026-10-27T01:30:00Z",
        ],
    },
    Vector {
        asked: "Mon..Fri *-*-* 03:15:00 America/New_York",
        cadence: "cron 15 3 * * 1-5 America/New_York",
        base: "2026-03-26T00:00:00Z",
        answers: &[
            "2026-03-26T07:15:00Z",
            "2026-03-27T07:15:00Z",
            "2026-03-30T07:15:00Z",
            "2026-03-31T07:15:00Z",
            "2026-04-01T07:15:00Z",
            "2026-04-02T07:15:00Z",
        ],
    },
    Vector {
        asked: "Mon,Thu *-*-* 02:00:00 Australia/Lord_Howe",
        cadence: "weekly on Mon, Thu at 02:00 Australia/Lord_Howe",
        base: "2026-09-30T00:00:00Z",
        answers: &[
            "2026-09-30T15:30:00Z",
            "2026-10-04T15:00:00Z",
            "2026-10-07T15:00:00Z",
            "2026-10-11T15:00:00Z",
            "2026-10-14T15:00:00Z",
        ],
    },
    Vector {
        asked: "*-*-31 02:00:00 Asia/Kathmandu",
        cadence: "monthly on 31 at 02:00 Asia/Kathmandu",
        base: "2026-01-01T00:00:00Z",
        answers: &[
            "2026-01-30T20:15:00Z",
            "2026-03-30T20:15:00Z",
            "2026-05-30T20:15:00Z",
            "2026-07-30T20:15:00Z",
            "2026-08-30T20:15:00Z",
        ],
    },
    Vector {
        asked: "*-02-29 00:00:00 UTC",
        cadence: "cron 0 0 29 2 *",
        base: "2026-01-01T00:00:00Z",
        answers: &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z", "2036-02-29T00:00:00Z", "2040-02-29T00:00:00Z"],
    },
    Vector {
        asked: "*-*-* 0/6:20:00 UTC",
        cadence: "cron 20 */6 * * *",
        base: "2026-01-01T00:00:00Z",
        answers: &[
            "2026-01-01T00:20:00Z",
            "2026-01-01T06:20:00Z",
            "2026-01-01T12:20:00Z",
            "2026-01-01T18:20:00Z",
            "2026-01-02T00:20:00Z",
        ],
    },
    Vector {
        asked: "Fri *-*-29..31 12:00:00 UTC",
        cadence: "fifth Friday at 12:00",
        base: "2026-01-01T00:00:00Z",
        answers: &["2026-01-30T12:00:00Z", "2026-05-29T12:00:00Z", "2026-07-31T12:00:00Z", "2026-10-30T12:00:00Z"],
    },
];

#[test]
fn systemd_ticks_at_the_same_moments() {
    for vector in VECTORS {
        assert_eq!(ticks(vector.cadence, vector.base, vector.answers.len()), vector.answers, "{}", vector.asked);
    }
}

/// `systemd-analyze calendar --base-time='2026-03-26 00:00:00 UTC' '*-*-* 02:30:00 Europe/Berlin'` leaves out 29 March,
/// where 02:30 does not exist. A cadence that froze a release must let go of it on that day, too, so ours ticks after
/// the gap.
#[test]
fn unlike_systemd_a_time_in_the_gap_ticks_after_it() {
    let expected = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    assert_eq!(ticks("daily at 02:30 Europe/Berlin", "2026-03-28T00:00:00Z", 3), expected);
    // Half an hour at 02:00, a midnight, and a whole day that was left out.
    for (text, after, tick) in [
        ("daily at 02:10 Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-03T15:30:00Z"),
        ("daily at 00:00 America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"),
        ("Fri at 12:00 Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-30T10:00:00Z"),
    ] {
        assert_eq!(ticks(text, after, 1), [tick], "{text}");
    }
}

#[test]
fn many_minutes_in_a_gap_are_one_tick_and_the_second_pass_has_none() {
    let expected = ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"];
    assert_eq!(ticks("cron 0,30 * * * * Europe/Berlin", "2026-03-29T00:00:00Z", 3), expected);
    // 02:00 and 02:30 summer time, then 03:00 winter time.
    let expected = ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"];
    assert_eq!(ticks("cron 0,30 * * * * Europe/Berlin", "2026-10-24T23:30:00Z", 3), expected);
    let second_pass = cadence("cron 0,30 * * * * Europe/Berlin").last_tick(at("2026-10-25T01:10:00Z"));
    assert_eq!(second_pass, Some(at("2026-10-25T00:30:00Z")));
}

#[test]
fn offsets_and_steps() {
    let expected = ["2026-01-20T01:00:00Z", "2026-02-17T01:00:00Z", "2026-03-17T01:00:00Z", "2026-04-21T00:00:00Z"];
    assert_eq!(ticks("second Tuesday + 7 days at 02:00 Europe/Berlin", "2026-01-01T00:00:00Z", 4), expected);
    // 31 days after the last day of January is past the end of February.
    assert_eq!(
        ticks("last day + 31 days at 02:00", "2026-02-20T00:00:00Z", 2),
        ["2026-03-03T02:00:00Z", "2026-03-31T02:00:00Z"]
    );
    let expected = ["2026-01-05T01:00:00Z", "2026-01-08T01:00:00Z"];
    assert_eq!(ticks("every 3 days from 2026-01-05 at 02:00 Europe/Berlin", "2020-01-01T00:00:00Z", 2), expected);
    // 2 April is 87 days after the first tick; the clock changed in between.
    let expected = ["2026-04-02T00:00:00Z", "2026-04-05T00:00:00Z"];
    assert_eq!(ticks("every 3 days from 2026-01-05 at 02:00 Europe/Berlin", "2026-03-30T00:00:00Z", 2), expected);
    let steps = "every 6h from 2026-01-05T00:00 Europe/Berlin";
    assert_eq!(ticks(steps, "2026-03-29T00:00:00Z", 2), ["2026-03-29T05:00:00Z", "2026-03-29T11:00:00Z"]);
    assert_eq!(ticks(steps, "1970-01-01T00:00:00Z", 1), ["2026-01-04T23:00:00Z"]);
    assert_eq!(cadence(steps).last_tick(at("2026-01-04T22:59:59Z")), None);
}

#[test]
fn cron_takes_either_day_field_unless_one_begins_with_a_star() {
    // The 13th, and every Friday.
    let expected = ["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z", "2026-01-16T00:00:00Z"];
    assert_eq!(ticks("cron 0 0 13 * fri", "2026-01-01T00:00:00Z", 4), expected);
    // Odd days that are Mondays.
    let expected = ["2026-01-05T00:00:00Z", "2026-01-19T00:00:00Z"];
    assert_eq!(ticks("cron 0 0 */2 * mon", "2026-01-01T00:00:00Z", 2), expected);
    // Sunday is 0 and 7; the 29th of February on a Sunday comes every 28 years.
    for text in ["cron 0 0 * * 0", "cron 0 0 * * 7", "cron 0 0 * * Sun", "cron 0 0 * jan-dec sun-sun"] {
        assert_eq!(ticks(text, "2026-01-01T00:00:00Z", 1), ["2026-01-04T00:00:00Z"], "{text}");
    }
    assert_eq!(ticks("cron 0 0 29 2 */7", "2033-01-01T00:00:00Z", 1), ["2060-02-29T00:00:00Z"]);
    assert_eq!(
        ticks("cron 0 0 * * fri-sun", "2026-01-03T12:00:00Z", 2),
        ["2026-01-04T00:00:00Z", "2026-01-09T00:00:00Z"]
    );
}
