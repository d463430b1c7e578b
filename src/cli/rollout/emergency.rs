//! Going faster: asking for an emergency, and approving it.

use serde_json::json;

use super::answer::Rollout;
use super::state;
use super::which::Which;
use crate::cli::CliError;
use crate::cli::confirm::{YesArgs, confirm};
use crate::cli::connect::ServerArgs;
use crate::cli::local;
use crate::cli::output::say;
use crate::model::{GroupName, ProductName, Reason, Version};

/// Ask for an emergency rollout by the policy's emergency plan
///
/// Nothing is exposed before as many people as the policy says have approved it. Its gates still run and can halt it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ExpediteArgs {
    /// The product
    product: ProductName,
    /// The version, which must be published
    version: Version,
    /// Why this is an emergency, in at least 10 characters: what the approvers decide by
    #[arg(long, value_name = "TEXT")]
    criteria: Reason,
    /// A group whose pin it beats; may be given more than once
    #[arg(long = "pinned-group", value_name = "GROUP")]
    pinned_groups: Vec<GroupName>,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Approve an emergency, or a rollback that the policy wants approved; with the last approval it starts
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ApproveArgs {
    /// The rollout: its number, or PRODUCT@VERSION
    #[arg(value_name = "ROLLOUT")]
    which: Which,
    #[command(flatten)]
    server: ServerArgs,
}

impl ExpediteArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let (product, version) = (&self.product, &self.version);
        let groups: Vec<_> = self.pinned_groups.iter().map(ToString::to_string).collect();
        let pins = match groups.as_slice() {
            [] => String::new(),
            groups => format!(" It beats the pins of {}.", groups.join(", ")),
        };
        let what =
            format!("{product} {version} will pass deferral, cadence, ring and window once it is approved.{pins}");
        confirm(&what, self.yes)?;
        let body = json!({
            "product": product, "version": version, "criteria": self.criteria, "pinned_groups": self.pinned_groups,
        });
        let answer = session.post("/v1/rollouts/expedite", &body)?;
        session.show(answer, |rollout: Rollout| {
            say(format_args!("Emergency {} for {} is asked for.", rollout.id, rollout.name()))?;
            state::next(&rollout, local::now()).iter().try_for_each(|line| say(format_args!("  {line}")))
        })
    }
}

impl ApproveArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let id = self.which.id(&session)?;
        let answer = session.post(&format!("/v1/rollouts/{id}/approve"), &json!({}))?;
        session.show(answer, |rollout: Rollout| {
            let state = rollout.state_words();
            say(format_args!("Emergency {id} for {} is approved by you, and now {state}.", rollout.name()))?;
            state::next(&rollout, local::now()).iter().try_for_each(|line| say(format_args!("  {line}")))
        })
    }
}
