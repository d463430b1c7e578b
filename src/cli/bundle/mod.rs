//! `ringfence bundle`: what is carried between an origin and its offline sites.

mod inspect;
mod report;
#[cfg(test)]
mod tests;

use super::CliError;

/// Carry decisions and bodies to offline sites, and their receipts back
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Inspect(inspect::Args),
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Inspect(args) => args.run(),
        }
    }
}
