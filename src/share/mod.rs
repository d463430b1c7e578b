//! Shares: trees of stable names for clients that read a fixed path, over HTTP and staged to directories.
//!
//! `view` says what is at a path now, `shares` watches decisions and switches, `standing` says how old
//! and how far behind one is, `stage` writes a tree to a directory.
//! What this room deliberately does not do: no HTTP, and no rule about who may see what; that is `policy`'s.

mod shares;
pub mod stage;
mod standing;
mod targets;
mod view;

pub use shares::Shares;
pub use standing::{Staleness, lag_s, staleness, staleness_limits};
pub use targets::{TargetReport, TargetState};
pub use view::{Found, age_of, files_at, find, find_before, listing, stage_tree};
