//! From what a share should show to the event that switches it. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::model::{Event, LayoutName, Share, ShareFile, ShareName, Shown, TargetName};

/// How long before its time a switch is journaled at least: until then its fsync must be over, or a client could read the
/// old bytes in the very second that the new ones carry.
const LEAD: SignedDuration = SignedDuration::from_millis(400);
/// How long a path that is gone is remembered: longer than any client takes that has read the index that named it.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(31 * 24);

/// The first whole second at which a switch that is decided at `now` may take effect: after the last one's.
pub(super) fn next_second(now: Timestamp, state: Option<&Share>) -> Timestamp {
    let soonest = now.as_millisecond().saturating_add(LEAD.as_millis() as i64).div_euclid(1_000) + 1;
    let after = state.map_or(soonest, |state| soonest.max(state.switch.at.as_second() + 1));
    Timestamp::from_second(after).unwrap_or(Timestamp::MAX)
}

/// Whether `at` is still far enough ahead.
pub(super) fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) >= LEAD
}

/// The switch from `state` to these files, or `None` where they are what is shown already. `files` are in order of path.
pub(super) fn switch(
    share: &ShareName,
    state: Option<&Share>,
    layout: &LayoutName,
    shows: Vec<Shown>,
    files: &[ShareFile],
    at: Timestamp,
) -> Option<Event> {
    let known: BTreeMap<&TargetName, &ShareFile> =
        state.into_iter().flat_map(Share::files).map(|active| (&active.file.path, &active.file)).collect();
    let put: Vec<_> =
        files.iter().filter(|file| known.get(&file.path).is_none_or(|known| known != file)).cloned().collect();
    let stays = |path: &TargetName| files.binary_search_by(|file| file.path.cmp(path)).is_ok();
    let removed: Vec<_> = known.keys().filter(|path| !stays(path)).map(|path| (*path).clone()).collect();
    let is_same = state.is_some_and(|state| state.switch.layout == *layout && state.switch.shows == shows);
    let is_nothing = state.is_none() && files.is_empty();
    if put.is_empty() && removed.is_empty() && (is_same || is_nothing) {
        return None;
    }
    let forgotten = state.map(|state| forgotten(state, files, at)).unwrap_or_default();
    Some(Event::ShareSwitched { share: share.clone(), at, layout: layout.clone(), shows, put, removed, forgotten })
}

fn forgotten(state: &Share, files: &[ShareFile], at: Timestamp) -> Vec<TargetName> {
    let gone = state.paths().iter().filter(|(_, path)| path.active.is_none());
    let old = gone.filter(|(_, path)| {
        path.retired.as_ref().is_none_or(|retired| at.duration_since(retired.until) > REMEMBERED_FOR)
    });
    let is_back = |path: &TargetName| files.binary_search_by(|file| file.path.cmp(path)).is_ok();
    old.map(|(path, _)| path).filter(|path| !is_back(path)).cloned().collect()
}
