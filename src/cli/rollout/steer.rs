//! Pausing, resuming, halting, promoting.

use serde_json::json;

use super::answer::Rollout;
use super::state;
use super::which::Which;
use crate::cli::CliError;
use crate::cli::confirm::{YesArgs, confirm};
use crate::cli::connect::{ServerArgs, Session};
use crate::cli::output::{counted, say};
use crate::cli::{local, time};
use crate::model::Reason;

/// Admit no further device until it is resumed; those that have the release keep it
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PauseArgs {
    #[command(flatten)]
    step: StepArgs,
}

/// Let a rollout go on after a pause, or after a halt that was a false alarm
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ResumeArgs {
    #[command(flatten)]
    step: StepArgs,
}

/// Stop a release at once: nobody who does not have it gets it
///
/// What follows by the policy follows at once, too: a frozen product, or the way back.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct HaltArgs {
    #[command(flatten)]
    step: StepArgs,
    #[command(flatten)]
    yes: YesArgs,
}

/// Pass the open wave now and open what comes next, whatever its gate says
///
/// A bake time that is cut short is told in the journal. Into a ring that waits for a person this is the way.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PromoteArgs {
    #[command(flatten)]
    step: StepArgs,
    #[command(flatten)]
    yes: YesArgs,
}

#[derive(Debug, clap::Args)]
struct StepArgs {
    /// The rollout: its number, or PRODUCT@VERSION
    #[arg(value_name = "ROLLOUT")]
    which: Which,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    server: ServerArgs,
}

impl StepArgs {
    fn take(&self, session: &Session, id: u64, step: &str) -> Result<(), CliError> {
        let answer = session.post(&format!("/v1/rollouts/{id}/{step}"), &json!({ "reason": self.reason }))?;
        session.show(answer, |rollout: Rollout| {
            say(format_args!("Rollout {} of {} is {}.", rollout.id, rollout.name(), rollout.state_words()))?;
            state::next(&rollout, local::now()).iter().try_for_each(|line| say(format_args!("  {line}")))
        })
    }
}

impl PauseArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.step.server.session()?;
        self.step.take(&session, self.step.which.id(&session)?, "pause")
    }
}

impl ResumeArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.step.server.session()?;
        self.step.take(&session, self.step.which.id(&session)?, "resume")
    }
}

impl HaltArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.step.server.session()?;
        let rollout = self.step.which.get(&session)?;
        let what = match rollout.kind.as_str() {
            "rollback" => format!("The way back to {} (rollout {}) will stop where it is.", rollout.name(), rollout.id),
            _ => format!(
                "{} (rollout {}) will be halted: it was offered to {}, and nobody else gets it.",
                rollout.name(),
                rollout.id,
                counted(rollout.offered(), "device"),
            ),
        };
        confirm(&what, self.yes)?;
        self.step.take(&session, rollout.id, "halt")
    }
}

impl PromoteArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.step.server.session()?;
        let rollout = self.step.which.get(&session)?;
        let now = local::now();
        let left = rollout.baked_at.filter(|at| *at > now);
        let place = match (&rollout.ring, rollout.wave) {
            (Some(ring), Some(wave)) => format!("wave {} of ring {ring}", wave + 1),
            (Some(ring), None) => format!("what comes before ring {ring}"),
            _ => "its present wave".to_owned(),
        };
        let early = left.map_or_else(String::new, |at| format!(", though it bakes until {}", time::shown(at)));
        let (name, id) = (rollout.name(), rollout.id);
        confirm(&format!("{name} (rollout {id}) will pass {place}{early}; what comes next opens at once."), self.yes)?;
        self.step.take(&session, id, "promote")
    }
}
