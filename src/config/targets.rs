//! The part of the file for targets: directories that shares are staged to.

use std::path::{Component, Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Finding;
use super::file::{hours, seconds, table};
use super::settings::{StagerSettings, TargetSettings};
use super::validate::length;
use super::values::Length;
use crate::model::ShareName;

/// The most targets of one file: each has a thread of its own.
const TARGETS_MAX: usize = 64;

table! {
    /// How targets are kept.
    StagerTable {
        /// Whether `ringfence serve` keeps the targets itself; false where a stager of its own does.
        in_server: bool = true,
        /// How often every file of a target is hashed, whatever its size and times say.
        rehash_every: Length = hours(24),
        /// How often a target is looked over for changes by others.
        look_every: Length = seconds(60),
        /// For how long a name that somebody has open is tried before it is left for later and reported.
        retry_for: Length = seconds(30),
    }
}

/// A directory that a share is staged to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetTable {
    /// The share.
    #[schemars(with = "String")]
    share: ShareName,
    /// The directory. Relative to this file.
    to: PathBuf,
    /// Whether the tree before is kept beside the live one, so that going back copies nothing.
    #[serde(default)]
    keep_previous: bool,
}

pub(super) fn stager_settings(table: StagerTable) -> Result<StagerSettings, Finding> {
    let StagerTable { in_server, rehash_every, look_every, retry_for } = table;
    Ok(StagerSettings {
        in_server,
        rehash_every: length("stager.rehash_every", rehash_every)?,
        look_every: length("stager.look_every", look_every)?,
        // Zero tries once.
        retry_for: retry_for.0,
    })
}

/// No target may lie in another: each keeps only what is in its share.
pub(super) fn target_settings(tables: Vec<TargetTable>, base: &Path) -> Result<Vec<TargetSettings>, Finding> {
    if tables.len() > TARGETS_MAX {
        let message = format!("there are {} targets; at most {TARGETS_MAX} are allowed", tables.len());
        return Err(Finding { key: format!("target.{TARGETS_MAX}").into(), message });
    }
    let mut targets: Vec<TargetSettings> = Vec::new();
    for (index, TargetTable { share, to, keep_previous }) in tables.into_iter().enumerate() {
        let finding = |message| Finding { key: format!("target.{index}.to").into(), message };
        if to.as_os_str().is_empty() {
            return Err(finding(format!("the target of share {share} has an empty \"to\": name a directory")));
        }
        let to = tidy(&base.join(to));
        if let Some(other) = targets.iter().find(|other| other.to.starts_with(&to) || to.starts_with(&other.to)) {
            return Err(finding(format!(
                "target {} of share {share} and target {} of share {} are one in the other: give each a directory of \
                 its own",
                to.display(),
                other.to.display(),
                other.share
            )));
        }
        targets.push(TargetSettings { share, to, keep_previous });
    }
    Ok(targets)
}

/// Without `.` and with `..` taken back, as far as that can be told from the text.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if tidy.file_name().is_some() => {
                tidy.pop();
            }
            other => tidy.push(other),
        }
    }
    tidy
}
