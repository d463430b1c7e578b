//! Going back to an earlier version.

use serde_json::json;

use super::answer::RollbackPlanned;
use crate::cli::CliError;
use crate::cli::confirm::{YesArgs, confirm};
use crate::cli::connect::ServerArgs;
use crate::cli::output::{YELLOW, counted, note, say, styled};
use crate::model::{GroupName, ProductName, Reason, Version};

/// Go back from a version to an earlier one, in the plan's waves
///
/// The version that is gone back from is halted first, unless only some groups go back. What clients will ignore is
/// said before anything is done.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RollbackArgs {
    /// The product
    product: ProductName,
    /// The version to go back from [default: the newest that any device can have got]
    #[arg(long, value_name = "VERSION")]
    from: Option<Version>,
    /// The version to go back to [default: the newest that is known to be good]
    #[arg(long, value_name = "VERSION")]
    to: Option<Version>,
    /// Only this group; may be given more than once
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<GroupName>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    /// The number of devices it touches; needed above the plan's blast limit, even with --yes
    #[arg(long, value_name = "NUMBER")]
    confirm_devices: Option<u64>,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl RollbackArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let mut body = json!({ "product": self.product, "groups": self.groups, "reason": self.reason });
        for (key, value) in [("from", &self.from), ("to", &self.to)] {
            if let Some(version) = value {
                body[key] = json!(version);
            }
        }
        let mut preview = body.clone();
        preview["preview"] = json!(true);
        let plan: RollbackPlanned = session.read(session.post("/v1/rollouts/rollback", &preview)?)?;
        for warning in &plan.warnings {
            note(format_args!("{} {warning}", styled(YELLOW, "warning:")));
        }
        confirm(&self.touches(&plan), self.yes)?;
        // What was looked at is what is done: the versions go along as they were shown.
        (body["from"], body["to"]) = (json!(plan.from), json!(plan.to));
        if let Some(devices) = self.confirm_devices {
            body["confirm_devices"] = json!(devices);
        }
        let answer = session.post("/v1/rollouts/rollback", &body)?;
        session.show(answer, |done: RollbackPlanned| {
            let id = done.rollout.as_ref().map_or(0, |rollout| rollout.id);
            say(format_args!("Rollback {id} leads {} from {} to {}.", done.product, done.from, done.to))?;
            say(format_args!("To watch it: ringfence rollout show {id}"))
        })
    }

    fn touches(&self, plan: &RollbackPlanned) -> String {
        let RollbackPlanned { product, from, to, devices, .. } = plan;
        let devices = counted(*devices, "device");
        match self.groups.len() {
            0 => format!("{product} goes back from {from} to {to} on {devices}; {from} is halted."),
            groups => {
                let groups = counted(groups as u64, "group");
                format!("{product} goes back from {from} to {to} on {devices} in {groups}.")
            }
        }
    }
}
