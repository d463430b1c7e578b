//! What stagers have told of the directories they write.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::ShareName;

/// The most targets that are remembered; the one that was heard of longest ago makes room.
const TARGETS_MAX: usize = 4_096;

/// How a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// All names are those of the switch.
    Published,
    /// Everything is written; a name could not be replaced yet because it is open.
    Pending,
    /// Nothing was changed.
    Failed,
}

/// A stager's word on one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetReport {
    /// Where it is, as the stager names it, for example `files-1:/srv/updates`.
    pub target: String,
    /// The switch it shows, or tried to show.
    pub switch: u64,
    /// When this was so.
    pub staged_at: Timestamp,
    /// How it went.
    pub state: TargetState,
    /// What is in the way, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Bytes written this time.
    pub written_bytes: u64,
    /// Files in the tree.
    pub tree_files: u64,
    /// Bytes in the tree.
    pub tree_bytes: u64,
    /// Files that had been changed by hand and were put right this time.
    #[serde(default)]
    pub repaired_files: u64,
}

/// The last word on each target. Lost with the process; every stager repeats itself within a minute.
#[derive(Debug, Default)]
pub(super) struct Targets(Mutex<BTreeMap<(ShareName, String), TargetReport>>);

impl Targets {
    pub(super) fn note(&self, share: &ShareName, report: TargetReport) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((share.clone(), report.target.clone()), report);
        if known.len() > TARGETS_MAX
            && let Some(oldest) = known.iter().min_by_key(|(_, report)| report.staged_at).map(|(key, _)| key.clone())
        {
            known.remove(&oldest);
        }
    }

    pub(super) fn of(&self, share: &ShareName) -> Vec<TargetReport> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|((name, _), _)| name == share).map(|(_, report)| report.clone()).collect()
    }
}
