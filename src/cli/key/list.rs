use super::Keys;
use crate::cli::connect::ServerArgs;
use crate::cli::output::{say_table, state_cell};
use crate::cli::{CliError, local, time};

/// List the keys that the origin has signed with
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

impl ListArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get("/v1/keys")?, |Keys { signing, origin, .. }| {
            let now = local::now();
            let rows = origin.into_iter().map(|entry| {
                let state = match entry.key.id == signing {
                    true => "active",
                    false if entry.is_retired(now) => "retired",
                    false => "replaced",
                };
                vec![
                    entry.key.id.to_string().into(),
                    state_cell(state.to_owned()),
                    time::shown(entry.added_at).into(),
                    entry.introduced_by.map_or_else(|| "-".to_owned(), |by| by.to_string()).into(),
                    time::shown_or(entry.retired_at, "-").into(),
                ]
            });
            say_table(&["key", "state", "added", "introduced by", "believed until"], rows.collect(), "No keys.")
        })
    }
}
