//! Preconditions (RFC 9110 section 13), in the order of section 13.2.2.

use std::time::Duration;

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;

use super::etag::{Comparison, EntityTag, field_matches};
use super::http_date::{self, LastModified};

/// What a representation is compared by.
#[derive(Debug, Clone, Copy)]
pub struct Validators<'a> {
    /// Its strong entity tag.
    pub etag: &'a HeaderValue,
    last_modified: Option<LastModified>,
    longest_transfer: Option<Duration>,
}

/// What the preconditions say about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on as if there were none.
    Proceed,
    /// 304: the client has it (GET and HEAD only).
    NotModified,
    /// 412.
    PreconditionFailed,
}

impl<'a> Validators<'a> {
    /// `last_modified` counts as a strong validator only when it is a whole second: whoever sets it then vouches that
    /// two versions never share one. With `longest_transfer`, an `If-Modified-Since` later than `last_modified` is
    /// believed only if it is later by more than that: clients send their own clock's time at the end of a download,
    /// and the content may have changed while a slow one ran.
    pub fn new(etag: &'a HeaderValue, last_modified: Option<Timestamp>, longest_transfer: Option<Duration>) -> Self {
        Self { etag, last_modified: last_modified.and_then(LastModified::of), longest_transfer }
    }

    /// The `Last-Modified` to send, if there is one.
    pub fn last_modified_value(&self) -> Option<HeaderValue> {
        self.last_modified.and_then(LastModified::to_value)
    }

    /// Evaluates `If-Match` or else `If-Unmodified-Since`, then `If-None-Match` or else `If-Modified-Since`. A date
    /// that is invalid or repeated, or has no `Last-Modified` to be compared with, is ignored.
    pub fn evaluate(&self, method: &Method, headers: &HeaderMap) -> Verdict {
        let reads = method == Method::GET || method == Method::HEAD;
        let unchanged = if headers.contains_key(IF_MATCH) {
            field_matches(headers.get_all(IF_MATCH).iter(), self.etag, Comparison::Strong)
        } else {
            self.unmodified_since(headers)
        };
        if !unchanged {
            return Verdict::PreconditionFailed;
        }
        if headers.contains_key(IF_NONE_MATCH) {
            let known = field_matches(headers.get_all(IF_NONE_MATCH).iter(), self.etag, Comparison::Weak);
            return match (known, reads) {
                (false, _) => Verdict::Proceed,
                (true, true) => Verdict::NotModified,
                (true, false) => Verdict::PreconditionFailed,
            };
        }
        if reads && !self.modified_since(headers) { Verdict::NotModified } else { Verdict::Proceed }
    }

    /// Whether `If-Range` lets the `Range` beside it count: there is none, or it is this very representation's strong
    /// entity tag or exact date (RFC 9110 section 13.1.5). Anything else, the malformed too, asks for the whole.
    pub fn range_applies(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(IF_RANGE).iter();
        let Some(validator) = lines.next() else { return true };
        if lines.next().is_some() {
            return false;
        }
        match EntityTag::parse(super::range::trim_ows(validator.as_bytes())) {
            Some(tag) => tag.matches(self.etag, Comparison::Strong),
            None => {
                self.last_modified.is_some_and(|last| last.exact && http_date::parse(validator) == Some(last.seconds))
            }
        }
    }

    /// Whether the client names a date that is later than `last_modified` and all the same not believed. libcurl, which
    /// curl and freshclam are made of, compares the date that it sent with the answer's `Last-Modified` itself, and
    /// throws the content away unless that is later or missing: to such a client the date must not be sent.
    pub fn doubts_date(&self, headers: &HeaderMap) -> bool {
        match (http_date::single(headers, &IF_MODIFIED_SINCE), self.last_modified) {
            (Some(date), Some(last)) => date > last.seconds && !self.is_believable(date, last.seconds),
            _ => false,
        }
    }

    fn unmodified_since(&self, headers: &HeaderMap) -> bool {
        match (http_date::single(headers, &IF_UNMODIFIED_SINCE), self.last_modified) {
            (Some(date), Some(last)) => last.seconds <= date,
            _ => true,
        }
    }

    fn modified_since(&self, headers: &HeaderMap) -> bool {
        match (http_date::single(headers, &IF_MODIFIED_SINCE), self.last_modified) {
            (Some(date), Some(last)) => date != last.seconds && !self.is_believable(date, last.seconds),
            _ => true,
        }
    }

    /// Whether a client whose copy is from `date` must have seen the content that became active at `last`.
    fn is_believable(&self, date: u64, last: u64) -> bool {
        let Some(later_by) = date.checked_sub(last) else { return false };
        self.longest_transfer.is_none_or(|longest| Duration::from_secs(later_by) > longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn headers(lines: &[(http::HeaderName, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_date_with_a_fraction_is_no_strong_validator() {
        let etag = HeaderValue::from_static("\"a\"");
        let whole = Timestamp::new(784_111_777, 0).unwrap();
        let request = headers(&[(IF_RANGE, CHANGED)]);
        assert!(Validators::new(&etag, Some(whole), None).range_applies(&request));
        let fraction = Timestamp::new(784_111_777, 1).unwrap();
        assert!(!Validators::new(&etag, Some(fraction), None).range_applies(&request));
        assert!(!Validators::new(&etag, None, None).range_applies(&request));
    }

    #[test]
    fn only_a_later_date_within_the_longest_transfer_is_doubted() {
        let etag = HeaderValue::from_static("\"a\"");
        let last = Some(Timestamp::new(784_111_777, 0).unwrap());
        let validators = Validators::new(&etag, last, Some(Duration::from_secs(60)));
        for (date, is_doubted) in [
            ("Sun, 06 Nov 1994 08:49:36 GMT", false),
            (CHANGED, false),
            ("Sun, 06 Nov 1994 08:49:38 GMT", true),
            ("Sun, 06 Nov 1994 08:50:37 GMT", true),
            ("Sun, 06 Nov 1994 08:50:38 GMT", false),
            ("yesterday", false),
        ] {
            let request = headers(&[(IF_MODIFIED_SINCE, date)]);
            assert_eq!(validators.doubts_date(&request), is_doubted, "{date}");
            assert!(!Validators::new(&etag, last, None).doubts_date(&request), "{date}");
            assert!(!Validators::new(&etag, None, Some(Duration::MAX)).doubts_date(&request), "{date}");
        }
    }

    #[test]
    fn a_repeated_date_is_ignored() {
        let etag = HeaderValue::from_static("\"a\"");
        let validators = Validators::new(&etag, Some(Timestamp::new(784_111_777, 0).unwrap()), None);
        let mut twice = headers(&[(IF_MODIFIED_SINCE, CHANGED)]);
        assert_eq!(validators.evaluate(&Method::GET, &twice), Verdict::NotModified);
        twice.append(IF_MODIFIED_SINCE, HeaderValue::from_static(CHANGED));
        assert_eq!(validators.evaluate(&Method::GET, &twice), Verdict::Proceed);
    }
}
