use serde_json::{Value, json};

use crate::cli::CliError;
use crate::cli::confirm::{YesArgs, confirm};
use crate::cli::connect::ServerArgs;
use crate::cli::output::say;
use crate::model::{KeyId, Reason};

/// Say that nothing an old key of the origin signed is to be believed any more
///
/// For a key that may be in other hands. Clients that have pinned it, and have not seen a newer one yet, need the new
/// key by hand.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RetireArgs {
    /// The key's id, as `ringfence key list` shows it
    key: KeyId,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    server: ServerArgs,
}

impl RetireArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let key = self.key;
        confirm(
            &format!("Clients that know only key {key} believe nothing until they get the present one."),
            self.yes,
        )?;
        let answer = session.post(&format!("/v1/keys/{key}/retire"), &json!({ "reason": self.reason }))?;
        session.show(answer, |_: Value| say(format_args!("Key {key} is retired.")))
    }
}
