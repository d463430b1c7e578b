use serde_json::json;

use crate::cli::CliError;
use crate::cli::connect::ServerArgs;
use crate::cli::output::say;
use crate::model::{KeyId, Reason, TrustedKey};

/// Revoke a trusted key for good: nothing that it signs is published any more
///
/// What was published stays; withdraw it with `ringfence release withdraw` if it is not to be believed.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The key's id, as `ringfence key list` shows it
    key: KeyId,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        let answer =
            session.post(&format!("/v1/keys/trusted/{}/revoke", self.key), &json!({ "reason": self.reason }))?;
        session.show(answer, |key: TrustedKey| say(format_args!("Key {} ({}) is revoked.", key.key.id, key.name)))
    }
}
