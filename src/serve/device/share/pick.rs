//! Which version of a file a reader gets: the newest, but for those who are in the midst of the one before.

use jiff::{SignedDuration, Timestamp};

use super::stragglers::{Reader, Stragglers};
use crate::model::policy::{Policy, SharePolicy};
use crate::model::{Share, Snapshot, TargetName};
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

/// The file that this reader gets at `path`. A file without a set is looked up and nothing else.
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
