//! Values with units as people write them: `"64 MiB"`, `"24h"`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SpanRelativeTo;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no size or length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a size.
    #[error("{0:?} is not a size: write a number of bytes, or a number with B, KiB, MiB, GiB or TiB, like \"64 MiB\"")]
    Size(String),
    /// Not a length of time.
    #[error("{0:?} is not a length of time: write a number with s, m, h or d, like \"24h\" or \"7d\"")]
    Length(String),
}

/// A number of bytes, written as a number or as text with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl FromStr for ByteSize {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let error = || ValueError::Size(text.to_owned());
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| error())?;
        let unit = text[digits..].trim();
        let factor = UNITS.iter().find(|(name, _)| *name == unit || unit.is_empty() && *name == "B");
        let (_, factor) = factor.ok_or_else(error)?;
        number.checked_mul(*factor).map(Self).ok_or_else(error)
    }
}

/// In the largest unit that divides it, so that what is printed can be read back.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) =
            UNITS.iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor)).unwrap_or(&("B", 1));
        write!(f, "{} {unit}", self.0 / factor)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes or a text like \"64 MiB\"")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<ByteSize, E> {
                u64::try_from(number).map(ByteSize).map_err(|_| E::custom(ValueError::Size(number.to_string())))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of bytes, or text with a unit: B, KiB, MiB, GiB, TiB.",
            "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^[0-9]+ *(|B|KiB|MiB|GiB|TiB)$" }],
        })
    }
}

/// A length of time, written like `"10s"`, `"24h"`, `"7d"` or `"1h 30m"`; a day is 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub Duration);

/// Reads a length of time as in the configuration.
///
/// # Errors
/// The text is no length of time, is negative, or counts months or years, which have no fixed length.
pub fn parse_length(text: &str) -> Result<Duration, ValueError> {
    let error = || ValueError::Length(text.to_owned());
    let span: jiff::Span = text.parse().map_err(|_| error())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| error())?;
    Duration::try_from(length).map_err(|_| error())
}

impl FromStr for Length {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        parse_length(text).map(Self)
    }
}

/// In the largest unit that divides it.
impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
        let (unit, factor) =
            units.into_iter().find(|(_, factor)| millis > 0 && millis.is_multiple_of(*factor)).unwrap_or(("s", 1000));
        write!(f, "{}{unit}", millis / factor)
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Length {
    fn schema_name() -> Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A length of time with units: s, m, h, d (a day is 24 hours).",
            "type": "string",
            "examples": ["10s", "24h", "7d"],
        })
    }
}
