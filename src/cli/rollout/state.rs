//! Where a rollout stands and what comes next, in words.

use jiff::Timestamp;

use super::answer::{Emergency, Rollout};
use crate::cli::time;
use crate::model::{Promote, Span};

/// One or more lines: what it waits for, and what a person can do.
pub(super) fn next(rollout: &Rollout, now: Timestamp) -> Vec<String> {
    let id = rollout.id;
    let mut lines = Vec::new();
    if let Some(why) = &rollout.frozen {
        let reset = format!("ringfence rollout reset {} --reason TEXT", rollout.product);
        lines.push(format!("frozen: {why}; nothing new is exposed until: {reset}"));
    }
    if let Some(stopped) = &rollout.stopped {
        lines.push(format!("{} by {}: {}", time::shown(stopped.at), stopped.by, stopped.reason));
    }
    let until = |word: &str| {
        let Some(at) = rollout.baked_at else { return format!("{word} now") };
        format!("{word} {} more, until {}", left(at, now), time::shown(at))
    };
    let ring = rollout.ring.as_deref().unwrap_or("?");
    match rollout.state.as_str() {
        "awaiting_approval" => {
            lines.extend(rollout.emergency.iter().flat_map(|asked| approval(rollout, asked)));
            lines.extend(rollout.rollback.iter().map(|back| approval_of_rollback(rollout, back.approvals_needed)));
        }
        "scheduled" if rollout.started_at.is_none() && rollout.kind == "release" => {
            let start = format!("ringfence rollout start {} {}", rollout.product, rollout.version);
            lines.push(format!("waits for a person: {start}"));
        }
        "scheduled" if waits_for_person(rollout) => lines.push(promote(ring, id)),
        "scheduled" => lines.push("its first wave opens within moments".to_owned()),
        "exposing" => lines.push(until("grows and bakes")),
        "baking" => lines.push(until("bakes")),
        "evaluating" if rollout.wave.is_none() || waits_for_person(rollout) => lines.push(promote(ring, id)),
        "evaluating" => lines.push(format!("its bake time is over: the gate of ring {ring} has yet to speak")),
        "completed" => lines.push("everyone may have it".to_owned()),
        "paused" | "halted" => lines.push(format!("to let it go on: ringfence rollout resume {id} --reason TEXT")),
        _ => {}
    }
    lines
}

/// Whether the ring it is in, or comes to, has nothing open and waits for a person.
fn waits_for_person(rollout: &Rollout) -> bool {
    let here = rollout.rings.iter().find(|ring| Some(&ring.ring) == rollout.ring.as_ref());
    here.is_some_and(|ring| ring.promote == Promote::Manual && ring.state == "waiting")
}

fn promote(ring: &str, id: u64) -> String {
    format!("waits for a person to let it into ring {ring}: ringfence rollout promote {id} --reason TEXT")
}

fn approval_of_rollback(rollout: &Rollout, needed: u32) -> String {
    let (approved, author, id) = (approved(rollout, needed), &rollout.planned.by, rollout.id);
    format!("{approved}; anyone but {author} may: ringfence rollout approve {id}")
}

/// How many of those that are needed have approved it, and who.
fn approved(rollout: &Rollout, needed: u32) -> String {
    let by: Vec<_> = rollout.approvals.iter().map(|stamp| stamp.by.to_string()).collect();
    let have = by.len();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    format!("approved by {have} of {needed}{by}")
}

fn approval(rollout: &Rollout, asked: &Emergency) -> Vec<String> {
    let approvers = asked.approvers.iter().cloned().collect::<Vec<_>>().join(", ");
    let mut lines = vec![format!("{}; approvers are {approvers}", approved(rollout, asked.approvals_needed))];
    if !asked.pinned_groups.is_empty() {
        let groups = asked.pinned_groups.iter().cloned().collect::<Vec<_>>().join(", ");
        lines.push(format!("beats the pins of {groups}"));
    }
    if let Some(expires_at) = rollout.expires_at {
        let id = rollout.id;
        lines.push(format!("until {}: ringfence rollout approve {id}", time::shown(expires_at)));
    }
    lines
}

/// How long it is to a moment, to the minute where it is long.
pub(super) fn left(at: Timestamp, now: Timestamp) -> String {
    let seconds = u64::try_from(at.duration_since(now).as_secs()).unwrap_or(0);
    let shown = if seconds >= 3_600 { seconds - seconds % 60 } else { seconds };
    let text = Span::from_secs(shown).to_string();
    let mut spaced = String::with_capacity(text.len() + 3);
    for (index, letter) in text.char_indices() {
        spaced.push(letter);
        if letter.is_ascii_alphabetic() && index + 1 < text.len() {
            spaced.push(' ');
        }
    }
    spaced
}
