//! `ringfence simulate`: what a policy would do to a release, good or bad, before it is put into force.
//!
//! What this command deliberately does not do: ask a server. The fleet is made up, from options or a file.

mod chart;
mod compare;
mod inputs;
mod report;
mod threads;

use std::path::{Path, PathBuf};

use super::output::{grouped, note, say, say_json};
use super::policy::mistakes;
use super::{CliError, local};
use crate::model::{Class, ProductName, Span};
use crate::policy::simulate::{Fault, Fleet, Run, Scenario, SimulateError, Upsets, simulate};
use crate::share::read_policy;
use inputs::Affected;
use threads::Threads;

/// Simulate a release under a policy: who gets it when, and how many get a bad one before it is halted
///
/// Without --failure-rate, --silent-rate or --affected the release is good. The same seed gives the same answer.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// How many devices there are, spread over the policy's groups
    #[arg(long, value_name = "N", default_value_t = 1_000_000, conflicts_with = "fleet")]
    devices: u64,
    /// The class of the product
    #[arg(long, value_parser = inputs::class, default_value = "intelligence")]
    class: Class,
    /// The product's name
    #[arg(long, value_name = "NAME", default_value = "simulated")]
    product: ProductName,
    /// Take the devices from a TOML file: groups with name, devices, check_in, offline, tags, attributes
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// The share of devices that fail and say so, for example 100% or 0.5%
    #[arg(long, value_name = "SHARE", value_parser = inputs::share)]
    failure_rate: Option<f64>,
    /// The share of devices that are never heard of again
    #[arg(long, value_name = "SHARE", value_parser = inputs::share)]
    silent_rate: Option<f64>,
    /// How long after the installation devices fail or fall silent; until then they say they are healthy
    #[arg(long, value_name = "TIME", default_value = "0s")]
    onset: Span,
    /// Which devices it happens to: a share that is given an attribute, or what they have: tag=kiosk, attr.model=m3
    #[arg(long, value_name = "WHICH", value_parser = inputs::affected)]
    affected: Option<Affected>,
    /// The share of devices that fail with any release
    #[arg(long, value_name = "SHARE", value_parser = inputs::share, default_value = "0.1%")]
    baseline_failure_rate: f64,
    /// How often devices check in
    #[arg(long, value_name = "TIME", default_value = "4h")]
    check_in: Span,
    /// The share of devices that are switched off
    #[arg(long, value_name = "SHARE", value_parser = inputs::share, default_value = "5%")]
    offline: f64,
    /// How long after its check-in a device reports
    #[arg(long, value_name = "TIME", default_value = "5m")]
    report_delay: Span,
    /// How long after the first bad device is known people halt the release themselves; "never" for not at all
    #[arg(long, value_name = "TIME", value_parser = inputs::human_halt, default_value = "78m")]
    human_halt: inputs::HumanHalt,
    /// How long to look
    #[arg(long, value_name = "TIME", default_value = "7d")]
    duration: Span,
    /// What chance is made from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How many seeds to try, one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    runs: u64,
    /// Draw a chart into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Set the policy beside the published rules of other systems, for four faults and a good release
    #[arg(long, conflicts_with_all = ["failure_rate", "silent_rate", "onset", "affected", "runs", "fleet", "class"])]
    compare: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let scenario = self.scenario()?;
        if self.compare {
            return self.compare(&scenario);
        }
        if self.runs > 1 {
            let runs = threads::on_all(self.runs, |place| {
                let seed = scenario.seed.wrapping_add(place);
                let one = Scenario { seed, ..scenario.clone() };
                simulate(&one, &crate::policy::simulate::Alone).map(|run| report::Brief::of(&run))
            })
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(refused)?;
            return if self.json { say_json(&report::many_json(&runs)) } else { report::say_many(&runs) };
        }
        let run = simulate(&scenario, &Threads).map_err(refused)?;
        if let Some(file) = &self.svg {
            let bare = simulate(&compare::unstaged(&scenario), &Threads).map_err(refused)?;
            draw(file, &chart::exposure(&run, &bare))?;
        }
        if self.json { say_json(&report::json(&run)) } else { self.say_run(&run) }
    }

    fn compare(&self, scenario: &Scenario) -> Result<(), CliError> {
        let rows = compare::rows(scenario).map_err(refused)?;
        if let Some(file) = &self.svg {
            draw(file, &chart::frontier(&rows, scenario.fleet.devices()))?;
        }
        if self.json { say_json(&compare::json(&rows)) } else { compare::say_rows(&rows) }
    }

    fn say_run(&self, run: &Run) -> Result<(), CliError> {
        let from = self.policy.display();
        let (all, reachable) = (grouped(run.devices), grouped(run.reachable));
        say(format_args!(
            "{from}, class {}: {all} devices, {reachable} of them check in. Seed {}.",
            self.class, self.seed
        ))?;
        say(report::fault_in_words(self.failure_rate, self.silent_rate, self.onset, self.affected.as_ref()))?;
        report::say_run(run)
    }

    fn scenario(&self) -> Result<Scenario, CliError> {
        let text = read(&self.policy)?;
        let policy = read_policy(&text).map_err(|error| mistakes(&self.policy, &error))?;
        let fleet = match &self.fleet {
            Some(file) => {
                let text = read(file)?;
                inputs::fleet(&text).map_err(|error| CliError::Input(format!("{}: {error}", file.display())))?
            }
            None => Fleet::spread(&policy, self.class, self.devices, self.check_in, self.offline),
        };
        let affected = self.affected.as_ref();
        // Where only some devices are affected and nothing else is said, they all fail.
        let surely = if affected.is_some() && self.silent_rate.is_none() { 1.0 } else { 0.0 };
        let fault = Fault {
            failure_rate: self.failure_rate.unwrap_or(surely),
            silent_rate: self.silent_rate.unwrap_or(0.0),
            onset: self.onset,
            affected: affected.map(Affected::string),
            affected_share: affected.and_then(Affected::share),
            usual_failures: self.baseline_failure_rate,
            ..Fault::default()
        };
        Ok(Scenario {
            policy: text,
            class: self.class,
            product: self.product.clone(),
            fleet,
            published_at: inputs::MONDAY.parse().unwrap_or_else(|_| local::now()),
            start_after: Span::NONE,
            fault,
            report_delay: self.report_delay,
            human_halt: self.human_halt.0,
            duration: self.duration,
            knows_shared: true,
            seed: self.seed,
            upsets: Upsets::default(),
        })
    }
}

fn read(file: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(file).map_err(|cause| CliError::Input(format!("{}: {cause}", file.display())))
}

fn draw(file: &Path, chart: &str) -> Result<(), CliError> {
    std::fs::write(file, chart).map_err(|cause| CliError::Failed(format!("{}: {cause}", file.display())))?;
    note(format_args!("{} is drawn.", file.display()));
    Ok(())
}

fn refused(error: SimulateError) -> CliError {
    CliError::Input(error.to_string())
}
