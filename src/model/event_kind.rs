//! What kind of change an event is.

use super::Event;

impl Event {
    /// The event's `type`, as in the journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ProductAdded { .. } => "product_added",
            Self::ReleaseAdded { .. } => "release_added",
            Self::ReleaseInspected { .. } => "release_inspected",
            Self::ReleaseRefused { .. } => "release_refused",
            Self::ReleaseApproved { .. } => "release_approved",
            Self::ReleasePublished { .. } => "release_published",
            Self::ReleaseWithdrawn { .. } => "release_withdrawn",
            Self::HoldAdded { .. } => "hold_added",
            Self::HoldLifted { .. } => "hold_lifted",
            Self::PinAdded { .. } => "pin_added",
            Self::PinRemoved { .. } => "pin_removed",
            Self::PolicyApplied { .. } => "policy_applied",
            Self::DevicesImported { .. } => "devices_imported",
            Self::DevicesRemoved { .. } => "devices_removed",
            Self::RolloutPlanned { .. } => "rollout_planned",
            Self::RolloutChanged { .. } => "rollout_changed",
            Self::ProductFrozen { .. } => "product_frozen",
            Self::ProductReset { .. } => "product_reset",
            Self::ShareSwitched { .. } => "share_switched",
            Self::TokenCreated { .. } => "token_created",
            Self::TokenRevoked { .. } => "token_revoked",
            Self::EnrolmentCreated { .. } => "enrolment_created",
            Self::EnrolmentUsed { .. } => "enrolment_used",
            Self::DeviceDenied { .. } => "device_denied",
            Self::DeviceAllowed { .. } => "device_allowed",
            Self::KeyTrusted { .. } => "key_trusted",
            Self::KeyRevoked { .. } => "key_revoked",
            Self::OriginKeyAdded { .. } => "origin_key_added",
            Self::OriginKeyRetired { .. } => "origin_key_retired",
            Self::BundleExported { .. } => "bundle_exported",
            Self::ReceiptTaken { .. } => "receipt_taken",
            Self::BundleApplied { .. } => "bundle_applied",
            Self::ReceiptGiven { .. } => "receipt_given",
        }
    }

    /// Whether only an origin makes such a change: an offline site takes what comes of it from bundles instead.
    pub const fn is_origins(&self) -> bool {
        match self {
            Self::ProductAdded { .. }
            | Self::ReleaseAdded { .. }
            | Self::ReleaseInspected { .. }
            | Self::ReleaseRefused { .. }
            | Self::ReleaseApproved { .. }
            | Self::ReleasePublished { .. }
            | Self::ReleaseWithdrawn { .. }
            | Self::HoldAdded { .. }
            | Self::HoldLifted { .. }
            | Self::PinAdded { .. }
            | Self::PinRemoved { .. }
            | Self::PolicyApplied { .. }
            | Self::RolloutPlanned { .. }
            | Self::RolloutChanged { .. }
            | Self::ProductFrozen { .. }
            | Self::ProductReset { .. }
            | Self::KeyTrusted { .. }
            | Self::KeyRevoked { .. }
            | Self::BundleExported { .. }
            | Self::ReceiptTaken { .. } => true,
            Self::DevicesImported { .. }
            | Self::DevicesRemoved { .. }
            | Self::ShareSwitched { .. }
            | Self::TokenCreated { .. }
            | Self::TokenRevoked { .. }
            | Self::EnrolmentCreated { .. }
            | Self::EnrolmentUsed { .. }
            | Self::DeviceDenied { .. }
            | Self::DeviceAllowed { .. }
            | Self::OriginKeyAdded { .. }
            | Self::OriginKeyRetired { .. }
            | Self::BundleApplied { .. }
            | Self::ReceiptGiven { .. } => false,
        }
    }
}
