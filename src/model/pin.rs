//! Pins: one group kept at one version of one product.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Actor, GroupName, ProductName, Reason, Stamp, Version};

/// A pin's number: the journal sequence of the event that added it.
pub type PinId = u64;

/// A group kept at one version by an admin. It comes before a pin that the policy's text carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Its number.
    pub id: PinId,
    /// The group it concerns.
    pub group: GroupName,
    /// The product it concerns.
    pub product: ProductName,
    /// The version the group is kept at.
    pub version: Version,
    /// Why.
    pub reason: Reason,
    /// Who set it.
    pub author: Actor,
    /// Since when.
    pub added_at: Timestamp,
    /// When it was removed (or replaced by another pin of the same group and product), and by whom.
    pub removed: Option<Stamp>,
}

impl Pin {
    /// Whether it is in force at `at`: from its start inclusive to its end exclusive.
    pub fn is_active_at(&self, at: Timestamp) -> bool {
        self.added_at <= at && self.removed.as_ref().is_none_or(|stamp| at < stamp.at)
    }
}
