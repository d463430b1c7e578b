//! Staging.

mod tree;

pub use tree::{RetiredStageFile, StageFile, StageTree, StagedRelease};
