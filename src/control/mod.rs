//! The use cases that change state, other than publishing: products, approvals, withdrawals, holds, pins, policies,
//! devices, tokens, enrolments, denials, trusted keys, the keys that the origin signs with, device reports, and what
//! people do with rollouts (`rollouts`).
//!
//! Each is one function: it takes the catalog, the actor and checked input, builds its events against the newest state
//! inside the commit, and returns what is now true. What this room deliberately does not do: it knows no HTTP and no
//! roles (the caller has checked that the actor may), and it decides nothing about devices.

mod denials;
mod devices;
mod enrolments;
mod error;
mod holds;
mod keys;
mod origin_keys;
mod pins;
mod policies;
mod products;
mod releases;
mod reports;
pub mod rollouts;
mod rollouts_tick;
mod tokens;

#[cfg(test)]
mod enrolments_tests;
#[cfg(test)]
mod reports_tests;
#[cfg(test)]
mod rollouts_tick_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use denials::{allow_device, deny_device};
pub use devices::{DEVICES_PER_EVENT, Imported, import_devices, remove_devices};
pub use enrolments::{
    ENROLMENTS_OPEN_MAX, EnrolmentCode, create_enrolment, enrol_with_certificate, enrol_with_token, open_enrolment,
};
pub use error::ControlError;
pub use holds::{NewHold, add_hold, lift_hold};
pub use keys::{revoke_key, trust_key};
pub use origin_keys::{KeyPlace, OriginKeyRefusal, OriginKeys, SigningRules, sign};
pub use pins::{NewPin, add_pin, remove_pin};
pub use policies::{AppliedOutcome, apply_policy};
pub use products::{AddedProduct, add_product};
pub use releases::{approve_release, withdraw_release};
pub use reports::record_reports;
pub use rollouts_tick::advance_rollouts;
pub use tokens::{Secret, TokenKey, adopt_token, create_token, revoke_token};
