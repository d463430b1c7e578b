//! Release versions: dotted numbers, compared part by part.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most parts a version may have.
const MAX_PARTS: usize = 8;

/// A release's version: 1 to 8 decimal numbers joined by dots, each at most 2⁶⁴−1 (`1.427.3.0`, `5.0.202609190133`).
///
/// Compared part by part as integers; missing parts count as 0, so `1.0` and `1.0.0` are the same version. The
/// original text is kept for people and for vendors' tools.
#[derive(Clone)]
pub struct Version {
    text: Arc<str>,
    /// Without trailing zeros, so that equal versions have equal parts.
    parts: Arc<[u64]>,
}

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a version: a version is 1 to {MAX_PARTS} numbers joined by dots, for example 1.427.3.0")]
pub struct VersionError {
    text: String,
}

impl Version {
    /// The text as the publisher wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = || VersionError { text: text.chars().take(80).collect() };
        let mut parts = Vec::with_capacity(4);
        for part in text.split('.') {
            // u64's own parser takes a leading '+', which is no number of a version.
            if parts.len() == MAX_PARTS || !part.bytes().all(|byte| byte.is_ascii_digit()) || part.len() > 20 {
                return Err(error());
            }
            parts.push(part.parse().map_err(|_| error())?);
        }
        while parts.last() == Some(&0) {
            parts.pop();
        }
        Ok(Self { text: text.into(), parts: parts.into() })
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts.hash(state);
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts.cmp(&other.parts)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn order_of_real_versions() {
        let rising = ["1.1.25030.1", "1.427.3.0", "1.427.10", "4.18.25020.1009", "5.0.202609190133", "6.1.0.47"];
        for pair in rising.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert_eq!(version("1.0"), version("1.0.0"));
        assert_eq!(version("2026.09"), version("2026.9"));
        assert_eq!(version("1.0.0").to_string(), "1.0.0");
    }

    #[test]
    fn refusals() {
        for bad in [
            "",
            ".",
            "1.",
            ".1",
            "1..2",
            "v1",
            "1.0-rc1",
            "+1",
            "-1",
            "1 ",
            "18446744073709551616",
            "١",
            "1.1.1.1.1.1.1.1.1",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn order_is_that_of_padded_integers(a in proptest::collection::vec(0u64..4, 1..5), b in proptest::collection::vec(0u64..4, 1..5)) {
            let text = |parts: &[u64]| parts.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
            let pad = |parts: &[u64]| { let mut parts = parts.to_vec(); parts.resize(8, 0); parts };
            prop_assert_eq!(version(&text(&a)).cmp(&version(&text(&b))), pad(&a).cmp(&pad(&b)));
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<Version>();
        }
    }
}
