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
            if let Some(site) = &status.site {
                say_site(site)?;
            }
            for (name, places) in &status.listeners {
                say(format_args!("  {name:<7} {}", places.join(" ")))?;
            }
            status.data.map_or(Ok(()), |data| say(format_args!("  data    {data}")))
        })
    }
}

fn say_site(site: &answer::SiteStatus) -> Result<(), CliError> {
    let name = site.name.as_deref().unwrap_or("without a name yet");
    let Some(bundle) = &site.bundle else {
        return say(format_args!("  offline site {name}; no bundle was imported yet"));
    };
    let (made, age) = (time::shown(bundle.created_at), time::age(bundle.age_s));
    let (sequence, id) = (bundle.sequence, short(&bundle.bundle));
    say(format_args!("  offline site {name}, serving bundle {sequence} ({id}…), made {made}, {age} ago"))
}
