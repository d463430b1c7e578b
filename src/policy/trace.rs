//! The trace: a line for each rule, in order, with what it did.

use super::steps::{Pass, Rejection};
use super::view::View;
use super::walk::{Found, Why};
use super::words;
use super::{Outcome, Rule, TraceLine};
use crate::model::{Release, Version};

/// How many releases a line names before it counts the rest.
const NAMED: usize = 3;
const UNKNOWN: &str = "the device's version is unknown";
const ALL_HERE: &str = "nothing newer than the one chosen waits for a later bundle";
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
    let is_pinned = matches!(found.why, Why::Pinned(..)) || (view.pin.is_some() && view.whole_hold.is_none());
    let mut lines = vec![
        fit(view, found),
        taken(Rule::Withdrawn, "none newer than the one chosen was withdrawn"),
        barrier(view, current, found, reason),
        taken(Rule::Halt, "none newer than the one chosen is halted"),
        taken(Rule::Freeze, "nothing newer than the one chosen is frozen"),
        taken(Rule::Hold, "none newer than the one chosen is held for this device"),
        pin(view, found, reason),
        around(Rule::Rollback, found, taken(Rule::Rollback, "no rollback concerns the group"), reason),
        around(
            Rule::Expedite,
            found,
            line(Rule::Expedite, Outcome::Passed, "nothing is expedited for this device".into()),
            reason,
        ),
    ];
    let paced = [Rule::Keep, Rule::Deferral, Rule::Cadence, Rule::Ring, Rule::Staleness, Rule::Window, Rule::Rate];
    lines.extend(paced.into_iter().map(|rule| match is_pinned {
        true => line(rule, Outcome::Passed, "the pin comes first".into()),
        false if rule == Rule::Staleness => {
            around(rule, found, line(rule, Outcome::Passed, unmoved(view, rule)), reason)
        }
        false => taken(rule, &unmoved(view, rule)),
    }));
    // Only an offline site has releases without their bytes; elsewhere the line would say nothing.
    if !view.product.absent().is_empty() {
        lines.push(taken(Rule::Absent, ALL_HERE));
    }
    lines.push(taken(Rule::NeverBelow, if current.is_none() { UNKNOWN } else { NOT_BELOW }));
    lines.push(last(found));
    lines
}

/// What is said of a rule of steps 8 to 11 that took nothing away.
fn unmoved(view: &View<'_>, rule: Rule) -> String {
    match rule {
        Rule::Keep if view.keep == 0 => "the group takes the newest".into(),
        Rule::Keep => format!("none newer than the one chosen is kept back (N-{})", view.keep),
        Rule::Deferral if view.defer.is_none() => "the group defers nothing".into(),
        Rule::Deferral => format!("nothing is deferred ({} after publication)", view.defer),
        Rule::Cadence if view.pace.next_tick.is_none() => "the group has no cadence".into(),
        Rule::Cadence => {
            format!("nothing newer than the one chosen waits for a tick; the last was {}", view.pace.chosen_at)
        }
        Rule::Ring => format!("nothing newer than the one chosen waits for ring {} or a wave", view.ring),
        Rule::Staleness if view.pace.staleness.is_none() => "the group may stay stale".into(),
        Rule::Staleness => "nothing is held back for too long".into(),
        Rule::Window if view.pace.closes_at.is_none() && view.pace.closed.is_none() => {
            "the group has no maintenance windows".into()
        }
        Rule::Window => "nothing newer than the one chosen waits for a maintenance window".into(),
        Rule::Rate if view.pace.rate.is_none() => "the group has no rate".into(),
        _ => "nothing newer than the one chosen waits for the rate".into(),
    }
}

/// The line of a rule that does not take away but lets pass, if it decided; `otherwise` if it did not.
fn around(rule: Rule, found: &Found<'_>, otherwise: TraceLine, reason: impl Fn() -> String) -> TraceLine {
    match found.why {
        Why::Passed(_, pass) if found.rule == rule && !matches!(pass, Pass::Plain) => {
            line(rule, Outcome::Decided, reason())
        }
        _ => otherwise,
    }
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
    line(Rule::Pin, outcome(Rule::Pin, found, view.pin.is_some() && view.whole_hold.is_none()), detail)
}

fn last(found: &Found<'_>) -> TraceLine {
    let detail = match found.release {
        Some(release) => format!("{} is served", release.version()),
        None => "nothing is served".into(),
    };
    line(Rule::Highest, outcome(Rule::Highest, found, false), detail)
}
