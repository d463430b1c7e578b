use std::path::PathBuf;

use serde_json::{Value, json};

use super::connect::ServerArgs;
use super::local;
use super::output::note;
use super::{CliError, result};
use crate::app::StoreTask;
use crate::client::ClientError;
use crate::config::Settings;

/// Look after the blob store and its index
///
/// Each command asks the server; where none runs, or with --data, it works on the data directory itself.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Count and measure what is stored
    Stats(StoreArgs),
    /// Check that every blob a release needs is there and has the bytes its name says; exit code 8 if not
    Verify(StoreArgs),
    /// Hash every blob again and quarantine the damaged ones; exit code 8 if there are any
    Scrub(StoreArgs),
    /// Remove the blobs that nothing refers to
    Sweep(StoreArgs),
    /// Make the index anew from the journal and the blobs, and say how long it took
    Rebuild(StoreArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// Work on this data directory, which no server may be using
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        let (command, args) = match self {
            Self::Stats(args) => (StoreTask::Stats, args),
            Self::Verify(args) => (StoreTask::Verify, args),
            Self::Scrub(args) => (StoreTask::Scrub, args),
            Self::Sweep(args) => (StoreTask::Sweep, args),
            Self::Rebuild(args) => (StoreTask::Rebuild, args),
        };
        let remote = |args: &ServerArgs| {
            let path = format!("/v1/store/{}", command.as_str());
            let session = args.session()?;
            match command {
                StoreTask::Stats => session.get(&path),
                _ => session.post_patiently(&path, &json!({})),
            }
        };
        let offline = |data: PathBuf, settings: &Settings| local::store_offline(command, &data, settings);
        let answer = ask_or_open(&args.server, args.data, remote, offline)?;
        result::print(&answer, args.server.json)?;
        if matches!(command, StoreTask::Verify | StoreTask::Scrub) { result::refuse_damage(&answer) } else { Ok(()) }
    }
}

/// Asks the server, or works on the data directory: the one that `--data` names, or the configuration's where its server
/// does not run.
pub(super) fn ask_or_open(
    server: &ServerArgs,
    data: Option<PathBuf>,
    remote: impl FnOnce(&ServerArgs) -> Result<Value, CliError>,
    offline: impl FnOnce(PathBuf, &Settings) -> Result<Value, CliError>,
) -> Result<Value, CliError> {
    if let Some(data) = data {
        return offline(data, &server.settings()?.unwrap_or_default());
    }
    match remote(server) {
        Err(CliError::Client(error @ ClientError::Unreachable { .. })) if server.server.is_none() => {
            match server.settings()? {
                Some(settings) => {
                    note(format_args!("{error}; working on {} itself", settings.data.display()));
                    offline(settings.data.clone(), &settings)
                }
                None => Err(error.into()),
            }
        }
        answer => answer,
    }
}
