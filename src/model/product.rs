//! Products and their two classes.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Actor, NameError, ProductName};

/// What kind of content a product's releases are; policies are written per class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// User-mode security intelligence, many releases a day.
    Intelligence,
    /// Software and drivers, which may run in the kernel.
    Platform,
}

impl Class {
    /// Both classes, in the order in which they are listed.
    pub const ALL: [Self; 2] = [Self::Intelligence, Self::Platform];

    /// The word used in configuration, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intelligence => "intelligence",
            Self::Platform => "platform",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Class {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str() == text)
            .ok_or_else(|| NameError::new(text, "class", "intelligence or platform"))
    }
}

/// Whose approval a release needs before it is published. Set per class by the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalRule {
    /// None: a release that passed its gates is published at once.
    Auto,
    /// Any person who may approve, the publisher too.
    Anyone,
    /// A person who may approve and is not the publisher.
    Other,
}

/// Whether releases of a class have to be signed by a trusted key. A signature that is given must be good either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureRule {
    /// A release needs no signature.
    Optional,
    /// The manifest, or each artifact, is signed by a key that is trusted for the product.
    Required,
}

/// An independently versioned line of releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its name, unique and for ever.
    pub name: ProductName,
    /// Its class; never changes.
    pub class: Class,
    /// When it was added.
    pub added_at: Timestamp,
    /// Who added it.
    pub added_by: Actor,
}
