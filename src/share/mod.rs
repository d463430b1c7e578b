//! Shares: trees of stable names for clients that read a fixed path, over HTTP and staged to directories.
//!
//! A share shows one group's releases in a layout. `layout` plans its tree, `derive` makes the bytes that no artifact
//! has, `shares` watches decisions and switches, `view` says what is at a path now, `standing` how old and how far behind
//! a share is, and `stage` writes a tree to a directory. What this room deliberately does not do: no HTTP, and no rule
//! about who may see what; that is `policy`'s.

mod bodies;
mod check;
pub mod derive;
pub mod layout;
mod names;
mod shares;
pub mod stage;
mod standing;
mod switch;
mod targets;
#[cfg(test)]
mod tests;
mod view;
mod wanted;

pub use check::read_policy;
pub use names::{NameProblem, name_problems};
pub use shares::Shares;
pub use standing::{Staleness, lag_s, staleness, staleness_limits};
pub use targets::{TargetReport, TargetState};
pub use view::{Found, age_of, files_at, find, find_before, listing, stage_tree};
