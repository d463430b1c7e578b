//! What a share shows, path by path, and since when.
//!
//! The journal says at which whole second each switch takes effect, so every server that has read the same events
//! answers with the same bytes and the same `Last-Modified`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Blake3Digest, LayoutName, Platform, ProductName, Sha256Digest, ShareName, TargetName, Version};

/// How many releases of one product and platform are remembered as shown before.
const SHOWN_BEFORE_MAX: usize = 8;

/// A release that a share shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Its product.
    pub product: ProductName,
    /// Its version.
    pub version: Version,
    /// Its sequence.
    pub sequence: u64,
    /// The platform whose artifacts are shown; absent where all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Since when the share shows it without a break: a whole second.
    pub since: Timestamp,
}

impl Shown {
    /// Whether both are about the same product and platform.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.product == other.product && self.platform == other.platform
    }
}

/// A file of a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareFile {
    /// Its path below the share.
    pub path: TargetName,
    /// Its length in bytes.
    pub size: u64,
    /// The digest that names its body in the store.
    pub blake3: Blake3Digest,
    /// The digest that other tools check.
    pub sha256: Sha256Digest,
    /// Its media type.
    pub media_type: String,
    /// The product that it comes from.
    pub product: ProductName,
    /// The sequence of the release that it comes from: where that is withheld, the file is.
    pub sequence: u64,
    /// Files of one set belong together and switch together; a file without a set stands alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub set: String,
    /// Whether it names the others of its set, so that it is written after them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveFile {
    /// The file.
    pub file: ShareFile,
    /// Since when its path has these bytes: the path's `Last-Modified`, a whole second.
    pub since: Timestamp,
}

/// A file that was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredFile {
    /// The file.
    pub file: ShareFile,
    /// From when its path had these bytes.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// One path of a share over time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharePath {
    /// The newest; its time may still lie ahead. Absent once the path is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<ActiveFile>,
    /// What was there before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<RetiredFile>,
}

impl SharePath {
    /// The file that is at this path at `now`, and since when.
    pub fn at(&self, now: Timestamp) -> Option<(&ShareFile, Timestamp)> {
        let active = self.active.as_ref().map(|active| (&active.file, active.since));
        active.filter(|(_, since)| *since <= now).or_else(|| {
            let retired = self.retired.as_ref().filter(|retired| retired.since <= now && now < retired.until)?;
            Some((&retired.file, retired.since))
        })
    }

    /// The same bytes again keep their time: for a client nothing has changed.
    fn put(&mut self, file: &ShareFile, at: Timestamp) {
        if let Some(active) = self.active.as_mut().filter(|active| active.file.blake3 == file.blake3) {
            active.file = file.clone();
            return;
        }
        self.retire(at);
        self.active = Some(ActiveFile { file: file.clone(), since: at });
    }

    fn retire(&mut self, at: Timestamp) {
        if let Some(ActiveFile { file, since }) = self.active.take() {
            self.retired = Some(RetiredFile { file, since, until: at });
        }
    }
}

/// A switch of a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareSwitch {
    /// Its number: the sequence of its event.
    pub seq: u64,
    /// When it takes or took effect: a whole second.
    pub at: Timestamp,
    /// How the files are arranged.
    pub layout: LayoutName,
    /// What is shown.
    pub shows: Vec<Shown>,
}

/// What a share shows and has shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Its name.
    pub name: ShareName,
    /// The last switch; its time may still lie ahead.
    pub switch: ShareSwitch,
    /// The one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ShareSwitch>,
    /// What was shown before and is not any more, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown_before: Vec<Shown>,
    /// Kept beside this record where it is stored.
    #[serde(skip)]
    pub(super) paths: BTreeMap<TargetName, SharePath>,
}

impl Share {
    /// All paths in order, those that are gone for a while, too.
    pub fn paths(&self) -> &BTreeMap<TargetName, SharePath> {
        &self.paths
    }

    /// The files of the last switch, each with the time since when its path has it, in order of path.
    pub fn files(&self) -> impl Iterator<Item = &ActiveFile> {
        self.paths.values().filter_map(|path| path.active.as_ref())
    }

    /// Every file that may still be asked for: those of the last switch, and what was at each path before.
    pub fn kept_files(&self) -> impl Iterator<Item = &ShareFile> {
        self.paths.values().flat_map(|path| {
            let active = path.active.as_ref().map(|active| &active.file);
            active.into_iter().chain(path.retired.as_ref().map(|retired| &retired.file))
        })
    }

    /// The switch that is in effect at `now`.
    pub fn switch_at(&self, now: Timestamp) -> Option<&ShareSwitch> {
        if self.switch.at <= now { Some(&self.switch) } else { self.before.as_ref() }
    }

    /// The share after its first switch.
    pub(super) fn begin(name: ShareName, switch: ShareSwitch) -> Self {
        Self { name, switch, before: None, shown_before: Vec::new(), paths: BTreeMap::new() }
    }

    /// The share after another switch.
    pub(super) fn advance(&mut self, switch: ShareSwitch) {
        let before = std::mem::replace(&mut self.switch, switch);
        for shown in &before.shows {
            let is_same = |other: &Shown| shown.is_beside(other) && shown.sequence == other.sequence;
            self.shown_before.retain(|known| !is_same(known));
            if !self.switch.shows.iter().any(is_same) {
                self.shown_before.push(shown.clone());
            }
            let beside = self.shown_before.iter().filter(|known| known.is_beside(shown)).count();
            if beside > SHOWN_BEFORE_MAX
                && let Some(oldest) = self.shown_before.iter().position(|known| known.is_beside(shown))
            {
                self.shown_before.remove(oldest);
            }
        }
        let shows = &self.switch.shows;
        self.shown_before
            .retain(|known| !shows.iter().any(|shown| shown.is_beside(known) && shown.sequence == known.sequence));
        self.before = Some(before);
    }

    pub(super) fn change(&mut self, at: Timestamp, put: &[ShareFile], gone: &[TargetName], forgotten: &[TargetName]) {
        for file in put {
            self.paths.entry(file.path.clone()).or_default().put(file, at);
        }
        for path in gone {
            if let Some(known) = self.paths.get_mut(path) {
                known.retire(at);
            }
        }
        for path in forgotten {
            self.paths.remove(path);
        }
    }
}
