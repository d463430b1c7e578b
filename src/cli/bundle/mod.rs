//! `ringfence bundle`: what is carried between an origin and its offline sites.

mod carried;
mod export;
mod import;
mod inspect;
pub(super) mod receipt;
mod report;
mod send;
mod sites;
#[cfg(test)]
mod tests;
mod written;

use super::CliError;
use crate::bundle::MediumError;

/// Carry decisions and bodies to offline sites, and their receipts back
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Export(export::Args),
    Inspect(inspect::Args),
    Import(import::Args),
    Receipt(receipt::Args),
    Sites(sites::Args),
}

/// A medium that is not one, cannot be read, or holds something else than a bundle.
fn of_medium(error: MediumError) -> CliError {
    let text = error.to_string();
    match error {
        MediumError::NoDirectory { .. } | MediumError::NoBundle { .. } | MediumError::Empty { .. } => {
            CliError::NotFound(text)
        }
        MediumError::Gone { .. } | MediumError::Unreadable { .. } => CliError::Failed(text),
        _ => CliError::Input(text),
    }
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Export(args) => args.run(),
            Self::Inspect(args) => args.run(),
            Self::Import(args) => args.run(),
            Self::Receipt(args) => args.run(),
            Self::Sites(args) => args.run(),
        }
    }
}
