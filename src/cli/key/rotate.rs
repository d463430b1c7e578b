use serde_json::json;

use super::Keys;
use crate::cli::CliError;
use crate::cli::confirm::{YesArgs, confirm};
use crate::cli::connect::ServerArgs;
use crate::cli::output::say;

/// Make a new key for the origin, for which the present one vouches, and sign with it from now on
///
/// The old key is kept as origin.key.previous and still counts for signing.key_overlap, so that clients that have
/// pinned it find the way to the new one. If the old key may be in other hands, retire it as well.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RotateArgs {
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl RotateArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        confirm("The origin gets a new signing key; clients follow it while the old one counts.", self.yes)?;
        session.show(session.post("/v1/keys/rotate", &json!({}))?, |keys: Keys| {
            say(format_args!("Answers are signed with key {} now. Pin it on new clients:", keys.signing))?;
            say("  ringfence key show > origin.pub")
        })
    }
}
