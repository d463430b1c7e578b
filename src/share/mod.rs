//! Shares: stable-name trees, planned by a layout from what a group's decisions are.
//!
//! What this room deliberately does not do: it decides nothing (policy does) and knows no HTTP.

pub mod derive;
pub mod layout;
