//! Keys: those whose signatures the release gates take.

mod list;
mod revoke;
mod trust;

use super::CliError;

/// Trust, list and revoke the keys that sign releases
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Trust(trust::Args),
    List(list::Args),
    Revoke(revoke::Args),
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Trust(args) => args.run(),
            Self::List(args) => args.run(),
            Self::Revoke(args) => args.run(),
        }
    }
}
