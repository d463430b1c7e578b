//! `ringfence bundle`: what is carried between an origin and its offline sites.

mod import;
mod send;

use super::CliError;

/// Carry decisions and bodies to offline sites, and their receipts back
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Import(import::Args),
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Import(args) => args.run(),
        }
    }
}
