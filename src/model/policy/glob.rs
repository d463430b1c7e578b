//! Globs over device ids and attribute values.

use std::fmt;
use std::str::FromStr;

use wildmatch::WildMatch;

/// The longest glob, in bytes.
const MAX_BYTES: usize = 128;
/// The most `*` in one glob: each may have to be tried at every place of the text.
const MAX_STARS: usize = 4;

/// A pattern over a whole text: `*` stands for any characters or none, `?` for exactly one, all else for itself.
/// Upper and lower case differ. 1 to 128 bytes, at most 4 stars.
#[derive(Clone)]
pub struct Glob {
    text: Box<str>,
    kind: Kind,
}

/// The common shapes are compared as bytes: a policy of hundreds of groups is tried from the top for each device.
#[derive(Clone)]
enum Kind {
    Exact,
    /// All before the one star, which is last.
    Prefix,
    /// All after the one star, which is first.
    Suffix,
    General(WildMatch),
}

/// Why a text is not a glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a glob: {why}")]
pub struct GlobError {
    text: String,
    why: &'static str,
}

impl Glob {
    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for one text only.
    pub fn is_exact(&self) -> bool {
        matches!(self.kind, Kind::Exact)
    }

    /// Whether all of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text_bytes) = (self.text.as_bytes(), text.as_bytes());
        match &self.kind {
            Kind::Exact => pattern == text_bytes,
            Kind::Prefix => text_bytes.starts_with(&pattern[..pattern.len() - 1]),
            Kind::Suffix => text_bytes.ends_with(&pattern[1..]),
            Kind::General(general) => general.matches(text),
        }
    }
}

impl Glob {
    /// Whether it surely matches all that `other` matches. Errs on the side of no.
    pub fn covers(&self, other: &Self) -> bool {
        let ours: Vec<char> = self.text.chars().collect();
        let theirs: Vec<char> = other.text.chars().collect();
        // `row[at]` says whether the rest of ours, from the character that was looked at last, covers theirs from `at`.
        let mut row = vec![false; theirs.len() + 1];
        row[theirs.len()] = true;
        for one in ours.iter().rev() {
            let mut next = vec![false; theirs.len() + 1];
            for at in (0..=theirs.len()).rev() {
                next[at] = match (one, theirs.get(at)) {
                    ('*', None) => row[at],
                    ('*', Some(_)) => row[at] || next[at + 1],
                    (_, None | Some('*')) => false,
                    ('?', Some(_)) => row[at + 1],
                    (literal, Some(theirs)) => literal == theirs && *theirs != '?' && row[at + 1],
                };
            }
            row = next;
        }
        row[0]
    }
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        let error = |why| GlobError { text: text.chars().take(80).collect(), why };
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(error("it has 1 to 128 bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(error("it has no control characters"));
        }
        let stars = text.matches('*').count();
        if stars > MAX_STARS {
            return Err(error("it has at most 4 stars"));
        }
        let kind = match (stars, text.contains('?')) {
            (0, false) => Kind::Exact,
            (1, false) if text.ends_with('*') => Kind::Prefix,
            (1, false) if text.starts_with('*') => Kind::Suffix,
            _ => Kind::General(WildMatch::new(text)),
        };
        Ok(Self { text: text.into(), kind })
    }
}

/// The text decides everything else.
impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Glob {}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, straight from the words.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|taken| naive(rest, &text[taken..])),
            Some(('?', rest)) => !text.is_empty() && naive(rest, &text[1..]),
            Some((one, rest)) => text.first() == Some(one) && naive(rest, &text[1..]),
        }
    }

    #[test]
    fn limits() {
        assert!("".parse::<Glob>().is_err());
        assert!("a\n".parse::<Glob>().is_err());
        assert!("*a*b*c*d*".parse::<Glob>().is_err());
        assert!("a".repeat(129).parse::<Glob>().is_err());
    }

    #[test]
    fn covering() {
        let covers = |left: &str, right: &str| left.parse::<Glob>().unwrap().covers(&right.parse().unwrap());
        for (left, right) in [("*", "a*?"), ("a*", "a*"), ("a*", "ab*c"), ("a?", "ab"), ("a?c", "a?c"), ("*b", "a*b")] {
            assert!(covers(left, right), "{left} {right}");
        }
        for (left, right) in [("a", "a*"), ("a?", "a*"), ("a*b", "a*"), ("ab", "a?"), ("a*", "*"), ("a*", "b")] {
            assert!(!covers(left, right), "{left} {right}");
        }
    }

    proptest! {
        #[test]
        fn what_is_covered_is_matched(left in "[ab*?]{1,5}", right in "[ab*?]{1,5}", text in "[ab]{0,6}") {
            if let (Ok(left), Ok(right)) = (left.parse::<Glob>(), right.parse::<Glob>()) {
                prop_assert!(left.covers(&left));
                prop_assert!(!(left.covers(&right) && right.matches(&text)) || left.matches(&text));
            }
        }

        #[test]
        fn equal_to_the_definition(pattern in "[ab*?é]{1,6}", text in "[abé]{0,7}") {
            if let Ok(glob) = pattern.parse::<Glob>() {
                let chars = |text: &str| text.chars().collect::<Vec<_>>();
                prop_assert_eq!(glob.matches(&text), naive(&chars(&pattern), &chars(&text)));
            }
        }
    }
}
