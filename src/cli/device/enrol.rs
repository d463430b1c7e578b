use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::cli::connect::ServerArgs;
use crate::cli::output::{note, say, say_json, say_table};
use crate::cli::token::write_secret;
use crate::cli::{CliError, answer, time};
use crate::model::DeviceId;

/// Make a one-time code with which a device gets its own credential
///
/// The code is printed once and kept nowhere. On the device, `ringfence device claim` makes it a token or a
/// certificate; whoever has the code can do that once. A new code ends an unused one of the same device.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EnrolArgs {
    /// The device; the credential proves this name, whatever the device says of itself
    device: DeviceId,
    /// How long the code is taken, at most 30d [default: the server's enrol.code_valid_for]
    #[arg(long, value_name = "TIME", value_parser = time::length)]
    valid_for: Option<Duration>,
    /// Write the code to this new file, readable by you alone, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// List the codes that can still be used, without the codes themselves
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EnrolmentsArgs {
    #[command(flatten)]
    server: ServerArgs,
}

impl EnrolArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        if let Some(out) = self.out.as_ref().filter(|out| out.exists()) {
            return Err(CliError::Input(format!("{}: it exists already, and is not overwritten", out.display())));
        }
        let mut body = json!({ "device": self.device });
        if let Some(valid_for) = self.valid_for {
            body["valid_for_s"] = json!(valid_for.as_secs());
        }
        let mut answer = session.post("/v1/enrolments", &body)?;
        let created: answer::CreatedEnrolment = session.read(answer.clone())?;
        if let Some(out) = &self.out {
            write_secret(out, &created.code).map_err(|cause| {
                let device = &self.device;
                CliError::Failed(format!(
                    "{}: {cause}; make another code: ringfence device enrol {device}",
                    out.display()
                ))
            })?;
            if let Some(object) = answer.as_object_mut() {
                object.remove("code");
            }
        }
        if session.json() {
            return say_json(&answer);
        }
        let until = time::shown(created.expires_at);
        match &self.out {
            Some(out) => say(format_args!("The code for {} is in {}, good until {until}.", self.device, out.display())),
            None => {
                note(format_args!("A code for {}, good until {until}; it is shown this once:", self.device));
                say(created.code)?;
                note(
                    "On the device: ringfence device claim CODE --from URL --token FILE (URL: this server's device listener)",
                );
                Ok(())
            }
        }
    }
}

impl EnrolmentsArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get("/v1/enrolments")?, |answer::Enrolments { enrolments }| {
            let rows = enrolments.into_iter().map(|enrolment| {
                let created = format!("{} by {}", time::shown(enrolment.created_at), enrolment.created_by);
                vec![enrolment.id.to_string(), enrolment.device, created, time::shown(enrolment.expires_at)]
            });
            say_table(&["enrolment", "device", "created", "expires"], rows.collect(), "No code can be used.")
        })
    }
}
