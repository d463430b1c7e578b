//! `ringfence key`: the keys that this origin signs its answers with.

mod list;
mod retire;
mod rotate;
mod show;

use super::CliError;

/// Show, replace and retire the keys that the origin signs with
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Rotate(rotate::RotateArgs),
    Retire(retire::RetireArgs),
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::List(args) => args.run(),
            Self::Show(args) => args.run(),
            Self::Rotate(args) => args.run(),
            Self::Retire(args) => args.run(),
        }
    }
}

/// The server's answer about its keys.
#[derive(Debug, serde::Deserialize)]
struct Keys {
    signing: crate::model::KeyId,
    public_key_file: String,
    origin: Vec<crate::signing::KeyEntry>,
}
