//! The rings of a plan, each with its waves, its gate and who promotes into it.

use super::gate::{self, Written};
use super::waves::{self, Use};
use super::{Context, PROMOTES, RESERVED};
use crate::model::policy::UNIDENTIFIED;
use crate::model::policy::error::Findings;
use crate::model::policy::node::{Node, field};
use crate::model::policy::read::values;
use crate::model::{Class, Promote, RingName, RingPlan, Strategy, Wave};

/// The keys of a ring of a plan.
pub(in crate::model::policy) const KEYS: [&str; 3] = ["waves", "gate", "promote"];

/// A ring whose gate may still be a reference to another's.
pub(super) struct Draft {
    pub(super) ring: RingName,
    /// The line of its gate.
    pub(super) gate_line: usize,
    pub(super) gate: Written,
    waves: Vec<Wave>,
    promote: Promote,
}

/// The rings of the plan in order of exposure, whatever the order in the text.
pub(super) fn read(
    entries: &[(String, Node)],
    line: usize,
    (class, strategy): (Class, Strategy),
    context: Context<'_>,
    findings: &mut Findings,
) -> Vec<RingPlan> {
    let what = format!("plan.{class}");
    let known = &context.rings.rings;
    for (key, node) in entries.iter().filter(|(key, _)| !RESERVED.contains(&key.as_str())) {
        if !context.rings.incomplete && !known.iter().any(|ring| ring.name().as_str() == key) {
            let key: String = key.chars().take(80).collect();
            let rings = known.iter().map(|ring| ring.name().as_str()).collect::<Vec<_>>().join(", ");
            let problem = format!("names ring {key:?}, which is not defined; the rings are {rings}");
            findings.add(node.line, format!("{what} {problem}; its other keys are {}", RESERVED.join(", ")));
        }
    }
    let mut drafts = Vec::with_capacity(known.len());
    for ring in known.iter().map(|ring| ring.name()).filter(|ring| !RESERVED.contains(&ring.as_str())) {
        match field(entries, ring.as_str()) {
            Some(node) => drafts.push(read_ring(node, ring, &what, strategy, findings)),
            None => check_absent(ring, line, class, context, findings),
        }
    }
    let gates = gate::resolve(&drafts, &what, findings);
    for draft in drafts.iter().filter(|draft| !matches!(draft.gate, Written::None)) {
        check_reports(draft, class, context, findings);
    }
    let rings = drafts.into_iter().zip(gates);
    rings.map(|(Draft { ring, waves, promote, .. }, gate)| RingPlan { ring, waves, gate, promote }).collect()
}

fn read_ring(node: &Node, ring: &RingName, what: &str, strategy: Strategy, findings: &mut Findings) -> Draft {
    let what = format!("{what}.{ring}");
    let entries = node.fields(&what, &KEYS, findings).unwrap_or_default();
    let waves = match field(entries, "waves") {
        Some(node) => waves::read(node, &format!("{what}, waves"), Use::Ring(strategy), findings),
        None => {
            findings.add(node.line, format!("{what} has no waves; write waves = [\"100% bake 1h\"] for all at once"));
            Vec::new()
        }
    };
    let gate_node = field(entries, "gate");
    let gate = gate_node.map_or(Written::None, |node| gate::read(node, &format!("{what}, gate"), findings));
    let promote = field(entries, "promote")
        .and_then(|node| values::choice(node, &format!("{what}, promote"), &PROMOTES, findings));
    let gate_line = gate_node.map_or(node.line, |node| node.line);
    Draft { ring: ring.clone(), gate_line, gate, waves, promote: promote.unwrap_or_default() }
}

/// A ring that the plan leaves out must be empty.
fn check_absent(ring: &RingName, line: usize, class: Class, context: Context<'_>, findings: &mut Findings) {
    if let Some(group) = context.groups_in(ring.as_str(), class).next() {
        let name = group.name();
        let add = format!("releases would never reach it; add {ring} = {{ waves = [\"100% bake 1h\"] }}");
        findings.add(line, format!("plan.{class} has no ring \"{ring}\", in which group \"{name}\" is: {add}"));
    }
}

/// A gate in a ring whose devices can never report has no way to pass.
fn check_reports(draft: &Draft, class: Class, context: Context<'_>, findings: &mut Findings) {
    let ring = draft.ring.as_str();
    let mut groups = context.groups_in(ring, class).peekable();
    if groups.peek().is_some() && groups.all(|group| group.name().as_str() == UNIDENTIFIED) {
        let why = format!("only requests without identity are in ring \"{ring}\", and they never report");
        let instead = "leave the gate out, or write promote = \"manual\" in its place";
        findings.add(draft.gate_line, format!("plan.{class}.{ring}, gate: it can never pass: {why}; {instead}"));
    }
}
