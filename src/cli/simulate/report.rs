//! What came of a simulation, for people and as JSON.

use serde_json::{Value, json};

use super::inputs::Affected;
use crate::cli::CliError;
use crate::cli::output::{GREEN, RED, counted, grouped, say, styled, table};
use crate::model::Span;
use crate::policy::simulate::Run;

/// The hours at which exposure is shown.
const HOURS: [f64; 14] = [0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 24.0, 48.0, 96.0, 168.0, 720.0];

/// What is kept of one run of many.
#[derive(Debug, Clone)]
pub(super) struct Brief {
    hit: u64,
    halt: Option<String>,
    hours_95: Option<f64>,
}

impl Brief {
    pub(super) fn of(run: &Run) -> Self {
        let halt = run.halt.as_ref().map(|halt| halt.cause.to_string());
        Self { hit: run.hit(), halt, hours_95: hours_to(run, 0.95) }
    }
}

/// Hours until this share of the reachable devices had the release.
pub(super) fn hours_to(run: &Run, share: f64) -> Option<f64> {
    run.minute_of(share).map(|minute| f64::from(minute) / 60.0)
}

/// A number of hours: `9.9 h`.
pub(super) fn hours(hours: Option<f64>) -> String {
    hours.map_or_else(|| "never".to_owned(), |hours| format!("{hours:.1} h"))
}

/// A moment: `6h10`.
fn clock(minute: u32) -> String {
    format!("{}h{:02}", minute / 60, minute % 60)
}

/// What is wrong with the release.
pub(super) fn fault_in_words(
    failure_rate: Option<f64>,
    silent_rate: Option<f64>,
    onset: Span,
    affected: Option<&Affected>,
) -> String {
    if failure_rate.is_none() && silent_rate.is_none() && affected.is_none() {
        return "The release is good.".to_owned();
    }
    let percent = |share: f64| format!("{} %", (share * 10_000.0).round() / 100.0);
    let surely = if affected.is_some() && silent_rate.is_none() { Some(1.0) } else { None };
    let mut parts = Vec::new();
    if let Some(share) = failure_rate.or(surely) {
        parts.push(format!("{} fail", percent(share)));
    }
    if let Some(share) = silent_rate {
        parts.push(format!("{} fall silent", percent(share)));
    }
    let of = affected.map_or_else(
        || "all devices".to_owned(),
        |affected| match affected {
            Affected::Share(share) => format!("the {} of devices with one attribute", percent(*share)),
            Affected::With(string) => format!("the devices with {string}"),
        },
    );
    let when = if onset.is_none() { String::new() } else { format!(", {onset} after the installation") };
    format!("The release is bad: of {of} {}{when}.", parts.join(" and "))
}

/// Prints a run.
///
/// # Errors
/// Standard output is gone.
pub(super) fn say_run(run: &Run) -> Result<(), CliError> {
    say("")?;
    for opening in &run.openings {
        let text = format!("ring {}, wave {} opens", opening.ring, opening.wave + 1);
        say(format_args!("{:>7}  {text}", clock(opening.minute)))?;
    }
    if let Some(halt) = &run.halt {
        let text = styled(RED, format_args!("halted by {}: {}", halt.cause, halt.reason));
        say(format_args!("{:>7}  {text}", clock(halt.minute)))?;
    }
    if let Some(minute) = run.completed_minute {
        say(format_args!("{:>7}  {}", clock(minute), styled(GREEN, "completed: everyone may have it")))?;
    }
    if let Some(ring) = &run.waits_for {
        say(format_args!("         a person must let it into ring {ring}: ringfence rollout promote"))?;
    }
    say("")?;
    let rows = moments(run).into_iter().map(|(hour, devices, share)| {
        vec![format!("{hour:>7}"), format!("{:>11}", grouped(devices)), format!("{:>7.3} %", share * 100.0)]
    });
    say(table(&["  hours", "    devices", "reachable"], rows.collect()))?;
    say("")?;
    let hit = counted(run.hit(), "device");
    match &run.halt {
        Some(halt) => say(format_args!("{hit} got the release in the {} until its halt.", clock(halt.minute))),
        None => say(format_args!(
            "{hit} got the release; 95 % of the reachable ones after {}, all after {}.",
            hours(hours_to(run, 0.95)),
            hours(hours_to(run, 1.0))
        )),
    }
}

/// Exposure at round hours up to the last change, as (hour, devices, share of the reachable ones).
fn moments(run: &Run) -> Vec<(f64, u64, f64)> {
    let mut rows = Vec::new();
    for hour in HOURS {
        let minute = (hour * 60.0) as u32;
        if minute > run.last_minute {
            break;
        }
        let devices = run.exposed_at(minute.saturating_sub(1));
        rows.push((hour, devices, devices as f64 / run.reachable.max(1) as f64));
        if devices == run.hit() && run.halt.as_ref().is_none_or(|halt| halt.minute <= minute) {
            break;
        }
    }
    rows
}

/// A run as JSON.
pub(super) fn json(run: &Run) -> Value {
    let openings: Vec<_> = run
        .openings
        .iter()
        .map(|opening| json!({ "minute": opening.minute, "ring": opening.ring, "wave": opening.wave }))
        .collect();
    let halt =
        run.halt.as_ref().map(|halt| json!({ "minute": halt.minute, "cause": halt.cause, "reason": halt.reason }));
    let exposure: Vec<_> = moments(run)
        .into_iter()
        .map(|(hours, devices, share)| json!({ "hours": hours, "devices": devices, "share": share }))
        .collect();
    json!({
        "devices": run.devices, "reachable": run.reachable, "devices_hit": run.hit(), "openings": openings,
        "halt": halt, "completed_minute": run.completed_minute, "waits_for": run.waits_for,
        "hours_to_95_percent": hours_to(run, 0.95), "hours_to_all": hours_to(run, 1.0), "exposure": exposure,
    })
}

/// Prints what many runs have in common.
///
/// # Errors
/// Standard output is gone.
pub(super) fn say_many(runs: &[Brief]) -> Result<(), CliError> {
    let (halted, causes) = halts(runs);
    say(format_args!("{} of {} were halted.", grouped(halted), counted(runs.len() as u64, "run")))?;
    for (cause, count) in causes {
        say(format_args!("  {count} by {cause}"))?;
    }
    let [low, middle, high] = spread(runs.iter().map(|run| run.hit).collect());
    say(format_args!("Devices that got it: {} to {}, median {}.", grouped(low), grouped(high), grouped(middle)))?;
    let times: Vec<f64> = runs.iter().filter_map(|run| run.hours_95).collect();
    if times.is_empty() {
        return Ok(());
    }
    let [low, middle, high] = spread(times);
    say(format_args!("95 % of the reachable devices after {low:.1} to {high:.1} h, median {middle:.1} h."))
}

/// Many runs as JSON.
pub(super) fn many_json(runs: &[Brief]) -> Value {
    let (halted, causes) = halts(runs);
    let [low, middle, high] = spread(runs.iter().map(|run| run.hit).collect());
    json!({
        "runs": runs.len(), "halted": halted, "causes": causes,
        "devices_hit": { "low": low, "median": middle, "high": high },
        "devices_hit_each": runs.iter().map(|run| run.hit).collect::<Vec<_>>(),
        "hours_to_95_percent": runs.iter().map(|run| run.hours_95).collect::<Vec<_>>(),
    })
}

fn halts(runs: &[Brief]) -> (u64, std::collections::BTreeMap<&str, u64>) {
    let mut causes = std::collections::BTreeMap::new();
    for cause in runs.iter().filter_map(|run| run.halt.as_deref()) {
        *causes.entry(cause).or_insert(0) += 1;
    }
    (causes.values().sum(), causes)
}

/// The least, the middle and the largest; there is at least one.
fn spread<T: PartialOrd + Copy>(mut all: Vec<T>) -> [T; 3] {
    all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    [all[0], all[all.len() / 2], all[all.len() - 1]]
}
