//! Shares: stable-name trees for clients that read a fixed path.
//!
//! What this room deliberately does not do: no HTTP, and no rule about who may see what.

pub mod stage;
