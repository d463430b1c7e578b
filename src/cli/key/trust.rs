use std::io::Read as _;
use std::path::Path;

use serde_json::json;

use crate::cli::CliError;
use crate::cli::connect::ServerArgs;
use crate::cli::output::say;
use crate::model::{PublicKey, TrustedKey};

/// A public key file has two short lines.
const FILE_MAX_BYTES: u64 = 4096;

/// Trust a publisher's minisign key: what it signs may be published
///
/// To replace a key, trust the new one first, and revoke the old one when nothing is signed with it any more.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The public key file (minisign.pub), or the key itself: 56 characters that begin with RW
    #[arg(value_name = "FILE|KEY")]
    key: String,
    /// What people call it, for example "Acme release key 2026"
    #[arg(long, value_name = "TEXT")]
    name: String,
    /// A product that it may sign, or a glob over products; may be given several times [default: all products]
    #[arg(long = "product", value_name = "GLOB")]
    products: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let key = read(&self.key)?;
        let session = self.server.session()?;
        let body = json!({ "key": key, "name": self.name, "products": self.products });
        session.show(session.post("/v1/keys/trusted", &body)?, |trusted: TrustedKey| {
            let products: Vec<_> = trusted.products.iter().map(|glob| glob.0.as_str()).collect();
            let what = if products.is_empty() { "every product".to_owned() } else { products.join(", ") };
            say(format_args!("Key {} ({}) is trusted to sign {what}.", trusted.key.id, trusted.name))
        })
    }
}

/// A key as it stands, or the one in a file.
///
/// # Errors
/// It is neither.
pub(in crate::cli) fn read(text: &str) -> Result<PublicKey, CliError> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let path = Path::new(text);
    let mut content = String::new();
    let file = std::fs::File::open(path).map_err(|cause| CliError::Input(format!("{text}: {cause}")))?;
    file.take(FILE_MAX_BYTES)
        .read_to_string(&mut content)
        .map_err(|cause| CliError::Input(format!("{text}: {cause}")))?;
    PublicKey::parse(&content).map_err(|error| CliError::Input(format!("{text}: {error}")))
}
