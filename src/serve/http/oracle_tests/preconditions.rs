//! Every combination of preconditions against a model that knows what each field means, but never reads its text.

use std::time::Duration;

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;

use super::super::conditional::{Validators, Verdict};

const ETAG: &str = "\"current\"";
/// Sun, 06 Nov 1994 08:49:37 GMT.
const CHANGED: i64 = 784_111_777;
const LONGEST: i64 = 900;

/// A tag field's text and whether it names the current representation: (strongly, weakly).
const TAGS: [(Option<&str>, bool, bool); 9] = [
    (None, false, false),
    (Some("\"current\""), true, true),
    (Some("W/\"current\""), false, true),
    (Some("\"other\""), false, false),
    (Some("\"other\" , W/\"current\""), false, true),
    (Some(",\"other\",\t\"current\""), true, true),
    (Some("*"), true, true),
    (Some("current"), false, false),
    (Some(""), false, false),
];

/// A date field's text and, if it is valid, how many seconds after the change it lies.
const DATES: [(Option<&str>, Option<i64>); 10] = [
    (None, None),
    (Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0)),
    (Some("Sunday, 06-Nov-94 08:49:37 GMT"), Some(0)),
    (Some("Sun Nov  6 08:49:36 1994"), Some(-1)),
    (Some("Sun, 06 Nov 1994 08:49:38 GMT"), Some(1)),
    (Some("Sun, 06 Nov 1994 09:04:37 GMT"), Some(LONGEST)),
    (Some("Sun, 06 Nov 1994 09:04:38 GMT"), Some(LONGEST + 1)),
    (Some("Thu, 01 Jan 1970 00:00:00 GMT"), Some(-CHANGED)),
    (Some("Tue, 06 Nov 1994 08:49:37 GMT"), None),
    (Some("yesterday"), None),
];

fn set(headers: &mut HeaderMap, name: HeaderName, text: Option<&str>) {
    if let Some(text) = text {
        headers.insert(name, HeaderValue::from_str(text).unwrap());
    }
}

/// The numbered steps of RFC 9110 section 13.2.2, as far as preconditions go.
struct Steps {
    reads: bool,
    has_date: bool,
    longest: Option<i64>,
    if_match: Option<bool>,
    if_unmodified_since: Option<i64>,
    if_none_match: Option<bool>,
    if_modified_since: Option<i64>,
}

impl Steps {
    fn run(&self) -> Verdict {
        // 1 and 2
        if self.if_match == Some(false) {
            return Verdict::PreconditionFailed;
        }
        if self.if_match.is_none() && self.has_date && self.if_unmodified_since.is_some_and(|after| after < 0) {
            return Verdict::PreconditionFailed;
        }
        // 3
        if self.if_none_match == Some(true) {
            return if self.reads { Verdict::NotModified } else { Verdict::PreconditionFailed };
        }
        // 4, with the rule that a date within the longest transfer proves nothing
        if self.if_none_match.is_none() && self.reads && self.has_date {
            let fresh = match (self.if_modified_since, self.longest) {
                (None, _) => false,
                (Some(after), None) => after >= 0,
                (Some(after), Some(longest)) => after == 0 || after > longest,
            };
            if fresh {
                return Verdict::NotModified;
            }
        }
        Verdict::Proceed
    }
}

#[test]
fn every_combination_is_decided_in_the_order_of_the_rfc() {
    let etag = HeaderValue::from_static(ETAG);
    let mut combinations = 0;
    for (match_text, match_strong, _) in TAGS {
        for (unmodified_text, unmodified) in DATES {
            for (none_match_text, _, none_match_weak) in TAGS {
                for (modified_text, modified) in DATES {
                    let mut headers = HeaderMap::new();
                    set(&mut headers, IF_MATCH, match_text);
                    set(&mut headers, IF_UNMODIFIED_SINCE, unmodified_text);
                    set(&mut headers, IF_NONE_MATCH, none_match_text);
                    set(&mut headers, IF_MODIFIED_SINCE, modified_text);
                    for method in [Method::GET, Method::HEAD, Method::PUT] {
                        for (has_date, longest) in [(false, None), (true, None), (true, Some(LONGEST))] {
                            let steps = Steps {
                                reads: method != Method::PUT,
                                has_date,
                                longest,
                                if_match: match_text.map(|_| match_strong),
                                if_unmodified_since: unmodified,
                                if_none_match: none_match_text.map(|_| none_match_weak),
                                if_modified_since: modified,
                            };
                            let date = has_date.then(|| Timestamp::from_second(CHANGED).unwrap());
                            let longest = longest.map(|seconds| Duration::from_secs(seconds as u64));
                            let verdict = Validators::new(&etag, date, longest).evaluate(&method, &headers);
                            assert_eq!(verdict, steps.run(), "{method} {headers:?} {date:?} {longest:?}");
                            combinations += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(combinations, 9 * 10 * 9 * 10 * 9);
}

#[test]
fn if_range_takes_a_strong_tag_or_the_exact_date() {
    let etag = HeaderValue::from_static(ETAG);
    let tags = TAGS.iter().map(|&(text, strong, _)| (text, strong && text == Some(ETAG)));
    let dates = DATES.iter().map(|&(text, after)| (text, after == Some(0)));
    for has_date in [false, true] {
        let date = has_date.then(|| Timestamp::from_second(CHANGED).unwrap());
        // How long transfers may take is no matter here: the date must be the very one.
        let validators = Validators::new(&etag, date, Some(Duration::from_secs(900)));
        for (text, is_current) in tags.clone().chain(dates.clone().map(|(text, exact)| (text, exact && has_date))) {
            let mut headers = HeaderMap::new();
            set(&mut headers, IF_RANGE, text);
            assert_eq!(validators.range_applies(&headers), text.is_none() || is_current, "{text:?}, dated: {has_date}");
        }
        let mut twice = HeaderMap::new();
        twice.append(IF_RANGE, etag.clone());
        twice.append(IF_RANGE, etag.clone());
        assert!(!validators.range_applies(&twice));
    }
}
