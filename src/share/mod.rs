//! Shares: trees of stable names for clients that read a fixed path, over HTTP and staged to directories.
//!
//! `view` says what is at a path now, `shares` watches decisions and switches, `stage` writes a tree to a directory.
//! What this room deliberately does not do: no HTTP, and no rule about who may see what; that is `policy`'s.

mod shares;
pub mod stage;
mod targets;
mod view;

pub use shares::Shares;
pub use targets::{TargetReport, TargetState};
pub use view::{Found, age_of, files_at, find, find_before, listing, stage_tree};
