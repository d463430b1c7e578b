//! `ringfence key`: the keys that this origin signs its answers with, and those whose signatures the release gates take.

mod list;
mod retire;
mod revoke;
mod rotate;
mod show;
mod trust;

pub(super) use trust::read as read_key;

use super::CliError;

/// List keys; show, replace and retire the origin's; trust and revoke those that sign releases
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Rotate(rotate::RotateArgs),
    Retire(retire::RetireArgs),
    Trust(trust::Args),
    Revoke(revoke::Args),
}

impl Command {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::List(args) => args.run(),
            Self::Show(args) => args.run(),
            Self::Rotate(args) => args.run(),
            Self::Retire(args) => args.run(),
            Self::Trust(args) => args.run(),
            Self::Revoke(args) => args.run(),
        }
    }
}

/// The server's answer about its keys.
#[derive(Debug, serde::Deserialize)]
struct Keys {
    signing: crate::model::KeyId,
    public_key_file: String,
    origin: Vec<crate::signing::KeyEntry>,
    trusted: Vec<crate::model::TrustedKey>,
}
