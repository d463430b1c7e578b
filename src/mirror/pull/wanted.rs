//! Which groups of a blob are there, which are on their way, and which are to be asked for next.

use std::collections::VecDeque;
use std::ops::Range;

use crate::store::GROUP_BYTES;

/// Most wishes that are kept. Who comes on top of them gets its bytes in the order of the blob.
const WISHES_MAX: usize = 1_024;

/// The groups of one blob. Groups that somebody waits for come first, all others in order.
#[derive(Debug)]
pub(super) struct Wanted {
    size: u64,
    state: Vec<Group>,
    missing: usize,
    /// Everything before it is there or on its way.
    lowest: usize,
    wishes: VecDeque<Range<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Missing,
    Asked,
    There,
}

/// How many groups a blob of this size has.
pub(super) fn count(size: u64) -> usize {
    usize::try_from(size.div_ceil(GROUP_BYTES)).unwrap_or(usize::MAX)
}

/// The bytes of some groups of a blob of this size.
pub(super) fn bytes_of(groups: &Range<usize>, size: u64) -> Range<u64> {
    let at = |group: usize| (group as u64).saturating_mul(GROUP_BYTES).min(size);
    at(groups.start)..at(groups.end)
}

/// The groups in which these bytes are.
pub(super) fn groups_of(bytes: &Range<u64>) -> Range<usize> {
    let start = usize::try_from(bytes.start / GROUP_BYTES).unwrap_or(usize::MAX);
    if bytes.is_empty() { start..start } else { start..count(bytes.end) }
}

impl Wanted {
    pub(super) fn new(size: u64) -> Self {
        // The empty blob has one empty group.
        let groups = count(size).max(1);
        Self { size, state: vec![Group::Missing; groups], missing: groups, lowest: 0, wishes: VecDeque::new() }
    }

    /// Whether all groups with these bytes are there.
    pub(super) fn has(&self, bytes: &Range<u64>) -> bool {
        let groups = groups_of(bytes);
        self.state.get(groups).is_some_and(|groups| groups.iter().all(|group| *group == Group::There))
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// How many bytes are not there.
    pub(super) fn missing_bytes(&self) -> u64 {
        let last_is_missing = self.state.last().is_some_and(|last| *last != Group::There);
        let last_bytes = self.size - bytes_of(&(0..self.state.len().saturating_sub(1)), self.size).end;
        let whole = self.missing - usize::from(last_is_missing);
        whole as u64 * GROUP_BYTES + if last_is_missing { last_bytes } else { 0 }
    }

    /// Somebody waits for these bytes.
    pub(super) fn wish(&mut self, bytes: &Range<u64>) {
        let groups = groups_of(bytes);
        let groups = groups.start..groups.end.min(self.state.len());
        let is_known = |wish: &Range<usize>| wish.start <= groups.start && groups.end <= wish.end;
        if !groups.is_empty() && self.wishes.len() < WISHES_MAX && !self.wishes.iter().any(is_known) {
            self.wishes.push_back(groups);
        }
    }

    /// What to ask for next, at most `most` groups in a row, and whether somebody waits for it; they count as asked for.
    /// Wishes take turns.
    pub(super) fn next_run(&mut self, most: usize) -> Option<(Range<usize>, bool)> {
        while let Some(wish) = self.wishes.pop_front() {
            if let Some(run) = self.run_in(wish.clone(), most) {
                self.wishes.push_back(run.end..wish.end);
                return Some((run, true));
            }
        }
        let run = self.run_in(self.lowest..self.state.len(), most)?;
        self.lowest = run.end;
        Some((run, false))
    }

    /// Whether somebody waits for a group that is not asked for.
    pub(super) fn has_wish(&self) -> bool {
        let is_open = |wish: &Range<usize>| self.state.get(wish.clone()).is_some_and(|of| of.contains(&Group::Missing));
        self.wishes.iter().any(is_open)
    }

    fn run_in(&mut self, within: Range<usize>, most: usize) -> Option<Range<usize>> {
        let is_missing = |group: &Group| *group == Group::Missing;
        let start = within.start + self.state.get(within.clone())?.iter().position(is_missing)?;
        let length = self.state[start..within.end].iter().take(most).take_while(|group| is_missing(group)).count();
        let run = start..start + length;
        self.state[run.clone()].fill(Group::Asked);
        Some(run)
    }

    /// Whether anything is left to ask for.
    pub(super) fn has_more(&self) -> bool {
        self.state.get(self.lowest..).is_some_and(|rest| rest.contains(&Group::Missing))
    }

    /// A group has come in and was verified.
    pub(super) fn put(&mut self, group: usize) {
        if let Some(state) = self.state.get_mut(group).filter(|state| **state != Group::There) {
            *state = Group::There;
            self.missing -= 1;
        }
    }

    /// What of a run has not come in is to be asked for again.
    pub(super) fn give_back(&mut self, run: &Range<usize>) {
        for group in run.clone().rev() {
            if let Some(state) = self.state.get_mut(group).filter(|state| **state == Group::Asked) {
                *state = Group::Missing;
                self.lowest = self.lowest.min(group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const G: u64 = GROUP_BYTES;

    #[test]
    fn groups_and_bytes() {
        assert_eq!((count(0), count(1), count(G), count(G + 1)), (0, 1, 1, 2));
        assert_eq!(bytes_of(&(1..3), 2 * G + 5), G..2 * G + 5);
        assert_eq!(groups_of(&(0..1)), 0..1);
        assert_eq!(groups_of(&(G - 1..G + 1)), 0..2);
        assert_eq!(groups_of(&(G..G)), 1..1);
        assert_eq!(Wanted::new(0).next_run(4), Some((0..1, false)));
    }

    #[test]
    fn what_is_waited_for_comes_first_and_wishes_take_turns() {
        let mut wanted = Wanted::new(20 * G);
        assert_eq!(wanted.next_run(4), Some((0..4, false)));
        wanted.wish(&(10 * G..16 * G));
        wanted.wish(&(5 * G..5 * G + 1));
        assert_eq!(wanted.next_run(4), Some((10..14, true)));
        assert!(wanted.has_wish());
        assert_eq!(wanted.next_run(4), Some((5..6, true)));
        assert_eq!(wanted.next_run(4), Some((14..16, true)));
        assert!(!wanted.has_wish());
        assert_eq!(wanted.next_run(4), Some((4..5, false)));
        assert_eq!(wanted.next_run(4), Some((6..10, false)));
        assert_eq!(wanted.next_run(4), Some((16..20, false)));
        assert_eq!(wanted.next_run(4), None);
        wanted.give_back(&(5..6));
        assert!(wanted.has_more());
        assert_eq!(wanted.next_run(4), Some((5..6, false)));
    }

    #[test]
    fn missing_bytes_count_a_short_last_group() {
        let mut wanted = Wanted::new(2 * G + 5);
        assert_eq!(wanted.missing_bytes(), 2 * G + 5);
        wanted.put(2);
        assert_eq!(wanted.missing_bytes(), 2 * G);
        wanted.put(0);
        wanted.put(0);
        assert_eq!(wanted.missing_bytes(), G);
        wanted.put(1);
        assert_eq!((wanted.missing_bytes(), wanted.is_complete()), (0, true));
    }

    proptest! {
        #[test]
        fn every_group_is_asked_for_once_until_it_is_given_back(
            groups in 1..40_u64,
            steps in proptest::collection::vec((0..40_u64, 1..40_u64, 1..6_usize, any::<bool>()), 1..60),
        ) {
            let mut wanted = Wanted::new(groups * G);
            let mut asked = vec![false; usize::try_from(groups).unwrap()];
            for (start, length, most, breaks) in steps {
                wanted.wish(&(start * G..(start + length) * G));
                let Some((run, _)) = wanted.next_run(most) else { break };
                prop_assert!(!run.is_empty() && run.len() <= most);
                for group in run.clone() {
                    prop_assert!(!asked[group], "group {group} is asked for twice");
                    asked[group] = true;
                }
                if breaks {
                    wanted.put(run.start);
                    wanted.give_back(&run);
                    asked[run.start + 1..run.end].fill(false);
                }
            }
            while let Some((run, _)) = wanted.next_run(3) {
                for group in run {
                    prop_assert!(!asked[group]);
                    asked[group] = true;
                }
            }
            prop_assert!(asked.iter().all(|asked| *asked));
        }
    }
}
