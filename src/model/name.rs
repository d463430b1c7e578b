//! Short names: products, groups, rings, platforms, devices.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not a name. The message is a whole sentence that says what the name may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {rule}")]
pub struct NameError {
    text: String,
    kind: &'static str,
    rule: &'static str,
}

impl NameError {
    /// An error for `text`, cut to 80 characters so that a message stays readable whatever was sent.
    pub(crate) fn new(text: &str, kind: &'static str, rule: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), kind, rule }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[doc = ""]
        #[doc = concat!("Grammar: ", $rule, ". Cheap to clone.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(NameError::new(text, $kind, $rule)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use name;

/// Lower-case letters, digits and inner `.`, `_`, `-`; starts and ends with a letter or digit.
pub(crate) fn is_slug(text: &str, max_bytes: usize) -> bool {
    let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= max_bytes
        && bytes.iter().all(|byte| edge(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && bytes.first().is_some_and(edge)
        && bytes.last().is_some_and(edge)
}

name!(
    /// An independently versioned line of releases.
    ProductName,
    "product name",
    "1 to 64 lower-case letters, digits and inner '.', '_' or '-'",
    |text| is_slug(text, 64)
);
name!(
    /// A group of devices in the policy.
    GroupName,
    "group name",
    "1 to 64 lower-case letters, digits and inner '.', '_' or '-'",
    |text| is_slug(text, 64)
);
name!(
    /// An ordered exposure tier in the policy.
    RingName,
    "ring name",
    "1 to 64 lower-case letters, digits and inner '.', '_' or '-'",
    |text| is_slug(text, 64)
);
name!(
    /// A tree of stable names for one group.
    ShareName,
    "share name",
    "1 to 64 lower-case letters, digits and inner '.', '_' or '-'",
    |text| is_slug(text, 64)
);
name!(
    /// An offline site, which syncs by carried bundles.
    SiteName,
    "site name",
    "1 to 64 lower-case letters, digits and inner '.', '_' or '-'",
    |text| is_slug(text, 64)
);
name!(
    /// How a share arranges its files, for example `defender-windows`.
    LayoutName,
    "layout name",
    "1 to 32 lower-case letters, digits and inner '.', '_' or '-'",
    |text| is_slug(text, 32)
);
name!(
    /// What an artifact runs on, for example `windows-x64`; `any` fits every device.
    Platform,
    "platform",
    "1 to 32 lower-case letters, digits and inner '.', '_' or '-', for example windows-x64",
    |text| is_slug(text, 32)
);
name!(
    /// A device's proven identity.
    DeviceId,
    "device id",
    "1 to 128 letters, digits, '.', '_', '-', ':' or '@'",
    |text| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'@'))
    }
);

impl Platform {
    /// The platform of artifacts that fit every device.
    pub fn any() -> Self {
        Self("any".into())
    }

    /// Whether an artifact of this platform fits a device of platform `wanted`. A device that names none takes all.
    pub fn fits(&self, wanted: Option<&Platform>) -> bool {
        &*self.0 == "any" || wanted.is_none_or(|wanted| wanted == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        for good in ["a", "defender-intelligence", "linux6.1", "0x"] {
            assert!(good.parse::<ProductName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "..", "é", &"a".repeat(65)] {
            assert!(bad.parse::<ProductName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_says_what_is_allowed() {
        let error = "Bad Name".parse::<GroupName>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"Bad Name\" is not a group name: 1 to 64 lower-case letters, digits and inner '.', '_' or '-'"
        );
    }

    #[test]
    fn platforms_fit() {
        let windows: Platform = "windows-x64".parse().unwrap();
        let linux: Platform = "linux-x64".parse().unwrap();
        assert!(Platform::any().fits(Some(&linux)));
        assert!(windows.fits(Some(&windows)) && windows.fits(None));
        assert!(!windows.fits(Some(&linux)));
    }
}
