//! Drawing a rollout: a bar a ring, its waves, what is known of it.

use comfy_table::{Cell, CellAlignment, Color};
use jiff::Timestamp;

use super::answer::{Gate, Ring, Rollout, Wave};
use super::state;
use crate::cli::output::{BOLD, GREEN, RED, YELLOW, grouped, state as state_word, styled, table};
use crate::cli::time;
use crate::model::{BasisPoints, Promote};

/// How many blocks a bar has.
const BAR_BLOCKS: u16 = 20;

/// The whole picture, without a line's end.
pub(super) fn drawn(rollout: &Rollout, now: Timestamp) -> String {
    let mut lines = head(rollout, now);
    lines.push(String::new());
    lines.push(rings(rollout));
    lines.push(String::new());
    let width = rollout.rings.iter().map(|ring| ring.ring.chars().count()).max().unwrap_or(0);
    for ring in &rollout.rings {
        lines.push(format!("  {:<width$}  {}", ring.ring, waves(ring)));
    }
    let gates: Vec<_> = rollout.rings.iter().filter_map(|ring| Some((ring, ring.gate.as_ref()?))).collect();
    if !gates.is_empty() {
        lines.push(String::new());
    }
    for (ring, gate) in gates {
        lines.push(format!("  {:<width$}  {}", ring.ring, gate_words(rollout, ring, gate)));
    }
    lines.join("\n")
}

fn head(rollout: &Rollout, now: Timestamp) -> Vec<String> {
    let word = state_word(&rollout.state_words());
    let mut lines =
        vec![format!("{}: {word} (rollout {}, {})", styled(BOLD, rollout.name()), rollout.id, rollout.kind)];
    if let Some(back) = &rollout.rollback {
        let from = back.from.as_deref().unwrap_or("?");
        let groups = match back.groups.len() {
            0 => "everyone".to_owned(),
            _ => back.groups.iter().cloned().collect::<Vec<_>>().join(", "),
        };
        lines.push(format!("  back     from {from}, for {groups}: {} devices", grouped(back.devices)));
    }
    let reason = rollout.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    lines.push(format!("  planned  {} by {}{reason}", time::shown(rollout.planned.at), rollout.planned.by));
    lines.extend(state::next(rollout, now).into_iter().enumerate().map(|(index, line)| {
        let label = if index == 0 { "now" } else { "" };
        format!("  {label:<8} {line}")
    }));
    if !rollout.last_known_good.is_empty() {
        let mut good: Vec<(&str, Vec<&str>)> = Vec::new();
        for (ring, version) in &rollout.last_known_good {
            match good.iter_mut().find(|(known, _)| known == version) {
                Some((_, rings)) => rings.push(ring),
                None => good.push((version, vec![ring])),
            }
        }
        let good: Vec<_> = good.iter().map(|(version, rings)| format!("{version} in {}", rings.join(", "))).collect();
        lines.push(format!("  good     {}", good.join("; ")));
    }
    lines
}

fn rings(rollout: &Rollout) -> String {
    let headings = ["", "ring", "share", "", "devices", "offered", "healthy", "failed", "back", "silent"];
    let rows = rollout.rings.iter().map(|ring| {
        let (mark, color) = mark(&ring.state, rollout);
        let painted = |cell: Cell| color.map_or(cell.clone(), |color| cell.fg(color));
        let devices = ring.devices.map_or_else(|| "-".to_owned(), grouped);
        let bad = |count: u64| {
            let cell = number(grouped(count));
            if count > 0 { cell.fg(Color::Red) } else { cell }
        };
        vec![
            painted(Cell::new(format!(" {mark}"))),
            Cell::new(&ring.ring),
            painted(Cell::new(bar(ring.share))),
            number(ring.share.to_string()),
            number(devices),
            number(grouped(ring.offered)),
            number(grouped(ring.healthy)),
            bad(ring.failed),
            bad(ring.rolled_back),
            bad(ring.silent),
        ]
    });
    table(&headings, rows.collect())
}

fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn mark(state: &str, rollout: &Rollout) -> (&'static str, Option<Color>) {
    match (state, rollout.state.as_str()) {
        ("passed", _) => ("✓", Some(Color::Green)),
        ("passed_over", _) => ("–", None),
        ("open", "halted" | "rolled_back") => ("✗", Some(Color::Red)),
        ("open", _) => ("▸", Some(Color::Yellow)),
        _ => ("·", None),
    }
}

/// A share as blocks. Something shows as soon as anyone is admitted, and it is full only when everyone is.
pub(super) fn bar(share: BasisPoints) -> String {
    let blocks = usize::from(BAR_BLOCKS);
    let filled = usize::from(share.get()) * blocks / 10_000;
    let filled = if share.get() > 0 { filled.max(1) } else { 0 };
    format!("{}{}", "█".repeat(filled), "░".repeat(blocks - filled))
}

/// The waves of a ring in a row, each with what has become of it.
fn waves(ring: &Ring) -> String {
    let waves: Vec<_> = ring.waves.iter().map(wave).collect();
    let mut line = waves.join("  ");
    if ring.promote == Promote::Manual && ring.state == "waiting" {
        line.push_str("  (a person lets it in)");
    }
    if ring.state == "passed_over" {
        line.push_str("  (no device can be in it)");
    }
    line
}

fn wave(wave: &Wave) -> String {
    let mut text = wave.share.to_string();
    if !wave.over.is_none() {
        text.push_str(&format!(" over {}", wave.over));
    }
    if !wave.bake.is_none() {
        text.push_str(&format!(" bake {}", wave.bake));
    }
    match (wave.opened_at, wave.passed_at) {
        (_, Some(_)) => format!("{} {text}", styled(GREEN, "✓")),
        (Some(_), None) => format!("{} {}", styled(YELLOW, "▸"), styled(BOLD, text)),
        (None, None) => format!("· {text}"),
    }
}

fn gate_words(rollout: &Rollout, ring: &Ring, gate: &Gate) -> String {
    let Gate { samples, failures, silence, within, .. } = gate;
    let asks =
        format!("asks for {samples} healthy devices; stops at {failures} failing or {silence} silent for {within}");
    match (ring.state.as_str(), gate.verdict.as_deref()) {
        ("open", Some(verdict)) if rollout.is_live() => {
            let word = match verdict {
                "pass" => styled(GREEN, "passes"),
                "fail" => styled(RED, "fails"),
                _ => styled(YELLOW, "not yet"),
            };
            let detail = gate.detail.as_deref().filter(|detail| !detail.is_empty()).unwrap_or("nothing is known yet");
            format!("gate: {word}: {detail} ({asks})")
        }
        ("passed", _) => format!("gate: {}", styled(GREEN, "passed")),
        _ => format!("gate: {asks}"),
    }
}
