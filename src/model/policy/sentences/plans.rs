//! Reading a plan aloud, and how sure its gates are.

use super::{capital, join};
use crate::model::policy::{Breaker, ClassPlan, EmergencyPlan};
use crate::model::{
    BasisPoints, Bound, Class, Gate, MetricBand, Plan, Promote, RingPlan, RollbackPlan, Span, Strategy, Wave,
};

/// What share of bad releases a gate should stop: below it, the sentence says how many devices that would take.
const SURE: f64 = 0.95;

/// The sentences of one class's plan.
pub(super) fn sentences(class: Class, plan: &ClassPlan) -> Vec<String> {
    let mut sentences = vec![start(class, plan.start)];
    for (index, ring) in plan.plan.rings.iter().enumerate() {
        sentences.push(ring_sentence(class, ring, index == 0));
    }
    sentences.extend(gates(&plan.plan));
    if plan.plan.strategy == Strategy::BlueGreen {
        sentences.push(format!("Each ring takes {class} in one step (blue-green), with the old version kept ready."));
    }
    if !plan.plan.watch.is_none() {
        let watch = plan.plan.watch.in_words();
        sentences.push(format!("Late failures can halt a release of {class} for {watch} after everyone has it."));
    }
    sentences.extend(plan.breaker.map(|breaker| breaker_sentence(class, breaker)));
    sentences.push(rollback(class, &plan.plan.rollback));
    sentences.push(match &plan.emergency {
        Some(plan) => emergency(class, plan),
        None => format!("There is no faster way for {class} in an emergency."),
    });
    sentences
}

fn start(class: Class, start: Promote) -> String {
    match start {
        Promote::Automatic => format!("A published release of {class} starts by itself."),
        Promote::Manual => format!("A published release of {class} waits until a person starts it."),
    }
}

fn ring_sentence(class: Class, ring: &RingPlan, is_first: bool) -> String {
    let when = match (is_first, ring.promote) {
        (true, Promote::Automatic) => " first",
        (true, Promote::Manual) => " first, once a person promotes it",
        (false, Promote::Automatic) => " next",
        (false, Promote::Manual) => " next, once a person promotes it",
    };
    let class = capital(class.as_str());
    let gate = ring.gate.as_ref().map_or_else(|| "no gate watches it".into(), gate);
    format!("{class} reaches ring {}{when}: {}; {gate}.", ring.ring, waves(&ring.waves))
}

fn waves(waves: &[Wave]) -> String {
    let one = |wave: &Wave| {
        let share = if wave.share == BasisPoints::ALL { "all".into() } else { wave.share.to_string() };
        let over = if wave.over.is_none() { "at once".into() } else { format!("evenly over {}", wave.over.in_words()) };
        let bake =
            if wave.bake.is_none() { String::new() } else { format!(", then at least {}", wave.bake.in_words()) };
        format!("{share} of it {over}{bake}")
    };
    waves.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn gate(gate: &Gate) -> String {
    let Gate { samples, failures, silence, within, .. } = gate;
    let devices = if *samples == 1 { "device" } else { "devices" };
    let within = within.in_words();
    format!(
        "its gate wants {samples} healthy {devices} and stops above {failures} failures or {silence} silence after {within}"
    )
}

/// What each gate can promise, once for all rings that share it.
fn gates(plan: &Plan) -> Vec<String> {
    let mut seen: Vec<(&Gate, Vec<&str>)> = Vec::new();
    for (ring, gate) in plan.rings.iter().filter_map(|ring| Some((ring.ring.as_str(), ring.gate.as_ref()?))) {
        match seen.iter_mut().find(|(known, _)| *known == gate) {
            Some((_, rings)) => rings.push(ring),
            None => seen.push((gate, vec![ring])),
        }
    }
    let mut sentences = Vec::new();
    for (gate, rings) in seen {
        let rings = join(&rings, "and");
        sentences.push(format!("In {rings}: {}.", promise(gate)));
        if !gate.metrics.is_empty() {
            let bands: Vec<_> = gate.metrics.iter().map(band).collect();
            let bands = join(&bands.iter().map(String::as_str).collect::<Vec<_>>(), "or");
            sentences.push(format!("In {rings}: the gate also stops when the median of {bands}."));
        }
        let timeout = gate.timeout.in_words();
        sentences.push(format!("In {rings}: a wave without a verdict raises an alert after {timeout}."));
    }
    sentences
}

/// The error of the gate as a sequential test of `failures` against a tenth of it: how often a release that fails on
/// `failures` of the devices is stopped before it has the least number of healthy ones.
fn promise(gate: &Gate) -> String {
    let bad = gate.failures.as_fraction();
    let each = (1.0 - bad) / (1.0 - bad / 10.0);
    let stopped = 1.0 - each.powf(f64::from(gate.samples));
    let (samples, failures) = (gate.samples, gate.failures);
    // Rounded down: never more than is true.
    let times = (stopped * 100.0) as u32;
    let healthy = if samples == 1 { "1 healthy device".into() } else { format!("{samples} healthy devices") };
    let base =
        format!("with {healthy} a release that fails on {failures} of them is stopped at least {times} times of 100");
    if stopped >= SURE {
        return base;
    }
    let needed = ((1.0 - SURE).ln() / each.ln()).ceil() as u64;
    format!("{base}, and with {needed} it would be {} times", (SURE * 100.0) as u32)
}

fn band(band: &MetricBand) -> String {
    let MetricBand { metric, low, high } = band;
    match (low, high) {
        (Some(low), Some(high)) => format!("{metric} is below {} or above {}", bound(*low), bound(*high)),
        (Some(low), None) => format!("{metric} is below {}", bound(*low)),
        (None, Some(high)) => format!("{metric} is above {}", bound(*high)),
        (None, None) => format!("{metric} is anything at all"),
    }
}

fn bound(bound: Bound) -> String {
    match bound {
        Bound::Milli(milli) => decimal(milli),
        Bound::TimesMilli(milli) => format!("{} times the previous release's", decimal(milli)),
    }
}

fn decimal(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1_000, milli % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').into()
}

fn breaker_sentence(class: Class, breaker: Breaker) -> String {
    let Breaker { halts, within } = breaker;
    let (halts, freeze) = if halts == 1 { ("1 halt".into(), "freezes") } else { (format!("{halts} halts"), "freeze") };
    let within = within.in_words();
    format!("{} of one {class} product within {within} {freeze} it until a person resets it.", capital(&halts))
}

fn rollback(class: Class, plan: &RollbackPlan) -> String {
    let limit = plan.blast_limit;
    let who = match (plan.automatic, limit) {
        (true, 1..) => format!("by itself for up to {limit} devices, and once a person confirms the number for more"),
        (true, 0) => "once a person confirms the number of devices".into(),
        (false, _) => format!("when a person begins it, who confirms the number above {limit} devices"),
    };
    let others = match plan.approvals {
        0 => String::new(),
        1 => " What a person begins is halted at once, and goes back once someone else approves.".into(),
        count => format!(" What a person begins is halted at once, and goes back once {count} others approve."),
    };
    format!("A halted release of {class} goes back {who}: {}, in all rings together.{others}", waves(&plan.waves))
}

fn emergency(class: Class, emergency: &EmergencyPlan) -> String {
    let EmergencyPlan { plan, approvers, approvals_needed, lasts, out_of_band } = emergency;
    let approvers: Vec<_> = approvers.iter().map(String::as_str).collect();
    let (approvers, lasts) = (join(&approvers, "and"), lasts.in_words());
    let reach = reaches_all_after(plan);
    let scan = if *out_of_band { ", and the command gate may finish after it has begun" } else { "" };
    format!(
        "In an emergency {class} can reach everyone after {reach} through the same gates, once {approvals_needed} of {approvers} approve; this lasts {lasts}{scan}."
    )
}

/// The least time until the last wave of the last ring is fully open, in words that nobody has to divide.
fn reaches_all_after(plan: &Plan) -> String {
    let waves = || plan.rings.iter().flat_map(|ring| &ring.waves);
    let all: u64 = waves().map(|wave| wave.over.as_secs() + wave.bake.as_secs()).sum();
    let seconds = all - waves().last().map_or(0, |wave| wave.bake.as_secs());
    let unit = match seconds {
        0..600 => 1,
        600..7_200 => 60,
        _ => 3_600,
    };
    Span::from_secs(seconds.div_ceil(unit) * unit).in_words()
}
