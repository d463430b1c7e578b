use crate::cli::CliError;
use crate::cli::connect::ServerArgs;
use crate::cli::output::{grouped, note, say_table, size};

use super::{answer, words};

/// List the shares of the policy, and how each stands
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get("/v1/shares")?, |answer::Shares { shares }| {
            let rows = shares.iter().map(|share| {
                vec![
                    share.name.clone(),
                    share.group.clone(),
                    share.layout.clone(),
                    words::shown(&share.releases),
                    grouped(share.files),
                    size(share.bytes),
                    words::age(share),
                    words::targets(&share.targets),
                ]
            });
            let headings = ["share", "group", "layout", "shows", "files", "size", "age", "targets"];
            let none = "The policy has no share. Add one: ringfence share add NAME --group G --layout L --product P";
            say_table(&headings, rows.collect(), none)?;
            for share in &shares {
                share.problems.iter().for_each(|problem| note(format_args!("{}: {problem}", share.name)));
            }
            Ok(())
        })
    }
}
