//! Who did something, and why: both are recorded with every change.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::DeviceId;
use super::name::{NameError, name};

name!(
    /// The person or component that made a change, as its credential names it.
    Actor,
    "name of an actor",
    "1 to 160 printable characters without spaces",
    |text| (1..=160).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
);
name!(
    /// Why something was done, in a person's words.
    Reason,
    "reason",
    "1 to 500 characters on one line",
    |text| {
        !text.trim().is_empty() && text.chars().count() <= 500 && !text.chars().any(char::is_control)
    }
);

impl Reason {
    /// As much of `text` as fits, on one line; what to say where there is nothing of it.
    pub fn from_text(text: &str, otherwise: &'static str) -> Self {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
        Self(if line.trim().is_empty() { otherwise.into() } else { line.into() })
    }
}

impl Actor {
    /// The server itself, for changes that no person made.
    pub fn system() -> Self {
        Self("ringfence".into())
    }

    /// Whether it stands for the server itself, a user of this machine or a device: no person may bear it.
    pub fn is_reserved(&self) -> bool {
        let name = self.as_str();
        name == "ringfence" || name.starts_with("uid:") || name.starts_with("device:")
    }

    /// Whoever holds the token that `init` wrote.
    pub fn admin() -> Self {
        Self("admin".into())
    }

    /// A device that enrols itself. The longest name of a device still fits.
    pub fn device(device: &DeviceId) -> Self {
        Self(format!("device:{device}").into())
    }
}
