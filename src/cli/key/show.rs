use super::Keys;
use crate::cli::CliError;
use crate::cli::connect::ServerArgs;
use crate::cli::output::say_raw;

/// Print the origin's public key, as a file for `ringfence fetch --key` and `minisign -V -p`
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    server: ServerArgs,
}

impl ShowArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let session = self.server.session()?;
        session.show(session.get("/v1/keys")?, |keys: Keys| say_raw(keys.public_key_file.as_bytes()))
    }
}
