//! Which version of a file a reader gets: the newest, but for those who are in the midst of the one before.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::stragglers::{Reader, Stragglers};
use crate::model::policy::{Policy, SharePolicy};
use crate::model::{Share, ShareFile, Snapshot, TargetName};
use crate::share::{Found, find, find_before};

/// A share at one moment.
pub(in crate::serve::device) struct Moment<'s> {
    pub(in crate::serve::device) snapshot: &'s Snapshot,
    pub(in crate::serve::device) policy: &'s Policy,
    pub(in crate::serve::device) share: &'s SharePolicy,
    pub(in crate::serve::device) now: Timestamp,
    /// For how long a path that is gone is still answered.
    pub(in crate::serve::device) grace: SignedDuration,
}

/// How long an answer that is not the newest has to wait: until the second of the switch is over. A client that keeps the
/// bytes under the time at which they arrived would otherwise have the old ones under the very second that the new ones
/// carry, and be told for ever that nothing has changed.
pub(in crate::serve::device) fn wait(moment: &Moment<'_>, found: &Found<'_>) -> Option<Duration> {
    let Moment { snapshot, share, now, .. } = *moment;
    let switched_at = snapshot.share(share.name())?.switch_at(now)?.at;
    let left = switched_at.checked_add(SignedDuration::from_secs(1)).ok()?.duration_since(now);
    let left = Duration::try_from(left).ok()?;
    let newest = find(snapshot, moment.policy, share, &found.file.path, (now, moment.grace))?;
    (newest.since != found.since).then_some(left)
}

/// The file that this reader gets at `path`. A file without a set, or alone in it, is looked up and nothing else.
pub(in crate::serve::device) fn pick<'s>(
    stragglers: &Stragglers,
    moment: &Moment<'s>,
    path: &TargetName,
    reader: Option<Reader<'_>>,
) -> Option<Found<'s>> {
    let Moment { snapshot, policy, share, now, grace } = *moment;
    let found = find(snapshot, policy, share, path, (now, grace));
    let Some(reader) = reader.filter(|_| found.is_none_or(|found| !found.file.set.is_empty())) else { return found };
    let Some(state) = snapshot.share(share.name()) else { return found };
    let Some(switched_at) = state.switch_at(now).map(|switch| switch.at) else { return found };
    let key = |found: &Found<'_>| stragglers.key(share.name(), &found.file.set, reader);
    if stragglers.is_in_grace(switched_at, now) {
        let before = find_before(snapshot, policy, share, path, now).filter(|before| !before.file.set.is_empty());
        if let Some(before) = before
            && stragglers.is_behind(key(&before), switched_at, before.since)
            && has_others(state, &before)
        {
            return Some(before);
        }
        // The version that it reads has no such file.
        if let Some(found) = found
            && is_added_at(state, path, switched_at)
            && stragglers.is_behind(key(&found), switched_at, Timestamp::MIN)
        {
            return None;
        }
    }
    // What only lingers says nothing of the version that its reader has.
    let is_there = || state.paths().get(path).is_some_and(|known| known.at(now).is_some());
    if let Some(found) = found
        && is_there()
    {
        stragglers.note(key(&found), switched_at, now);
    }
    found
}

/// Whether the path is there since that switch and was not before it.
fn is_added_at(state: &Share, path: &TargetName, switched_at: Timestamp) -> bool {
    state.paths().get(path).is_some_and(|known| {
        let was_before = known.retired.as_ref().is_some_and(|retired| retired.until == switched_at);
        !was_before && known.active.as_ref().is_some_and(|active| active.since == switched_at)
    })
}

/// Whether the file's set has other files, now or just before: alone it can be mixed with nothing.
fn has_others(state: &Share, found: &Found<'_>) -> bool {
    let is_other = |file: &ShareFile| file.set == found.file.set && file.path != found.file.path;
    state.kept_files().any(is_other)
}
