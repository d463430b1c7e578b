//! Starting a rollout, signalling, and resetting a frozen product.

use serde_json::json;

use super::answer::Rollout;
use super::which::Which;
use crate::cli::CliError;
use crate::cli::confirm::{YesArgs, confirm};
use crate::cli::connect::ServerArgs;
use crate::cli::output::say;
use crate::model::{GateSignal, ProductName, Reason, Version};

/// Start the rollout of a release that waits for a person, or begin one anew
///
/// Older rollouts of the product that are halted give way to it: rolling forward to a fixed version is this one step.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct StartArgs {
    /// The product
    product: ProductName,
    /// The version
    version: Version,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<Reason>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Pass or fail a rollout's gate for a monitoring system or an incident
///
/// fail halts it at once. pass stands in for the open wave's gate, unless devices say otherwise; the bake time stays.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SignalArgs {
    /// The rollout: its number, or PRODUCT@VERSION
    #[arg(value_name = "ROLLOUT")]
    which: Which,
    /// pass or fail
    #[arg(value_parser = signal)]
    signal: GateSignal,
    /// Which system or incident says so, for example prometheus or INC-4711
    #[arg(long, value_name = "NAME")]
    source: String,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    server: ServerArgs,
}

/// End the freeze of a product after too many halts: its rollouts go on
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ResetArgs {
    /// The product
    product: ProductName,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    server: ServerArgs,
}

fn signal(text: &str) -> Result<GateSignal, String> {
    match text {
        "pass" => Ok(GateSignal::Pass),
        "fail" => Ok(GateSignal::Fail),
        _ => Err("it is pass or fail".to_owned()),
    }
}

impl StartArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let mut body = json!({ "product": self.product, "version": self.version });
        if let Some(reason) = &self.reason {
            body["reason"] = json!(reason);
        }
        let answer = session.post("/v1/rollouts", &body)?;
        session.show(answer, |rollout: Rollout| {
            say(format_args!("Rollout {} of {} is started.", rollout.id, rollout.name()))?;
            say(format_args!("To watch it: ringfence rollout show {}", rollout.id))
        })
    }
}

impl SignalArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let id = self.which.id(&session)?;
        let body = json!({ "signal": self.signal, "source": self.source, "reason": self.reason });
        let answer = session.post(&format!("/v1/rollouts/{id}/signal"), &body)?;
        session.show(answer, |rollout: Rollout| {
            let state = rollout.state_words();
            say(format_args!("{}'s word is taken: rollout {id} of {} is {state}.", self.source, rollout.name()))
        })
    }
}

impl ResetArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let product = &self.product;
        confirm(&format!("{product} is no longer frozen: its rollouts expose devices again."), self.yes)?;
        let answer = session.post(&format!("/v1/products/{product}/reset"), &json!({ "reason": self.reason }))?;
        session.show(answer, |_: serde_json::Value| say(format_args!("{product} is no longer frozen.")))
    }
}
