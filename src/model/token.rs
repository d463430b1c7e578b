//! Bearer tokens as the journal keeps them: never the secret, only its keyed hash.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Actor, Blake3Digest, DeviceId, NameError, Reach, Stamp};

/// A token's number: the journal sequence of the event that created it.
pub type TokenId = u64;

/// What a person or a program may do on the admin listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything, changes nothing.
    Auditor,
    /// Adds products and publishes releases.
    Publisher,
    /// Approves and withdraws releases.
    Approver,
    /// Adds and lifts holds, pins, applies policies, imports, enrols and denies devices.
    Operator,
    /// Everything, and creates and revokes tokens.
    Admin,
    /// Reads everything and follows: what another server needs to be this one's mirror.
    Mirror,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] =
        [Self::Auditor, Self::Publisher, Self::Approver, Self::Operator, Self::Admin, Self::Mirror];

    /// The word used in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auditor => "auditor",
            Self::Publisher => "publisher",
            Self::Approver => "approver",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Mirror => "mirror",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| NameError::new(text, "role", "auditor, publisher, approver, operator, admin or mirror"))
    }
}

/// Whom a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// A person or program on the admin listener.
    Person {
        /// The name under which its changes are journaled.
        actor: Actor,
        /// What it may do.
        role: Role,
        /// Over which products and groups.
        #[serde(default, skip_serializing_if = "Reach::is_everywhere")]
        reach: Reach,
    },
    /// One device on the device listener.
    Device(DeviceId),
}

/// Where a token was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenListener {
    /// The device listener.
    Device,
    /// The admin listener.
    Admin,
    /// The admin listener's unix socket.
    Socket,
}

impl TokenListener {
    /// The word used in JSON and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Admin => "admin",
            Self::Socket => "socket",
        }
    }
}

/// The last use of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenUse {
    /// When, to the minute.
    pub at: Timestamp,
    /// Where.
    pub listener: TokenListener,
}

/// A bearer token. Its secret was shown once, when it was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its number.
    pub id: TokenId,
    /// Whom it speaks for.
    pub scope: TokenScope,
    /// BLAKE3 of the secret, keyed with the data directory's own key.
    pub hash: Blake3Digest,
    /// Who created it, and when.
    pub created: Stamp,
    /// Until when it is taken.
    pub expires_at: Option<Timestamp>,
    /// When and by whom it was revoked.
    pub revoked: Option<Stamp>,
}

impl Token {
    /// Whether it is taken at `at`.
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.revoked.as_ref().is_none_or(|stamp| at < stamp.at) && self.expires_at.is_none_or(|end| at < end)
    }
}
