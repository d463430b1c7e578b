//! The trace: a line for each rule, in order, with what it did.

use super::view::{Rejection, View};
use super::walk::{Found, Why};
use super::words;
use super::{Outcome, Rule, TraceLine};
use crate::model::{Release, Version};

/// How many releases a line names before it counts the rest.
const NAMED: usize = 3;
const UNKNOWN: &str = "the device's version is unknown";
const NOT_BELOW: &str = "nothing newer than the one chosen is below the device's version";

type Rejected<'a> = [(&'a Release, Rejection<'a>)];

/// The line of the rule that decided before there was a view.
pub(super) fn identity(decided: bool, detail: String) -> TraceLine {
    line(Rule::Identity, if decided { Outcome::Decided } else { Outcome::Passed }, detail)
}

/// The lines of a walk.
pub(super) fn lines(
    view: &View<'_>,
    current: Option<&Version>,
    found: &Found<'_>,
    rejected: &Rejected<'_>,
) -> Vec<TraceLine> {
    let reason = || words::reason(view, current, found);
    let taken = |rule: Rule, passed: &str| {
        let taken: Vec<_> = rejected.iter().filter(|(_, rejection)| rejection.rule() == rule).collect();
        let outcome = outcome(rule, found, !taken.is_empty());
        line(rule, outcome, if taken.is_empty() { passed.into() } else { name(view, current, &taken) })
    };
    if view.pin.is_some() && view.freeze.is_none() {
        let skipped = |rule| line(rule, Outcome::Passed, "the pin comes first".into());
        return vec![
            fit(view, found),
            taken(Rule::Withdrawn, "the pinned version was not withdrawn"),
            barrier(view, current, found, reason),
            taken(Rule::Hold, "the pinned version is not held for this device"),
            pin(view, found, reason),
            skipped(Rule::Keep),
            skipped(Rule::Deferral),
            taken(Rule::NeverBelow, if current.is_none() { UNKNOWN } else { NOT_BELOW }),
            last(found),
        ];
    }
    let defer = format!("nothing is deferred ({} after publication)", view.defer);
    let keep = format!("none newer than the one chosen is kept back (N-{})", view.keep);
    vec![
        fit(view, found),
        taken(Rule::Withdrawn, "none newer than the one chosen was withdrawn"),
        barrier(view, current, found, reason),
        taken(Rule::Hold, "none newer than the one chosen is held for this device"),
        pin(view, found, reason),
        taken(Rule::Keep, if view.keep == 0 { "the group takes the newest" } else { &keep }),
        taken(Rule::Deferral, if view.defer.is_none() { "the group defers nothing" } else { &defer }),
        taken(Rule::NeverBelow, if current.is_none() { UNKNOWN } else { NOT_BELOW }),
        last(found),
    ]
}

fn line(rule: Rule, outcome: Outcome, detail: String) -> TraceLine {
    TraceLine { step: rule.step(), rule, outcome, detail }
}

fn outcome(rule: Rule, found: &Found<'_>, narrowed: bool) -> Outcome {
    match (found.rule == rule, narrowed) {
        (true, _) => Outcome::Decided,
        (false, true) => Outcome::Narrowed,
        (false, false) => Outcome::Passed,
    }
}

fn name(view: &View<'_>, current: Option<&Version>, taken: &[&(&Release, Rejection<'_>)]) -> String {
    let named = taken.iter().take(NAMED).map(|(release, why)| words::because(view, current, release, why));
    let mut text = named.collect::<Vec<_>>().join("; ");
    if taken.len() > NAMED {
        text += &format!("; and {} more", taken.len() - NAMED);
    }
    text
}

fn fit(view: &View<'_>, found: &Found<'_>) -> TraceLine {
    let count = view.product.releases().iter().filter(|release| view.is_candidate(release)).count();
    let detail = match (count, view.platform) {
        (0, _) => words::nothing_fits(view),
        (1, Some(platform)) => format!("1 published release is for {platform}"),
        (count, Some(platform)) => format!("{count} published releases are for {platform}"),
        (1, None) => "1 release is published; the device's platform is unknown, so all fit".into(),
        (count, None) => format!("{count} releases are published; the device's platform is unknown, so all fit"),
    };
    line(Rule::Fit, outcome(Rule::Fit, found, false), detail)
}

fn barrier(view: &View<'_>, current: Option<&Version>, found: &Found<'_>, reason: impl Fn() -> String) -> TraceLine {
    let detail = match (current, found.release) {
        _ if found.rule == Rule::Barrier => reason(),
        (None, _) => "the device's version is unknown: no barrier re-routes it".into(),
        (Some(current), Some(release)) => format!("no barrier between {current} and {}", release.version()),
        (Some(_), None) => format!("nothing of {} is left to re-route", view.product.product().name),
    };
    line(Rule::Barrier, outcome(Rule::Barrier, found, false), detail)
}

fn pin(view: &View<'_>, found: &Found<'_>, reason: impl Fn() -> String) -> TraceLine {
    let detail = match (&found.why, view.pin) {
        (Why::Pinned(..), _) => reason(),
        (_, Some(pin)) => format!("group {} is pinned to {}", view.group.name(), pin.version()),
        (_, None) => format!("group {} is not pinned", view.group.name()),
    };
    line(Rule::Pin, outcome(Rule::Pin, found, view.pin.is_some() && view.freeze.is_none()), detail)
}

fn last(found: &Found<'_>) -> TraceLine {
    let detail = match found.release {
        Some(release) => format!("{} is served", release.version()),
        None => "nothing is served".into(),
    };
    line(Rule::Highest, outcome(Rule::Highest, found, false), detail)
}
