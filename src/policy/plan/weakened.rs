//! Which safeguards a proposed policy weakens against the one in force, one sentence each.

use super::curve::opens_sooner;
use crate::model::policy::{ClassPlan, EmergencyPlan, Policy};
use crate::model::{ApprovalRule, BasisPoints, Bound, Class, Gate, Promote, RingPlan, SignatureRule, Span};

/// The sentences; none where nothing is weaker. What is only different, or stricter, is not told.
pub(super) fn weakened(present: &Policy, proposed: &Policy) -> Vec<String> {
    let mut said = Vec::new();
    for class in Class::ALL {
        approval(class, present.approval(class), proposed.approval(class), &mut said);
        if present.signature(class) == SignatureRule::Required && proposed.signature(class) == SignatureRule::Optional {
            said.push(format!("releases of {class} need no signature any more"));
        }
        match (present.plan(class), proposed.plan(class)) {
            (Some(old), Some(new)) => plans(class, old, new, &mut said),
            (Some(_), None) => {
                said.push(format!("the plan of {class} is gone: everyone would see a release from its publication on"));
            }
            (None, _) => {}
        }
    }
    said
}

fn approval(class: Class, old: ApprovalRule, new: ApprovalRule, said: &mut Vec<String>) {
    let strength = |rule| match rule {
        ApprovalRule::Auto => 0,
        ApprovalRule::Anyone => 1,
        ApprovalRule::Other => 2,
    };
    if strength(new) < strength(old) {
        said.push(match new {
            ApprovalRule::Auto => format!("releases of {class} need no approval any more"),
            ApprovalRule::Anyone | ApprovalRule::Other => {
                format!("releases of {class} may be approved by whoever published them")
            }
        });
    }
}

fn plans(class: Class, old: &ClassPlan, new: &ClassPlan, said: &mut Vec<String>) {
    if old.start == Promote::Manual && new.start == Promote::Automatic {
        said.push(format!("a rollout of {class} starts without a person"));
    }
    rings(&format!(" of {class}"), &old.plan.rings, &new.plan.rings, said);
    if new.plan.watch < old.plan.watch {
        let (now, before) = (new.plan.watch.in_words(), old.plan.watch.in_words());
        said.push(format!("late failures of {class} halt for {now} instead of {before}"));
    }
    match (old.breaker, new.breaker) {
        (Some(_), None) => said.push(format!("the breaker of {class} is gone: no number of halts freezes a product")),
        (Some(before), Some(now)) if now.halts > before.halts || now.within < before.within => {
            let words = |halts: u32, within: Span| format!("{halts} halts within {}", within.in_words());
            let (now, before) = (words(now.halts, now.within), words(before.halts, before.within));
            said.push(format!("the breaker of {class} freezes a product after {now} instead of {before}"));
        }
        _ => {}
    }
    let (before, now) = (&old.plan.rollback, &new.plan.rollback);
    if before.automatic && !now.automatic {
        said.push(format!("a halt of {class} no longer begins the way back by itself"));
    }
    if now.blast_limit > before.blast_limit {
        let (now, before) = (now.blast_limit, before.blast_limit);
        said.push(format!("a rollback of {class} needs no confirmation up to {now} devices instead of {before}"));
    }
    if now.approvals < before.approvals {
        let (now, before) = (now.approvals, before.approvals);
        said.push(format!("a rollback of {class} that a person begins needs {now} approvals instead of {before}"));
    }
    emergencies(class, old.emergency.as_ref(), new.emergency.as_ref(), said);
}

fn rings(of: &str, old: &[RingPlan], new: &[RingPlan], said: &mut Vec<String>) {
    for before in old {
        let ring = &before.ring;
        match new.iter().find(|plan| plan.ring == *ring) {
            None => said.push(format!("ring {ring} is gone from the plan{of}")),
            Some(now) => {
                waves(of, before, now, said);
                gates(of, before, now, said);
                if before.promote == Promote::Manual && now.promote == Promote::Automatic {
                    said.push(format!("ring {ring}{of} no longer waits for a person"));
                }
            }
        }
    }
}

fn waves(of: &str, old: &RingPlan, new: &RingPlan, said: &mut Vec<String>) {
    let ring = &old.ring;
    let bake = |plan: &RingPlan| Span::from_secs(plan.waves.iter().map(|wave| wave.bake.as_secs()).sum());
    let first = |plan: &RingPlan| plan.waves.first().map_or(BasisPoints::ALL, |wave| wave.share);
    let before = said.len();
    if bake(new) < bake(old) {
        let (now, was) = (words(bake(new)), words(bake(old)));
        said.push(format!("ring {ring}{of}: bakes {now} instead of {was}"));
    }
    if first(new) > first(old) {
        said.push(format!("ring {ring}{of}: its first wave takes {} instead of {}", first(new), first(old)));
    }
    if said.len() == before && opens_sooner(&old.waves, &new.waves) {
        said.push(format!("ring {ring}{of}: its waves open sooner"));
    }
}

fn gates(of: &str, old: &RingPlan, new: &RingPlan, said: &mut Vec<String>) {
    let Some(before) = &old.gate else { return };
    let name = format!("the gate of ring {}{of}", old.ring);
    let Some(now) = &new.gate else {
        said.push(format!("{name} is gone: its bake time alone counts"));
        return;
    };
    if now.samples < before.samples {
        said.push(format!("{name} asks for {} healthy devices instead of {}", now.samples, before.samples));
    }
    if now.failures > before.failures {
        said.push(format!("{name} lets {} fail instead of {}", now.failures, before.failures));
    }
    if now.silence > before.silence {
        said.push(format!("{name} lets {} fall silent instead of {}", now.silence, before.silence));
    }
    if now.within > before.within {
        let (now, before) = (words(now.within), words(before.within));
        said.push(format!("{name} waits {now} for a report instead of {before}"));
    }
    if now.timeout > before.timeout {
        let (now, before) = (words(now.timeout), words(before.timeout));
        said.push(format!("{name} alerts after {now} without a verdict instead of {before}"));
    }
    metrics(&name, before, now, said);
}

fn metrics(name: &str, old: &Gate, new: &Gate, said: &mut Vec<String>) {
    for before in &old.metrics {
        let Some(now) = new.metrics.iter().find(|band| band.metric == before.metric) else {
            said.push(format!("{name} no longer watches {}", before.metric));
            continue;
        };
        let is_looser =
            looser(before.high, now.high, |old, new| new > old) || looser(before.low, now.low, |old, new| new < old);
        if is_looser {
            said.push(format!("{name} watches {} within wider bounds", before.metric));
        }
    }
}

/// Whether a bound is gone, or further out; one of another kind cannot be compared and counts as further out.
fn looser(old: Option<Bound>, new: Option<Bound>, is_further: impl Fn(u64, u64) -> bool) -> bool {
    match (old, new) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(Bound::Milli(old)), Some(Bound::Milli(new)))
        | (Some(Bound::TimesMilli(old)), Some(Bound::TimesMilli(new))) => is_further(old, new),
        (Some(_), Some(_)) => true,
    }
}

fn emergencies(class: Class, old: Option<&EmergencyPlan>, new: Option<&EmergencyPlan>, said: &mut Vec<String>) {
    let Some(now) = new else { return };
    let Some(before) = old else {
        said.push(format!("emergencies of {class} can go faster than its plan: there was no such way before"));
        return;
    };
    if now.approvals_needed < before.approvals_needed {
        let (now, before) = (now.approvals_needed, before.approvals_needed);
        said.push(format!("an emergency of {class} needs {now} approvals instead of {before}"));
    }
    let added: Vec<_> = now.approvers.difference(&before.approvers).cloned().collect();
    if !added.is_empty() {
        said.push(format!("an emergency of {class} can be approved by {}, too", added.join(", ")));
    }
    if now.lasts > before.lasts {
        let (now, before) = (words(now.lasts), words(before.lasts));
        said.push(format!("an emergency of {class} lasts {now} instead of {before}"));
    }
    if now.out_of_band && !before.out_of_band {
        said.push(format!("in an emergency of {class} the command gate may finish after exposure has begun"));
    }
    rings(&format!(" in an emergency of {class}"), &before.plan.rings, &now.plan.rings, said);
}

fn words(span: Span) -> String {
    if span.is_none() { "no time".to_owned() } else { span.in_words() }
}
