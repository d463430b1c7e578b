//! The stager.

mod bodies;
mod compare;
mod error;
mod found;
mod hash;
mod manifest;
mod outcome;
mod tree;
mod units;

pub use bodies::{Bodies, Body};
pub use error::StageError;
pub use manifest::{Manifest, ManifestFile, ManifestRetired, Previous, State};
pub use outcome::{Pending, Progress, Repaired, Staged};
pub use tree::{FILES_MAX, PATH_CHARS_MAX, RetiredFile, StageFile, StageTree, StagedRelease};
