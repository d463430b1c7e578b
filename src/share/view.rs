//! What is at a path of a share now.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::stage::{RetiredFile, StageFile, StageTree, StagedRelease};
use crate::model::policy::{Group, Policy, SharePolicy};
use crate::model::{ProductName, Share, ShareFile, SharePath, Snapshot, TargetName};
use crate::policy::may_stay_shown;

/// A file that may be read now.
#[derive(Debug, Clone, Copy)]
pub struct Found<'s> {
    /// The file.
    pub file: &'s ShareFile,
    /// Since when it is at its path: `Last-Modified`, a whole second.
    pub since: Timestamp,
}

/// The file at `path` at `now`. A path that is gone is answered for `grace` longer, so that a client that has read an
/// index gets what it names. What is withheld from the share's group is not there, whatever the last switch says.
pub fn find<'s>(
    snapshot: &'s Snapshot,
    policy: &Policy,
    share: &SharePolicy,
    path: &TargetName,
    (now, grace): (Timestamp, SignedDuration),
) -> Option<Found<'s>> {
    let known = snapshot.share(share.name())?.paths().get(path)?;
    let (file, since) = known.at(now).or_else(|| lingering(known, now, grace))?;
    stays(snapshot, policy.group(share.group())?, file, now).then_some(Found { file, since })
}

/// The file that was at `path` until the switch in effect at `now`, if it had other bytes then and may still be read.
pub fn find_before<'s>(
    snapshot: &'s Snapshot,
    policy: &Policy,
    share: &SharePolicy,
    path: &TargetName,
    now: Timestamp,
) -> Option<Found<'s>> {
    let state = snapshot.share(share.name())?;
    let switched_at = state.switch_at(now)?.at;
    let retired = state.paths().get(path)?.retired.as_ref().filter(|retired| retired.until == switched_at)?;
    let (file, since) = (&retired.file, retired.since);
    stays(snapshot, policy.group(share.group())?, file, now).then_some(Found { file, since })
}

/// All files of a share that may be read at `now`, in order of path.
pub fn files_at<'s>(snapshot: &'s Snapshot, policy: &Policy, share: &SharePolicy, now: Timestamp) -> Vec<Found<'s>> {
    let (Some(state), Some(group)) = (snapshot.share(share.name()), policy.group(share.group())) else {
        return Vec::new();
    };
    let mut verdicts = Verdicts { snapshot, group, now, known: BTreeMap::new() };
    let found = state.paths().values().filter_map(|path| path.at(now));
    found.filter(|(file, _)| verdicts.stays(file)).map(|(file, since)| Found { file, since }).collect()
}

/// The names directly below a folder (`""` is the share itself), folders with a trailing `/`; `None` where there is no
/// such folder.
pub fn listing<'s>(files: &[Found<'s>], folder: &str) -> Option<Vec<(&'s str, Option<Found<'s>>)>> {
    let mut names: BTreeMap<&str, Option<Found<'s>>> = BTreeMap::new();
    for found in files {
        let Some(rest) = below(found.file.path.as_str(), folder) else { continue };
        match rest.find('/') {
            Some(end) => names.insert(&rest[..=end], None),
            None => names.insert(rest, Some(*found)),
        };
    }
    (!names.is_empty() || folder.is_empty()).then(|| names.into_iter().collect())
}

fn below<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
}

/// The tree that stagers write: the newest switch, also while its time still lies ahead, without what is withheld.
/// `None` before the first switch.
pub fn stage_tree(
    snapshot: &Snapshot,
    policy: &Policy,
    share: &SharePolicy,
    (now, grace): (Timestamp, SignedDuration),
) -> Option<StageTree> {
    let state = snapshot.share(share.name())?;
    let group = policy.group(share.group())?;
    let mut verdicts = Verdicts { snapshot, group, now, known: BTreeMap::new() };
    let active = state.files().filter(|active| verdicts.stays(&active.file));
    let files: Vec<StageFile> = active.map(|active| stage_file(&active.file, active.since)).collect();
    let gone = state.paths().values().filter(|path| path.active.is_none());
    let retired = gone.filter_map(|path| path.retired.as_ref()).filter_map(|retired| {
        let until = retired.until.checked_add(grace).unwrap_or(Timestamp::MAX);
        let stays = until > now && verdicts.stays(&retired.file);
        stays.then(|| RetiredFile { file: stage_file(&retired.file, retired.since), until })
    });
    let retired = retired.collect();
    let switch = &state.switch;
    let releases = switch.shows.iter().map(|shown| StagedRelease {
        product: shown.product.clone(),
        version: shown.version.clone(),
        sequence: shown.sequence,
        platform: shown.platform.clone(),
    });
    Some(StageTree {
        share: state.name.clone(),
        layout: switch.layout.clone(),
        switch: switch.seq,
        at: switch.at,
        releases: releases.collect(),
        files,
        retired,
    })
}

/// When the newest release of a share was published: what its staleness is counted from.
pub fn age_of(snapshot: &Snapshot, state: &Share) -> Option<Timestamp> {
    let published = state
        .switch
        .shows
        .iter()
        .filter_map(|shown| snapshot.product(&shown.product)?.by_sequence(shown.sequence)?.published_at);
    published.max()
}

fn stage_file(file: &ShareFile, since: Timestamp) -> StageFile {
    StageFile {
        path: file.path.clone(),
        size: file.size,
        blake3: file.blake3,
        sha256: file.sha256,
        modified: since,
        set: file.set.clone(),
        last: file.last,
    }
}

fn lingering(path: &SharePath, now: Timestamp, grace: SignedDuration) -> Option<(&ShareFile, Timestamp)> {
    let retired = path.retired.as_ref().filter(|_| path.active.is_none())?;
    let until = retired.until.checked_add(grace).unwrap_or(Timestamp::MAX);
    (now < until).then_some((&retired.file, retired.since))
}

fn stays(snapshot: &Snapshot, group: &Group, file: &ShareFile, now: Timestamp) -> bool {
    may_stay_shown(snapshot, group, &file.product, file.sequence, now)
}

/// Asks once for each release.
struct Verdicts<'s> {
    snapshot: &'s Snapshot,
    group: &'s Group,
    now: Timestamp,
    known: BTreeMap<(ProductName, u64), bool>,
}

impl Verdicts<'_> {
    fn stays(&mut self, file: &ShareFile) -> bool {
        let Self { snapshot, group, now, known } = self;
        let key = (file.product.clone(), file.sequence);
        *known.entry(key).or_insert_with(|| stays(snapshot, group, file, *now))
    }
}
