use super::connect::ServerArgs;
use super::output::{BOLD, counted, say, short, styled};
use super::{CliError, answer, time};

/// Say what the server is and holds
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer = session.get("/v1/status")?;
        session.show(answer, |status: answer::Status| {
            let version = styled(BOLD, format_args!("Ringfence {}", status.version));
            say(format_args!("{version}, running since {}", time::shown(status.started_at)))?;
            say(format_args!(
                "  {}, {}, {}",
                counted(status.products, "product"),
                counted(status.releases, "release"),
                counted(status.devices, "device")
            ))?;
            let head = status.head.as_deref().map(|head| format!(", head {}…", short(head))).unwrap_or_default();
            say(format_args!("  journal at {}{head}", counted(status.seq, "event")))?;
            for (name, places) in &status.listeners {
                say(format_args!("  {name:<7} {}", places.join(" ")))?;
            }
            status.data.map_or(Ok(()), |data| say(format_args!("  data    {data}")))
        })
    }
}
