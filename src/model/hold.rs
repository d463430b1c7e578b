//! Holds: withholding a release, or a whole product, from some devices.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::policy::Predicate;
use super::{Actor, GroupName, ProductName, Reason, RingName, Stamp, Version};

/// A hold's number: the journal sequence of the event that added it.
pub type HoldId = u64;

/// Which devices a hold withholds from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldScope {
    /// All of them.
    Everyone,
    /// Those of one group.
    Group(GroupName),
    /// Those whose group sits in this ring for the product's class.
    Ring(RingName),
    /// Those that match.
    Devices(Predicate),
}

/// A release, or a whole product, withheld from some devices for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its number.
    pub id: HoldId,
    /// The product it concerns.
    pub product: ProductName,
    /// The withheld version; all of the product's where absent.
    pub version: Option<Version>,
    /// From whom it is withheld.
    pub scope: HoldScope,
    /// Why.
    pub reason: Reason,
    /// Who added it.
    pub author: Actor,
    /// Since when.
    pub added_at: Timestamp,
    /// Until when, if it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When and by whom it was lifted, and why.
    pub lifted: Option<(Stamp, Reason)>,
}

impl Hold {
    /// When it stops (or stopped) withholding, if that is known.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let lifted_at = self.lifted.as_ref().map(|(stamp, _)| stamp.at);
        [self.expires_at, lifted_at].into_iter().flatten().min()
    }

    /// Whether it withholds at `at`: from its start inclusive to its end exclusive.
    pub fn is_active_at(&self, at: Timestamp) -> bool {
        self.added_at <= at && self.ends_at().is_none_or(|end| at < end)
    }
}
