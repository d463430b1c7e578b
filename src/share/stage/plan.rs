//! A dry run: what a run would do, without a write.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::compare::{Action, Work, compare};
use super::error::Context;
use super::found::{Found, Trust};
use super::home::{Home, check_tree};
use super::source::Sources;
use super::tree::StageTree;
use super::{Repaired, StageError, StageOptions};
use crate::model::ShareName;

/// What a run would do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StagePlan {
    /// Whose tree.
    pub share: ShareName,
    /// The journal's sequence number of the switch.
    pub switch: u64,
    /// Every file, those that stay included: first the tree's, then those that go.
    pub changes: Vec<PlannedChange>,
    /// Files in the tree.
    pub tree_files: u64,
    /// Bytes of them.
    pub tree_bytes: u64,
    /// Files that would be written.
    pub files_to_write: u64,
    /// Bytes that would be written.
    pub bytes_to_write: u64,
    /// Files that would go.
    pub files_to_remove: u64,
    /// What is not as the last run left it.
    pub repaired: Vec<Repaired>,
}

/// One file's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedChange {
    /// The file.
    pub path: String,
    /// What would happen to it.
    pub change: Change,
    /// Bytes that would be written for it.
    pub bytes: u64,
}

/// What would happen to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is not there.
    Add,
    /// It is there with other content or another date.
    Replace,
    /// It is not as the last run left it.
    Repair,
    /// Its content is in the directory under another name, or in the previous tree.
    Move,
    /// It is not part of the tree.
    Remove,
    /// Nothing.
    Keep,
}

pub(super) fn plan(
    tree: &StageTree,
    dir: &Path,
    options: &StageOptions,
    now: Timestamp,
) -> Result<StagePlan, StageError> {
    let context = Context { share: tree.share.as_str(), dir };
    check_tree(tree, &context)?;
    let home = Home::open(tree, &context, options)?;
    let Some(home) = home else {
        let found = Found::default();
        return Ok(planned(tree, &compare(tree, &found, None, now), &found));
    };
    let old = home.manifest.as_ref();
    let trust = Trust::new(old, options.rehash, tree.files.iter().map(|file| file.size));
    let found = Found::scan(&home.root, &context, &trust, old.map(|old| old.state))?;
    Ok(planned(tree, &compare(tree, &found, old, now), &found))
}

fn planned(tree: &StageTree, work: &Work<'_>, found: &Found) -> StagePlan {
    let sources = Sources::new(found);
    let mut changes = Vec::with_capacity(work.items.len() + work.remove.len());
    let (mut files_to_write, mut bytes_to_write) = (0, 0);
    for item in &work.items {
        let is_there = sources.has(item.file);
        let change = match item.action {
            Action::Keep => Change::Keep,
            _ if item.is_repair => Change::Repair,
            Action::Put if sources.has_elsewhere(item.file) => Change::Move,
            Action::Put if item.seen.is_none() => Change::Add,
            Action::Put | Action::Stamp => Change::Replace,
        };
        let bytes = if item.action == Action::Put && !is_there { item.file.size } else { 0 };
        files_to_write += u64::from(item.action == Action::Put && !is_there);
        bytes_to_write += bytes;
        changes.push(PlannedChange { path: item.file.path.to_string(), change, bytes });
    }
    let gone = work.obstacles.iter().chain(&work.remove);
    changes.extend(gone.map(|path| PlannedChange {
        path: path.display().to_string(),
        change: Change::Remove,
        bytes: 0,
    }));
    StagePlan {
        share: tree.share.clone(),
        switch: tree.switch,
        changes,
        tree_files: tree.files.len() as u64,
        tree_bytes: tree.bytes(),
        files_to_write,
        bytes_to_write,
        files_to_remove: (work.obstacles.len() + work.remove.len()) as u64,
        repaired: work.repaired.clone(),
    }
}
