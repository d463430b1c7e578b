//! How devices come by credentials, and how they are shut out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Blake3Digest, DeviceId, Reason, Stamp};

/// An enrolment's number: the journal sequence of the event that created it.
pub type EnrolmentId = u64;

/// A code that one device may use once, to get a token or a certificate. The code itself was shown once. A used one is no
/// longer kept: the journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Its number.
    pub id: EnrolmentId,
    /// Whom it is for: the identity that the credential will prove, whatever the device says of itself.
    pub device: DeviceId,
    /// BLAKE3 of the code, keyed with the data directory's own key.
    pub hash: Blake3Digest,
    /// Who created it, and when.
    pub created: Stamp,
    /// Until when the code is taken.
    pub expires_at: Timestamp,
}

impl Enrolment {
    /// Whether the code is taken at `at`.
    pub fn is_open_at(&self, at: Timestamp) -> bool {
        at < self.expires_at
    }
}

/// A device that gets nothing, whatever it proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Which.
    pub device: DeviceId,
    /// Who denied it, and when.
    pub denied: Stamp,
    /// Why.
    pub reason: Reason,
}
