//! HTTP dates (RFC 9110 section 5.6.7) as whole seconds since 1970.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

/// When a representation last changed, as HTTP can say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastModified {
    /// Seconds since 1970, rounded down.
    pub(super) seconds: u64,
    /// Whether nothing was rounded away. Only then is the date a strong validator (RFC 9110 section 8.8.2.2): changes
    /// on whole seconds that strictly increase cannot share one.
    pub(super) exact: bool,
}

impl LastModified {
    /// None for a time before 1970, which has no HTTP date here.
    pub(super) fn of(time: Timestamp) -> Option<Self> {
        let seconds = u64::try_from(time.as_second()).ok().filter(|_| time.as_nanosecond() >= 0)?;
        Some(Self { seconds, exact: time.subsec_nanosecond() == 0 })
    }

    /// As IMF-fixdate, the one form to send.
    pub(super) fn to_value(self) -> Option<HeaderValue> {
        // A timestamp ends in the year 9999, so it is in the range that can be written.
        HeaderValue::try_from(httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(self.seconds))).ok()
    }
}

/// The date in any of the three forms that a recipient must accept, as seconds since 1970; None if it is no date.
pub(super) fn parse(value: &HeaderValue) -> Option<u64> {
    let time = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// The date of a header that must stand alone; None if it is missing, repeated or no date: then it is to be ignored.
pub(super) fn single(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (Some(only), None) => parse(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_are_one_second() {
        // The example of RFC 9110 section 5.6.7 in its three spellings.
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(&HeaderValue::from_static(text)), Some(784_111_777), "{text}");
        }
        for text in ["", "0", "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET", "1994-11-06T08:49:37Z"]
        {
            assert_eq!(parse(&HeaderValue::from_static(text)), None, "{text}");
        }
    }

    #[test]
    fn what_has_no_http_date_has_none() {
        assert_eq!(LastModified::of(Timestamp::new(-1, 0).unwrap()), None);
        assert_eq!(LastModified::of(Timestamp::new(0, -1).unwrap()), None);
        assert_eq!(LastModified::of(Timestamp::MIN), None);
        assert!(LastModified::of(Timestamp::MAX).unwrap().to_value().is_some());
        let zero = LastModified::of(Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(zero.to_value().unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
