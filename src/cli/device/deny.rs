use serde_json::json;

use crate::cli::connect::ServerArgs;
use crate::cli::output::{say, say_table};
use crate::cli::{CliError, answer, time};
use crate::model::{DeviceId, Reason};

/// Give a device nothing from now on, whatever credential it comes with
///
/// It counts from the device's next request on. The device need not be in the inventory.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DenyArgs {
    /// The device
    device: DeviceId,
    /// Why; it stands in the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    server: ServerArgs,
}

/// Let a denied device in again, with the credentials that it had
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AllowArgs {
    /// The device
    device: DeviceId,
    /// Why; it stands in the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    server: ServerArgs,
}

/// List the devices that are denied
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DeniedArgs {
    #[command(flatten)]
    server: ServerArgs,
}

impl DenyArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer = session.post(&format!("/v1/devices/{}/deny", self.device), &json!({ "reason": self.reason }))?;
        session.show(answer, |_: serde_json::Value| {
            say(format_args!("{0} gets nothing now. Undo: ringfence device allow {0} --reason TEXT", self.device))
        })
    }
}

impl AllowArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer = session.post(&format!("/v1/devices/{}/allow", self.device), &json!({ "reason": self.reason }))?;
        session.show(answer, |_: serde_json::Value| say(format_args!("{} is no longer denied.", self.device)))
    }
}

impl DeniedArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get("/v1/denials")?, |answer::Denials { denials }| {
            let rows = denials.iter().map(|denial| {
                let (by, since) = (denial.denied.by.to_string(), time::shown(denial.denied.at));
                vec![denial.device.to_string(), since, by, denial.reason.to_string()]
            });
            say_table(&["device", "denied since", "by", "reason"], rows.collect(), "No device is denied.")
        })
    }
}
