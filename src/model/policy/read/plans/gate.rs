//! Gates, and gates that are another ring's.

use super::metrics;
use super::rings::Draft;
use crate::model::policy::error::Findings;
use crate::model::policy::node::{Node, Value, field};
use crate::model::policy::read::values;
use crate::model::{BasisPoints, Gate, RingName, Span};

/// The keys of a gate.
pub(in crate::model::policy) const KEYS: [&str; 6] = ["samples", "failures", "silence", "within", "timeout", "metrics"];

/// The most devices that a gate may ask for.
const MAX_SAMPLES: u32 = 100_000;
const DEFAULT_SILENCE: BasisPoints = BasisPoints::new(500);
const DEFAULT_WITHIN: Span = Span::from_secs(2 * 3_600);
/// The shortest time without a verdict that is worth an alert, where the plan does not say.
const LEAST_TIMEOUT: Span = Span::from_secs(12 * 3_600);

/// A gate as it stands in the text.
pub(super) enum Written {
    /// There is none.
    None,
    /// Its own.
    Own(Gate),
    /// The same as another ring's.
    Same(RingName),
    /// Something that has a finding already.
    Unreadable,
}

pub(super) fn read(node: &Node, what: &str, findings: &mut Findings) -> Written {
    match &node.value {
        Value::Text(_) => node.parse(what, findings).map_or(Written::Unreadable, Written::Same),
        Value::Table(_) => read_own(node, what, findings).map_or(Written::Unreadable, Written::Own),
        other => {
            let shape =
                "a table such as { samples = 20, failures = \"1%\" } or the name of the ring whose gate it shares";
            findings.add(node.line, format!("{what} is {shape}, not {}", other.kind()));
            Written::Unreadable
        }
    }
}

fn read_own(node: &Node, what: &str, findings: &mut Findings) -> Option<Gate> {
    let before = findings.count();
    let entries = node.fields(what, &KEYS, findings)?;
    let samples = required(entries, "samples", node.line, what, findings)
        .and_then(|node| node.whole(&format!("{what}, samples"), 1..=MAX_SAMPLES, findings));
    let failures = required(entries, "failures", node.line, what, findings)
        .and_then(|node| limit(node, &format!("{what}, failures"), findings));
    let silence = field(entries, "silence").and_then(|node| limit(node, &format!("{what}, silence"), findings));
    let within =
        field(entries, "within").and_then(|node| values::some_time(node, &format!("{what}, within"), findings));
    let timeout =
        field(entries, "timeout").and_then(|node| values::some_time(node, &format!("{what}, timeout"), findings));
    let metrics = field(entries, "metrics").map(|node| metrics::read(node, &format!("{what}, metrics"), findings));
    if findings.count() != before {
        return None;
    }
    let within = within.unwrap_or(DEFAULT_WITHIN);
    let timeout = timeout.unwrap_or_else(|| Span::from_secs(within.as_secs() * 4).max(LEAST_TIMEOUT));
    if timeout < within {
        let why = "it would alert before a silent device can be told from a slow one";
        findings.add(node.line, format!("{what}: the timeout of {timeout} is shorter than within, {within}: {why}"));
    }
    let silence = silence.unwrap_or(DEFAULT_SILENCE);
    Some(Gate {
        samples: samples?,
        failures: failures?,
        silence,
        within,
        timeout,
        metrics: metrics.unwrap_or_default(),
    })
}

fn required<'a>(
    entries: &'a [(String, Node)],
    key: &str,
    line: usize,
    what: &str,
    findings: &mut Findings,
) -> Option<&'a Node> {
    let found = field(entries, key);
    if found.is_none() {
        findings.add(line, format!("{what} has no {key}; a gate says samples and failures"));
    }
    found
}

/// A share that can be exceeded and is more than nothing.
fn limit(node: &Node, what: &str, findings: &mut Findings) -> Option<BasisPoints> {
    let share: BasisPoints = node.parse(what, findings)?;
    if share == BasisPoints::NONE || share == BasisPoints::ALL {
        let which = if share == BasisPoints::NONE { "no gate could pass" } else { "no gate could fail" };
        findings.add(node.line, format!("{what} is more than 0% and less than 100%: at {share} {which}"));
        return None;
    }
    Some(share)
}

/// The gate of each ring, references followed. Each bad reference is one finding, at the ring that has it.
pub(super) fn resolve(drafts: &[Draft], what: &str, findings: &mut Findings) -> Vec<Option<Gate>> {
    let resolved = drafts.iter().enumerate().map(|(index, _)| follow(drafts, index, what, findings));
    resolved.collect()
}

fn follow(drafts: &[Draft], start: usize, what: &str, findings: &mut Findings) -> Option<Gate> {
    let mut way = vec![start];
    let problem = loop {
        let at = *way.last()?;
        let Written::Same(ring) = &drafts[at].gate else {
            match &drafts[at].gate {
                Written::Own(gate) => return Some(gate.clone()),
                Written::None if way.len() == 2 => {
                    break format!("ring \"{}\" has no gate of which it could be the same", drafts[at].ring);
                }
                // A longer way is the finding of the ring before the end.
                _ => return None,
            }
        };
        match drafts.iter().position(|draft| draft.ring == *ring) {
            None if way.len() == 1 => {
                let known: Vec<_> = drafts.iter().map(|draft| draft.ring.as_str()).collect();
                break format!("ring \"{ring}\" is not in the plan; its rings are {}", known.join(", "));
            }
            None => return None,
            Some(next) if next == start && way.len() == 1 => {
                break "it names its own ring; write samples and failures, or name another ring".into();
            }
            Some(next) if next == start => {
                let names: Vec<_> = way.iter().chain([&start]).map(|at| drafts[*at].ring.as_str()).collect();
                break format!("the gates name each other in a circle: {}", names.join(", "));
            }
            // A circle further on is the finding of those in it.
            Some(next) if way.contains(&next) => return None,
            Some(next) => way.push(next),
        }
    };
    let draft = &drafts[start];
    findings.add(draft.gate_line, format!("{what}.{}, gate: {problem}", draft.ring));
    None
}
