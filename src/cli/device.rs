mod claim;
mod deny;
mod enrol;
mod show;

use std::path::PathBuf;

use serde_json::json;

use super::connect::ServerArgs;
use super::output::{counted, grouped, note, say, say_json, say_table, state_cell};
use super::{CliError, answer, inventory};
use crate::model::{Device, DeviceId};

/// How many devices one request carries.
const CHUNK: usize = 1000;

/// List, look at, import, enrol and deny devices
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(ListArgs),
    Show(show::ShowArgs),
    Import(ImportArgs),
    Enrol(enrol::EnrolArgs),
    Enrolments(enrol::EnrolmentsArgs),
    Claim(claim::ClaimArgs),
    Deny(deny::DenyArgs),
    Allow(deny::AllowArgs),
    Denied(deny::DeniedArgs),
}

/// List the devices of the inventory
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only those after this id, in alphabetical order
    #[arg(long, value_name = "ID")]
    after: Option<DeviceId>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
}

/// Take devices into the inventory from a file
///
/// The file is CSV with a first line such as `id,platform,tags,os` (tags apart by spaces; any other column is an
/// attribute), a JSON array, or one JSON object a line, such as
/// {"id":"dc-1","platform":"windows-x64","tags":["dc"],"attributes":{"os":"windows-2025"}}.
/// A device that is known already is replaced; none is removed. A mistake anywhere in the file changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::List(args) => args.run(),
            Self::Show(args) => args.run(),
            Self::Import(args) => args.run(),
            Self::Enrol(args) => args.run(),
            Self::Enrolments(args) => args.run(),
            Self::Claim(args) => args.run(),
            Self::Deny(args) => args.run(),
            Self::Allow(args) => args.run(),
            Self::Denied(args) => args.run(),
        }
    }
}

impl ListArgs {
    fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let after = self.after.map(|after| format!("&after={after}")).unwrap_or_default();
        let answer = session.get(&format!("/v1/devices?limit={}{after}", self.limit))?;
        session.show(answer, |answer::Devices { devices, denied, next }| {
            let rows = devices.iter().map(|device| {
                let platform = device.platform.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
                let state = if denied.contains(&device.id) { state_cell("denied".to_owned()) } else { "-".into() };
                let attributes = attributes(device).join(" ");
                vec![device.id.to_string().into(), state, platform.into(), tags(device).into(), attributes.into()]
            });
            let none = "No devices. Import some: ringfence device import FILE";
            say_table(&["device", "state", "platform", "tags", "attributes"], rows.collect(), none)?;
            if let Some(next) = next {
                note(format_args!("There are more: ringfence device list --after {next}"));
            }
            Ok(())
        })
    }
}

fn tags(device: &Device) -> String {
    device.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn attributes(device: &Device) -> Vec<String> {
    device.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

impl ImportArgs {
    fn run(self) -> Result<(), CliError> {
        let devices = inventory::read(&self.file)?;
        let session = self.server.session()?;
        let mut sum = answer::Imported { imported: 0, unchanged: 0 };
        for chunk in devices.chunks(CHUNK) {
            let done = sum.imported + sum.unchanged;
            let answer = session.post("/v1/devices/import", &json!({ "devices": chunk })).inspect_err(|_| {
                note(format_args!(
                    "{} of {} were taken before this:",
                    grouped(done),
                    counted(devices.len() as u64, "device")
                ));
            })?;
            let part: answer::Imported = session.read(answer)?;
            sum.imported += part.imported;
            sum.unchanged += part.unchanged;
        }
        if session.json() {
            return say_json(&json!({ "imported": sum.imported, "unchanged": sum.unchanged }));
        }
        let imported = counted(sum.imported, "device");
        say(format_args!("{imported} new or changed, {} as before.", grouped(sum.unchanged)))
    }
}
