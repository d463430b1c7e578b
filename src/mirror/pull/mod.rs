//! Pulling blobs through: one transfer of each blob however many ask for it, read while it comes in.
//!
//! What this module deliberately does not do: it does not decide which blobs are wanted or who may read them, and it
//! gives out no byte that was not verified against its blob's digest.

mod drive;
mod error;
mod fetch;
mod figures;
mod lanes;
mod one;
mod pulls;
mod reading;
#[cfg(test)]
pub(crate) mod tests;
mod throttle;
mod wanted;

pub use error::PullError;
pub use figures::{Blame, PullCounts, PullFigures};
pub use one::Pull;
pub use pulls::{PullOptions, Pulls};
pub use reading::Reading;
pub use throttle::Urgency;
