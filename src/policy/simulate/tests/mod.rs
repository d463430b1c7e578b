//! The simulator against itself, against decisions, and against everything that may go wrong.

mod agree;
mod goals;
mod sweep;

use super::{Alone, Fault, Fleet, Run, Scenario, Upsets, simulate};
use crate::model::policy::Policy;
use crate::model::{Class, Span};

/// The shipped policy.
const SHIPPED: &str = include_str!("../../../../config/policy.toml");

/// Three rings with growing waves.
const WAVES: &str = r#"
[[ring]]
name = "canary"
[[ring]]
name = "broad"
[[group]]
name = "canaries"
match = { tag = "canary" }
ring = "canary"
[[group]]
name = "everyone"
match = "any"
ring = "broad"
[plan.intelligence]
canary = { waves = ["100% bake 1h"], gate = { samples = 20, failures = "2%", silence = "5%", within = "30m" } }
broad = { waves = ["10% over 1h bake 30m", "50% bake 30m", "100% over 2h bake 30m"], gate = "canary" }
"#;

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

/// A good release to devices that check in every hour.
fn scenario(policy: &str, devices: u64, seed: u64) -> Scenario {
    let parsed = Policy::parse(policy).unwrap();
    Scenario {
        policy: policy.to_owned(),
        class: Class::Intelligence,
        product: "agent".parse().unwrap(),
        fleet: Fleet::spread(&parsed, Class::Intelligence, devices, span("1h"), 0.05),
        published_at: "2026-01-05T09:00:00Z".parse().unwrap(),
        start_after: Span::NONE,
        fault: Fault::default(),
        report_delay: span("5m"),
        human_halt: None,
        duration: span("2d"),
        knows_shared: true,
        seed,
        upsets: Upsets::default(),
    }
}

fn run(scenario: &Scenario) -> Run {
    simulate(scenario, &Alone).unwrap()
}

/// As [`scenario`], with this many canaries.
fn with_canaries(policy: &str, canaries: u64, devices: u64, seed: u64) -> Scenario {
    let mut scenario = scenario(policy, devices, seed);
    scenario.fleet.groups[0].devices = canaries;
    scenario
}

/// How many seeds a sweep tries: few at each build, many in the full tier.
fn seeds(smoke: u64, full: u64) -> u64 {
    if std::env::var("RINGFENCE_TIER").is_ok_and(|tier| tier == "full") { full } else { smoke }
}
