//! A rollout's story as Markdown, for a review: what happened, and what was known. Facts only; people are named where
//! they acted, and nowhere else.

use jiff::{SignedDuration, Timestamp};

use super::view::version_of;
use crate::model::{
    Actor, Evidence, GateSignal, ProductReleases, Rollout, RolloutChange, RolloutKind, RolloutStep, Span,
};
use crate::policy::health::Counts;
use crate::policy::rollout::{rollback_target, standing};

/// One line of the table.
struct Row {
    seq: u64,
    at: Timestamp,
    what: String,
    who: String,
    evidence: String,
}

/// Writes it, as it stands at `now`.
pub(super) fn write(product: &ProductReleases, rollout: &Rollout, counts: &Counts, now: Timestamp) -> String {
    let version = version_of(product, rollout.sequence).unwrap_or_default();
    let name = &rollout.product;
    let mut text = format!("# Rollout {} of {name} {version}\n\n", rollout.id);
    text.push_str("| what | |\n|---|---|\n");
    for (what, value) in summary(product, rollout, &version, counts, now) {
        text.push_str(&format!("| {what} | {} |\n", cell(&value)));
    }
    text.push_str("\n## What happened\n\n| time (UTC) | what | who | evidence |\n|---|---|---|---|\n");
    for row in rows(product, rollout) {
        let (what, evidence) = (cell(&row.what), cell(&row.evidence));
        text.push_str(&format!("| {} | {what} | {} | {evidence} |\n", shown(row.at), cell(&row.who)));
    }
    if let Some(halted) = halt_of(rollout) {
        text.push_str("\n## What stopped it, and what it cost\n\n");
        for fact in facts(rollout, halted) {
            text.push_str(&format!("- {fact}\n"));
        }
    }
    text
}

fn summary(
    product: &ProductReleases,
    rollout: &Rollout,
    version: &str,
    counts: &Counts,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let from = match rollout.kind {
        RolloutKind::Rollback { from, .. } => version_of(product, from),
        RolloutKind::Release | RolloutKind::Expedite { .. } => {
            rollback_target(product, rollout.sequence, rollout.planned.at).map(|before| before.version().to_string())
        }
    };
    let mut state = standing(product, rollout, now).state.as_str().replace('_', " ");
    if let Some((at, _)) = halt_of(rollout) {
        let took = first_opening(rollout)
            .map_or_else(String::new, |first| format!(", {} after its first wave opened", length(first, at)));
        state = format!("{state}; halted {}{took}", shown(at));
    }
    let mut lines = vec![
        ("product", rollout.product.to_string()),
        ("version", version.to_owned()),
        ("from", from.unwrap_or_else(|| "nothing before it".to_owned())),
        ("kind", rollout.kind.as_str().to_owned()),
    ];
    lines.extend(rollout.reason.as_ref().map(|reason| ("why", reason.to_string())));
    lines.push(("devices offered it", counts.offered.to_string()));
    lines.push(("devices healthy", counts.healthy.to_string()));
    lines.push(("devices failed", counts.failed.to_string()));
    lines.push(("devices gone back by themselves", counts.rolled_back.to_string()));
    lines.push(("devices silent", counts.silent.to_string()));
    lines.push(("outcome", state));
    lines
}

fn rows(product: &ProductReleases, rollout: &Rollout) -> Vec<Row> {
    let planned = Row {
        seq: rollout.id,
        at: rollout.planned.at,
        what: match &rollout.kind {
            RolloutKind::Release => "planned".to_owned(),
            RolloutKind::Expedite { criteria, approvals_needed, .. } => {
                format!("emergency asked for ({criteria}); {approvals_needed} people must approve it")
            }
            RolloutKind::Rollback { devices, .. } => format!("way back planned, for {devices} devices"),
        },
        who: who(&rollout.planned.by),
        evidence: String::new(),
    };
    let mut rows = vec![planned];
    rows.extend(rollout.steps().iter().map(|step| row(rollout, step)));
    let halted: Vec<_> = rollout.stops().iter().filter(|stop| stop.is_halt).map(|stop| stop.from).collect();
    for freeze in product.freezes().iter().filter(|freeze| halted.contains(&freeze.frozen.at)) {
        let who_froze = who(&freeze.frozen.by);
        let what = format!("product frozen: {}", freeze.reason);
        rows.push(Row { seq: freeze.id, at: freeze.frozen.at, what, who: who_froze, evidence: String::new() });
        if let Some((stamp, reason)) = &freeze.reset {
            let what = format!("product reset: {reason}");
            rows.push(Row { seq: u64::MAX, at: stamp.at, what, who: who(&stamp.by), evidence: String::new() });
        }
    }
    let is_forward = !matches!(rollout.kind, RolloutKind::Rollback { .. });
    for back in product.rollbacks().filter(|back| is_forward && leads_from(back, rollout)) {
        let to = version_of(product, back.sequence).unwrap_or_default();
        let what = format!("rollback {} to {to} planned", back.id);
        let evidence = match back.kind {
            RolloutKind::Rollback { devices, .. } => format!("{devices} devices"),
            RolloutKind::Release | RolloutKind::Expedite { .. } => String::new(),
        };
        rows.push(Row { seq: back.id, at: back.planned.at, what, who: who(&back.planned.by), evidence });
    }
    rows.sort_by_key(|row| (row.at, row.seq));
    rows
}

fn leads_from(back: &Rollout, rollout: &Rollout) -> bool {
    matches!(back.kind, RolloutKind::Rollback { from, .. } if from == rollout.sequence && back.id > rollout.id)
}

fn row(rollout: &Rollout, step: &RolloutStep) -> Row {
    use RolloutChange as C;
    let wave = |ring: &crate::model::RingName, wave: &u32| {
        let index = rollout.ring_index(ring);
        let share = index.and_then(|index| rollout.plan.rings[index].waves.get(*wave as usize)).map(|wave| wave.share);
        let share = share.map_or_else(String::new, |share| format!(" ({share})"));
        format!("wave {}{share} of ring {ring}", wave + 1)
    };
    let known = |evidence: &Evidence| known(evidence);
    let (what, evidence) = match &step.change {
        C::Started => ("started".to_owned(), String::new()),
        C::Approved => ("approved".to_owned(), String::new()),
        C::RingPassedOver { ring } => (format!("ring {ring} passed over"), "no device can be in it".to_owned()),
        C::WaveOpened { ring, wave: place, devices, .. } => {
            (format!("{} opened", wave(ring, place)), format!("{devices} devices in the ring"))
        }
        C::WavePassed { ring, wave: place, evidence } => (format!("{} passed", wave(ring, place)), known(evidence)),
        C::Overdue { ring, wave: place, evidence } => {
            (format!("{} is without a verdict for too long", wave(ring, place)), known(evidence))
        }
        C::Signalled { signal, source, reason } => {
            let said = if *signal == GateSignal::Pass { "pass" } else { "fail" };
            (format!("signal {said} from {source}"), reason.to_string())
        }
        C::Paused { reason } => (format!("paused: {reason}"), String::new()),
        C::Resumed { reason } => (format!("resumed: {reason}"), String::new()),
        C::Halted { cause, reason, evidence } => (format!("halted by {cause}: {reason}"), known(evidence)),
        C::Completed => ("completed: everyone may have it".to_owned(), String::new()),
        C::Superseded { by } => (format!("superseded by rollout {by}"), String::new()),
        C::RolledBack { by } => (format!("gone back from by rollback {by}"), String::new()),
        C::Ended { reason } => (format!("ended: {reason}"), String::new()),
    };
    Row { seq: step.seq, at: step.at, what, who: who(&step.by), evidence }
}

fn known(evidence: &Evidence) -> String {
    let Evidence { offered, healthy, failed, rolled_back, silent, detail, .. } = evidence;
    let counts =
        format!("{offered} offered, {healthy} healthy, {failed} failed, {rolled_back} gone back, {silent} silent");
    if detail.is_empty() { counts } else { format!("{counts}; {detail}") }
}

/// The last halt, and when.
fn halt_of(rollout: &Rollout) -> Option<(Timestamp, &RolloutStep)> {
    let mut halts = rollout.steps().iter().rev().filter(|step| matches!(step.change, RolloutChange::Halted { .. }));
    halts.next().map(|step| (step.at, step))
}

fn facts(rollout: &Rollout, (at, step): (Timestamp, &RolloutStep)) -> Vec<String> {
    let RolloutChange::Halted { cause, reason, evidence } = &step.change else { return Vec::new() };
    let mut facts = vec![format!("It was stopped by {cause}: {reason}.")];
    if let Some(first) = first_opening(rollout) {
        facts.push(format!("From the first wave's opening to the halt: {}.", length(first, at)));
    }
    let reached = rollout.plan.rings.iter().zip(rollout.rings()).filter(|(_, ring)| !ring.opened.is_empty());
    let reached: Vec<_> = reached.map(|(plan, _)| plan.ring.as_str()).collect();
    let unreached = rollout.plan.rings.iter().zip(rollout.rings()).filter(|(_, ring)| ring.opened.is_empty());
    let unreached: Vec<_> = unreached.map(|(plan, _)| plan.ring.as_str()).collect();
    if !reached.is_empty() {
        facts.push(format!("Rings it reached: {}.", reached.join(", ")));
    }
    if !unreached.is_empty() {
        facts.push(format!("Rings it did not reach: {}.", unreached.join(", ")));
    }
    let Evidence { offered, failed, rolled_back, silent, .. } = evidence;
    facts.push(format!(
        "When it was stopped, {offered} devices had been offered it; {failed} had failed, {rolled_back} had gone back \
         and {silent} were silent."
    ));
    facts.into_iter().map(|fact| cell(&fact)).collect()
}

fn first_opening(rollout: &Rollout) -> Option<Timestamp> {
    rollout.rings().iter().filter_map(|ring| ring.opened.first()).map(|opening| opening.at).min()
}

fn who(actor: &Actor) -> String {
    if *actor == Actor::system() { "the server".to_owned() } else { actor.to_string() }
}

fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn length(from: Timestamp, to: Timestamp) -> String {
    let passed = to.duration_since(from).max(SignedDuration::ZERO).as_secs();
    Span::from_secs(passed.unsigned_abs()).to_string()
}

/// Text that stays inside one cell, whatever people wrote.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}
