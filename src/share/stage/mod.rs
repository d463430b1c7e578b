//! The stager: makes a directory, on a file share most of the time, hold the tree that a layout has planned.
//!
//! A run compares what is desired with what is there, writes only what differs beside it, reads that back, and then
//! switches names: a directory that belongs to one set in one exchange, fixed names one by one, indexes last. A reader
//! never sees half a file. Cut off at any point, the next run finishes. `.ringfence/manifest.json` in the directory
//! says what is there, for anybody to check.
//!
//! What this module deliberately does not do: no decision about what belongs into a tree, no hard link to or from a
//! store, no schedule, no clock but for measuring, no HTTP. It blocks; call it where blocking is allowed.

mod bodies;
mod clear;
mod compare;
mod error;
mod found;
mod hash;
mod home;
mod manifest;
mod outcome;
mod plan;
mod publish;
mod run;
mod source;
mod staging;
#[cfg(test)]
mod tests;
mod tree;
mod units;
mod verify;
mod write;

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

pub use bodies::{Bodies, Body};
pub use error::StageError;
pub use manifest::{Manifest, ManifestFile, ManifestRetired, Previous, State};
pub use outcome::{Pending, Progress, Repaired, Staged};
pub use plan::{Change, PlannedChange, StagePlan};
pub use tree::{FILES_MAX, PATH_CHARS_MAX, RetiredFile, StageFile, StageTree, StagedRelease};
pub use verify::Verification;

/// How a run goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageOptions {
    /// Keep the whole tree that is replaced in `.ringfence/previous/`, so that going back writes nothing.
    pub keep_previous: bool,
    /// Distrust size, date and inode: hash everything that is there.
    pub rehash: bool,
    /// How long to wait, over all names of the run, for those that somebody has open.
    pub retry_for: Duration,
    /// Take over a directory that is not empty and not ours. What is in it and not in the tree is removed.
    pub adopt: bool,
}

/// Makes `dir` hold `tree`, and returns once that is durable or a name has to wait (`Staged::is_pending`). Only the
/// last component of `dir` is created. One run at a time works on a directory.
///
/// # Errors
/// [`StageError`]; whatever it says, readers see whole files of the old tree or of the new one.
pub fn stage(
    tree: &StageTree,
    dir: &Path,
    bodies: &dyn Bodies,
    options: &StageOptions,
    now: Timestamp,
    progress: &mut dyn FnMut(Progress),
) -> Result<Staged, StageError> {
    run::stage(tree, dir, bodies, options, now, progress)
}

/// What [`stage`] would do now. Reads, and writes nothing: neither a lock nor a directory.
///
/// # Errors
/// [`StageError`], the same refusals as [`stage`] as far as they can be known without writing.
pub fn plan(tree: &StageTree, dir: &Path, options: &StageOptions, now: Timestamp) -> Result<StagePlan, StageError> {
    plan::plan(tree, dir, options, now)
}

/// Hashes every file of a staged directory and compares it with the directory's own manifest.
///
/// # Errors
/// [`StageError`] where there is no manifest or something cannot be read. What is wrong with files is a finding.
pub fn verify(dir: &Path) -> Result<Verification, StageError> {
    verify::verify(dir)
}
