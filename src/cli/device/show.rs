use super::{attributes, tags};
use crate::cli::connect::ServerArgs;
use crate::cli::output::{RED, say, styled};
use crate::cli::{CliError, answer, time};
use crate::model::DeviceId;

/// Show one device, its credentials and what it last reported
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ShowArgs {
    /// The device
    device: DeviceId,
    #[command(flatten)]
    server: ServerArgs,
}

impl ShowArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get(&format!("/v1/devices/{}", self.device))?, |shown: answer::DeviceShown| {
            let answer::DeviceShown { device, in_inventory, denial, tokens, enrolments, reported } = shown;
            say(format_args!("{}{}", device.id, if in_inventory { "" } else { " (not in the inventory)" }))?;
            if let Some(denial) = denial {
                let (since, by) = (time::shown(denial.denied.at), &denial.denied.by);
                say(format_args!("  {} since {since} by {by}: {}", styled(RED, "denied"), denial.reason))?;
            }
            if let Some(platform) = &device.platform {
                say(format_args!("  platform  {platform}"))?;
            }
            if !device.tags.is_empty() {
                say(format_args!("  tags      {}", tags(&device)))?;
            }
            attributes(&device).iter().try_for_each(|attribute| say(format_args!("  {attribute}")))?;
            tokens.iter().try_for_each(|token| say(format_args!("  token {}", token_words(token))))?;
            for answer::Enrolment { id, created_by, expires_at, .. } in enrolments {
                let until = time::shown(expires_at);
                say(format_args!("  enrolment {id} by {created_by}, its code good until {until}"))?;
            }
            for answer::Reported { product, version, event, received_at } in reported {
                let event = event.as_str();
                say(format_args!("  {product} {version} {event} {}", time::shown(received_at)))?;
            }
            say(format_args!("Next: ringfence explain {} PRODUCT", device.id))
        })
    }
}

fn token_words(token: &answer::DeviceToken) -> String {
    let answer::DeviceToken { id, valid, created_at, created_by, expires_at, revoked_at } = token;
    let state = match (revoked_at, expires_at) {
        (Some(at), _) => format!("revoked {}", time::shown(*at)),
        (None, Some(at)) if *valid => format!("good until {}", time::shown(*at)),
        (None, Some(at)) => format!("expired {}", time::shown(*at)),
        (None, None) => "good until revoked".to_owned(),
    };
    format!("{id} created {} by {created_by}, {state}", time::shown(*created_at))
}
