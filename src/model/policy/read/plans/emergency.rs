//! Emergency plans: the ordinary waves and gates with shorter times.

use std::collections::BTreeSet;

use super::Context;
use crate::model::policy::error::Findings;
use crate::model::policy::node::{Node, field};
use crate::model::policy::read::values;
use crate::model::policy::{ClassPlan, EmergencyPlan};
use crate::model::{Actor, Class, Plan, Promote, RingPlan, Span, Wave};

/// The keys of `emergency`.
pub(in crate::model::policy) const KEYS: [&str; 6] =
    ["waves_from", "bake_times", "approvers", "approvals", "lasts", "out_of_band"];

const CLASSES: [(&str, Class); 2] =
    [(Class::Intelligence.as_str(), Class::Intelligence), (Class::Platform.as_str(), Class::Platform)];
const DEFAULT_BAKE_TIMES: f64 = 0.25;
const DEFAULT_APPROVALS: u32 = 2;
const MAX_APPROVALS: u32 = 10;
const MAX_APPROVERS: usize = 100;
const DEFAULT_LASTS: Span = Span::from_secs(24 * 3_600);

/// The ordinary plans as far as they could be read, and which are written.
type Ordinary<'a> = (&'a [Option<ClassPlan>; 2], [bool; 2]);

/// Reads the emergency plan of a class.
pub(super) fn read(
    node: &Node,
    class: Class,
    (plans, written): Ordinary<'_>,
    context: Context<'_>,
    findings: &mut Findings,
) -> Option<EmergencyPlan> {
    let what = format!("plan.{class}.emergency");
    let entries = node.fields(&what, &KEYS, findings)?;
    let source = field(entries, "waves_from");
    let source_line = source.map_or(node.line, |node| node.line);
    let source = match source {
        Some(node) => values::choice(node, &format!("{what}, waves_from"), &CLASSES, findings),
        None => Some(class),
    };
    let bake_times = match field(entries, "bake_times") {
        Some(node) => read_bake_times(node, &format!("{what}, bake_times"), findings),
        None => Some(DEFAULT_BAKE_TIMES),
    };
    let approvals_needed = match field(entries, "approvals") {
        Some(node) => node.whole(&format!("{what}, approvals"), 2..=MAX_APPROVALS, findings),
        None => Some(DEFAULT_APPROVALS),
    };
    let approvers = read_approvers(field(entries, "approvers"), node.line, &what, approvals_needed, findings);
    let lasts = match field(entries, "lasts") {
        Some(node) => values::some_time(node, &format!("{what}, lasts"), findings),
        None => Some(DEFAULT_LASTS),
    };
    let out_of_band = match field(entries, "out_of_band") {
        Some(node) => node.flag(&format!("{what}, out_of_band"), findings),
        None => Some(false),
    };
    let source = source?;
    if !written[source as usize] {
        findings.add(source_line, format!("{what}, waves_from: there is no [plan.{source}]"));
    }
    let from = &plans[source as usize].as_ref()?.plan;
    if source != class {
        check_reach(from, (class, source), source_line, context, findings);
    }
    check_stops(from, &what, node.line, findings);
    let own = &plans[class as usize].as_ref()?.plan;
    let bake_times = bake_times?;
    let rings = from.rings.iter().map(|ring| faster(ring, bake_times)).collect();
    let plan = Plan { strategy: from.strategy, rings, watch: own.watch, rollback: own.rollback.clone() };
    Some(EmergencyPlan {
        plan,
        approvers: approvers?,
        approvals_needed: approvals_needed?,
        lasts: lasts?,
        out_of_band: out_of_band?,
    })
}

fn read_bake_times(node: &Node, what: &str, findings: &mut Findings) -> Option<f64> {
    let factor = node.number(what, findings)?;
    if factor > 0.0 && factor <= 1.0 {
        return Some(factor);
    }
    findings.add(node.line, format!("{what} is more than 0 and at most 1, such as 0.25 for a quarter of the times"));
    None
}

fn read_approvers(
    node: Option<&Node>,
    line: usize,
    what: &str,
    needed: Option<u32>,
    findings: &mut Findings,
) -> Option<BTreeSet<String>> {
    let Some(node) = node else {
        findings.add(line, format!("{what} has no approvers; name the people who may approve an emergency"));
        return None;
    };
    let what = format!("{what}, approvers");
    let items = node.list(&what, findings)?;
    if items.len() > MAX_APPROVERS {
        let count = items.len();
        findings.add(node.line, format!("{what} has {count} names; at most {MAX_APPROVERS} are allowed"));
        return None;
    }
    let before = findings.count();
    let mut approvers = BTreeSet::new();
    for item in items {
        if let Some(actor) = item.parse::<Actor>(&what, findings)
            && !approvers.insert(actor.as_str().to_owned())
        {
            findings.add(item.line, format!("{what} names {actor} twice"));
        }
    }
    let (named, needed) = (approvers.len(), needed.unwrap_or(DEFAULT_APPROVALS));
    if findings.count() == before && named < needed as usize {
        let why = format!("names {named} of the {needed} people who must approve; name at least {needed}");
        findings.add(node.line, format!("{what} {why}"));
    }
    Some(approvers)
}

/// Waves of the other class must reach every ring that a group sits in for this one.
fn check_reach(
    from: &Plan,
    (class, source): (Class, Class),
    line: usize,
    context: Context<'_>,
    findings: &mut Findings,
) {
    for ring in context.rings.rings.iter().map(|ring| ring.name()) {
        if from.ring(ring).is_none() && context.groups_in(ring.as_str(), class).next().is_some() {
            let why =
                format!("has no ring \"{ring}\", in which devices get {class}: an emergency would not reach them");
            findings.add(line, format!("plan.{class}.emergency, waves_from: plan.{source} {why}"));
        }
    }
}

/// An emergency goes faster, never blindly: there is a first part, and a gate before the last.
fn check_stops(from: &Plan, what: &str, line: usize, findings: &mut Findings) {
    let Some((last, before)) = from.rings.split_last() else { return };
    if before.is_empty() && last.waves.len() < 2 {
        let why = "one wave in one ring reaches everyone at once, and nothing is left to stop";
        findings.add(line, format!("{what}: {why}; give the plan a second wave or ring"));
    } else if before.iter().all(|ring| ring.gate.is_none()) && (last.gate.is_none() || last.waves.len() < 2) {
        let why = "no gate stands before its last wave, so that nothing could stop it";
        findings.add(line, format!("{what}: {why}; give the plan's first ring a gate"));
    }
}

fn faster(ring: &RingPlan, factor: f64) -> RingPlan {
    let wave =
        |wave: &Wave| Wave { share: wave.share, over: shorter(wave.over, factor), bake: shorter(wave.bake, factor) };
    RingPlan {
        ring: ring.ring.clone(),
        waves: ring.waves.iter().map(wave).collect(),
        gate: ring.gate.clone(),
        promote: Promote::Automatic,
    }
}

/// Rounded up to a second; what a product of decimals has too much in its last binary place is no further second.
fn shorter(span: Span, factor: f64) -> Span {
    let seconds = (span.as_secs() as f64 * factor - 1e-6).ceil();
    Span::from_secs((seconds as u64).max(u64::from(!span.is_none())))
}
