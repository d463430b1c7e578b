//! Shares: what they show, adding one, and staging one to a directory.

mod add;
mod answer;
mod configured;
mod list;
mod plan;
mod show;
mod source;
mod stage;
mod verify;
mod words;

#[cfg(test)]
mod tests;

use super::CliError;

/// See what shares show, add one, stage one to a directory, and verify a staged directory
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(list::Args),
    Show(show::Args),
    Add(add::Args),
    Stage(stage::Args),
    Verify(verify::Args),
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::List(args) => args.run(),
            Self::Show(args) => args.run(),
            Self::Add(args) => args.run(),
            Self::Stage(args) => args.run(),
            Self::Verify(args) => args.run(),
        }
    }
}
