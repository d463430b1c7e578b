//! Random histories, swept through time.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::histories::{history, moments, play, product, version};
use crate::model::{Platform, Version};
use crate::policy::oracle::{is_withheld, oracle};
use crate::policy::{
    Decision, Outcome, Requester, Rule, decide, decide_in_group, decide_quiet, group_of, may_download,
};

/// Versions a device may have: none said, each one, and between each.
fn currents() -> Vec<Option<Version>> {
    let between = (0u8..8).map(|n| format!("{n}.5").parse().ok());
    std::iter::once(None).chain((1u8..8).map(|n| Some(version(n)))).chain(between).collect()
}

/// All that must not change while a decision is valid.
fn answer(decision: &Decision) -> impl PartialEq + std::fmt::Debug + use<> {
    let version = decision.release.as_ref().map(|release| release.version().to_string());
    (version, decision.rule, decision.is_current, decision.group.clone(), decision.ring.clone(), decision.visible)
}

proptest! {
    #[test]
    fn equal_to_the_oracle_at_every_moment(
        steps in history(),
        current in proptest::sample::select(currents()),
        platform in proptest::sample::select(vec![None, Some("x"), Some("y")]),
        identified in prop::bool::weighted(0.95),
    ) {
        let journal = play(&steps);
        let id = "d".parse().unwrap();
        let platform = platform.map(|name| name.parse::<Platform>().unwrap());
        let who = Requester { device: identified.then_some(&id), address: None, platform, current };
        let mut last: Option<(Timestamp, Decision)> = None;
        for now in moments(&journal) {
            let past = journal.snapshot_at(now);
            let decision = decide(journal.snapshot(), &who, &product(), now);
            let version = decision.release.as_ref().map(|release| release.version().clone());
            prop_assert_eq!((version.clone(), decision.rule), oracle(&past, &who, &product(), now));

            let then = decide(&past, &who, &product(), now);
            prop_assert_eq!(answer(&then), answer(&decision));
            prop_assert_eq!((&then.reason, &then.trace), (&decision.reason, &decision.trace));

            let quiet = decide_quiet(journal.snapshot(), &who, &product(), now);
            let untraced = Decision { trace: Vec::new(), ..decision.clone() };
            prop_assert_eq!(&quiet, &untraced);
            if let Some(group) = group_of(journal.snapshot(), &who, now) {
                prop_assert_eq!(&decide_in_group(journal.snapshot(), group, &who, &product(), now), &untraced);
            }

            let decided: Vec<_> = decision.trace.iter().filter(|line| line.outcome == Outcome::Decided).collect();
            prop_assert_eq!(decided.len(), 1);
            prop_assert_eq!((decided[0].rule, decided[0].step), (decision.rule, decision.rule.step()));
            prop_assert!(decision.trace.is_sorted_by_key(|line| line.step));
            prop_assert_eq!(decision.is_current, version.is_some() && version == who.current);
            let is_not_below = version.zip(who.current.as_ref()).is_none_or(|(version, current)| version >= *current);
            prop_assert!(is_not_below || decision.rule == Rule::Rollback);

            prop_assert!(decision.valid_until.is_none_or(|end| end > now));
            if let Some((_, before)) = last.as_ref().filter(|(_, before)| before.valid_until.is_none_or(|end| now < end)) {
                prop_assert_eq!(answer(before), answer(&decision));
            }
            let ended = last.as_ref().is_none_or(|(_, before)| before.valid_until.is_some_and(|end| now >= end));
            if ended {
                last = Some((now, decision));
            }
        }
    }

    #[test]
    fn downloads_are_what_was_decided(steps in history(), platform in proptest::sample::select(vec![None, Some("x")])) {
        let journal = play(&steps);
        let id = "d".parse().unwrap();
        let platform = platform.map(|name| name.parse::<Platform>().unwrap());
        let who = |current| Requester { device: Some(&id), address: None, platform: platform.clone(), current };
        let moments = moments(&journal);
        let decided: Vec<Vec<Option<Version>>> = moments
            .iter()
            .map(|now| {
                let past = journal.snapshot_at(*now);
                // What it has is a device's to keep, windows or not; that is nothing to download.
                let gets = |current: Option<Version>| {
                    let version = oracle(&past, &who(current.clone()), &product(), *now).0;
                    version.filter(|version| current.as_ref() != Some(version))
                };
                currents().into_iter().map(gets).collect()
            })
            .collect();
        let grace = SignedDuration::from_hours(3);
        for (index, now) in moments.iter().enumerate().rev().step_by(3) {
            let snapshot = journal.snapshot_at(*now);
            let Some(releases) = snapshot.product(&product()).cloned() else { continue };
            for release in releases.releases() {
                let first = index.saturating_sub(6);
                let was = decided[first..=index].iter().flatten().flatten().any(|version| version == release.version());
                let withheld = is_withheld(&snapshot, &who(None), &product(), release.version(), *now);
                let answer = may_download(&snapshot, &who(Some(version(7))), &product(), release, *now, grace);
                prop_assert_eq!(answer, was && !withheld, "{} at {}", release.version(), now);
            }
        }
    }
}
