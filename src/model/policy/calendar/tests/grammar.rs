//! What may be written, what it is called, and what is refused.

use super::super::{CalendarError, Rate, Windows};
use super::*;

#[test]
fn cadences_in_words() {
    for (text, words) in [
        ("daily at 03:00 Europe/Berlin", "every day at 03:00 Berlin time"),
        ("DAILY AT 3:00 europe/berlin", "every day at 03:00 Berlin time"),
        ("weekly on Tuesday at 02:00", "every Tuesday at 02:00 UTC"),
        ("Mon, Thu at 02:00 America/New_York", "every Monday and Thursday at 02:00 New York time"),
        ("Sat-Mon at 02:00", "every Monday, Saturday and Sunday at 02:00 UTC"),
        ("monthly on 15 at 02:00", "on day 15 of the month at 02:00 UTC"),
        ("monthly on 31 at 02:00", "on day 31 of each month that has it at 02:00 UTC"),
        ("monthly on last day at 02:00", "on the last day of the month at 02:00 UTC"),
        ("last Friday at 02:00", "on the last Friday of the month at 02:00 UTC"),
        (
            "second Tuesday + 7 days at 02:00 Europe/Berlin",
            "on the second Tuesday of the month plus 7 days at 02:00 Berlin time",
        ),
        ("last day + 5 hours at 22:00", "on the last day of the month plus 5 hours at 22:00 UTC"),
        ("every 3 days from 2026-01-05 at 02:00", "every 3 days from 2026-01-05 on at 02:00 UTC"),
        ("every 6h from 2026-01-05T00:00 UTC", "every 6 hours from 2026-01-05 00:00 UTC on"),
        ("every 1 hour from 2026-01-05 at 00:30 Etc/GMT+5", "every 1 hour from 2026-01-05 00:30 Etc/GMT+5 on"),
        ("cron 0 3 * * 1-5 Europe/Berlin", "whenever the cron expression 0 3 * * 1-5 matches in Berlin time"),
    ] {
        assert_eq!(cadence(text).in_words(), words);
        assert_eq!(cadence(text).to_string(), text);
    }
}

#[test]
fn cadences_that_are_refused_say_why() {
    for (text, wrong) in [
        ("", "\"at\" and a time of day are missing"),
        ("daily", "\"at\" and a time of day are missing"),
        ("at 03:00", "it does not say on which days"),
        ("daily at", "a time of day is missing after \"at\""),
        ("daily at 24:00", "a day ends at 23:59"),
        ("daily at 3", "\"3\" is not a time"),
        ("daily at 03:60", "\"03:60\" is not a time"),
        ("daily at 03:00 Europe/Atlantis", "there is no time zone \"europe/atlantis\""),
        ("daily at 03:00 UTC UTC", "one word too many"),
        ("Tuesdy at 02:00", "\"tuesdy\" is not a day of the week"),
        ("monthly on 0 at 02:00", "\"0\" is not a day of a month"),
        ("monthly on 32 at 02:00", "\"32\" is not a day of a month"),
        ("monthly on Tuesday at 02:00", "more than one of each weekday"),
        ("second Tuesday + 32 days at 02:00", "up to 31"),
        ("Tuesday + 1 day at 02:00", "only days of a month"),
        ("every 0 days from 2026-01-05 at 02:00", "from 1 to 366"),
        ("every 3 weeks from 2026-01-05 at 02:00", "not a number of days or hours"),
        ("every 3 days at 02:00", "\"from\" and a first date are missing"),
        ("every 3 days from 2026-02-30 at 02:00", "\"2026-02-30\" is not a date"),
        ("cron 0 3 * *", "five fields"),
        ("cron 60 3 * * *", "\"60\" is not a minute from 0 to 59"),
        ("cron 0 3 * * 8", "is not a day of the week"),
        ("cron 0 3 5-2 * *", "runs backwards"),
        ("cron */0 3 * * *", "is not a minute"),
    ] {
        let error = text.parse::<Cadence>().unwrap_err();
        assert!(matches!(error, CalendarError::Cadence { .. }), "{text}: {error}");
        assert!(error.to_string().contains(wrong), "{text}: {error}");
        assert!(error.to_string().contains("write for example"), "{error}");
    }
    assert!("daily at 03:00 ".repeat(20).parse::<Cadence>().is_err());
}

#[test]
fn a_cadence_that_never_fires_is_refused() {
    for text in ["cron 0 0 30 2 *", "cron 0 0 31 2,4,6,9,11 *", "cron 0 0 30,31 feb * Europe/Berlin"] {
        let error = text.parse::<Cadence>().unwrap_err();
        assert!(matches!(error, CalendarError::NeverFires { .. }), "{error}");
        assert!(error.to_string().contains("never fires"), "{error}");
    }
    for text in ["cron 0 0 29 2 *", "cron 0 0 30 2 1", "cron 0 0 31 2,3 *"] {
        assert!(cadence(text).next_tick(at("2026-01-01T00:00:00Z")).is_some(), "{text}");
    }
}

#[test]
fn windows_in_words() {
    for (text, words) in [
        ("Sat-Sun 00:00-06:00 Europe/Berlin", "Saturday and Sunday from 00:00 to 06:00 Berlin time"),
        (
            "Mon, Wed,fri 22:00-04:00 America/New_York",
            "Monday, Wednesday and Friday from 22:00 to 04:00 the next day New York time",
        ),
        ("daily 01:00-05:00", "every day from 01:00 to 05:00 UTC"),
        ("Sat 22:00-00:00", "Saturday from 22:00 to 24:00 UTC"),
        ("Sat 00:00-24:00", "Saturday from 00:00 to 24:00 UTC"),
    ] {
        assert_eq!(window(text).in_words(), words);
        assert_eq!(window(text).to_string(), text);
    }
    for (text, wrong) in [
        ("Sat 06:00-06:00", "it is empty"),
        ("Sat 24:00-06:00", "write 00:00"),
        ("06:00-07:00", "on which days"),
        ("Sat", "its hours are missing"),
        ("Sat 06:00", "no start and end"),
        ("Sat 06:00-07:00 Mars", "no time zone"),
        ("Sa 06:00-07:00", "\"sa\" is not a day"),
        ("Sat 06:00-24:01", "\"24:01\" is not a time"),
    ] {
        let error = text.parse::<Window>().unwrap_err().to_string();
        assert!(error.contains(wrong) && error.contains("write for example"), "{text}: {error}");
    }
    let windows: Windows = "Sat 01:00-02:00; Sun 03:00-04:00 Europe/Berlin".parse().unwrap();
    assert_eq!(windows.in_words(), "Saturday from 01:00 to 02:00 UTC, or Sunday from 03:00 to 04:00 Berlin time");
    assert_eq!(windows.to_string().parse::<Windows>().unwrap(), windows);
}

#[test]
fn rates() {
    for (text, devices, secs, words) in [
        ("500 devices per hour", 500, 3_600, "at most 500 devices an hour"),
        ("1 device per minute", 1, 60, "at most 1 device a minute"),
        ("4294967295 Devices per day", u32::MAX, 86_400, "at most 4294967295 devices a day"),
        ("20 devices per 10m", 20, 600, "at most 20 devices in 10 minutes"),
        ("20 devices per 2h", 20, 7_200, "at most 20 devices in 2 hours"),
        ("20 devices per 31d", 20, 2_678_400, "at most 20 devices in 31 days"),
    ] {
        let rate: Rate = text.parse().unwrap();
        assert_eq!((rate.devices(), rate.period_secs(), rate.in_words().as_str()), (devices, secs, words));
        assert_eq!(rate.to_string(), text);
    }
    for text in [
        "",
        "0 devices per hour",
        "4294967296 devices per hour",
        "-1 devices per hour",
        "500 per hour",
        "500 devices per 0m",
        "500 devices per 32d",
        "500 devices per fortnight",
        "500 devices per h",
        "500 devices per 2hour",
        "500 devices per hour UTC",
    ] {
        let error = text.parse::<Rate>().unwrap_err().to_string();
        assert!(error.contains("is not a rate") && error.contains("500 devices per hour"), "{error}");
    }
}
