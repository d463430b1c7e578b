use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::CliError;
use super::output::say;
use super::token::write_secret;
use crate::control::Secret;
use crate::signing::{SecretKey, public_key_file};
use crate::sys::random::random_bytes;

/// The shipped policy.
const POLICY: &str = include_str!("../../config/policy.toml");
const FILES: [&str; 5] = ["ringfence.toml", "policy.toml", "admin.token", "origin.key", "origin.pub"];

/// Write a configuration, a policy, an admin token and a signing key into a directory; never overwrites
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory; it is made if it is missing
    directory: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let directory = &self.directory;
        write(directory)?;
        say(format_args!(
            "{} holds ringfence.toml, policy.toml, admin.token and origin.key (keep these two secret), and origin.pub for \
             clients.",
            directory.display()
        ))?;
        say("Next:")?;
        let config = directory.join("ringfence.toml");
        say(format_args!("  ringfence serve --config {}", config.display()))?;
        say(format_args!("  ringfence status --config {}", config.display()))
    }
}

/// Writes the files, or none if one of them is there.
pub(super) fn write(directory: &Path) -> Result<(), CliError> {
    let existing: Vec<&str> =
        FILES.into_iter().filter(|name| directory.join(name).symlink_metadata().is_ok()).collect();
    if !existing.is_empty() {
        let them = existing.join(", ");
        let message = format!("{}: already there: {them}; nothing was written", directory.display());
        return Err(CliError::Input(message));
    }
    let failed = |cause: std::io::Error| CliError::Failed(format!("{}: {cause}", directory.display()));
    let secret = Secret::random().map_err(|cause| CliError::Failed(cause.to_string()))?;
    std::fs::create_dir_all(directory).map_err(failed)?;
    write_new(&directory.join(FILES[0]), crate::config::EXAMPLE).map_err(failed)?;
    write_new(&directory.join(FILES[1]), POLICY).map_err(failed)?;
    write_secret(&directory.join(FILES[2]), &secret.expose()).map_err(failed)?;
    let random = || -> std::io::Result<_> { Ok((random_bytes()?, random_bytes()?)) };
    let (seed, id) = random().map_err(failed)?;
    let key = SecretKey::from_random(seed, id);
    write_secret(&directory.join(FILES[3]), key.expose().trim_end()).map_err(failed)?;
    write_new(&directory.join(FILES[4]), &public_key_file(&key.public())).map_err(failed)?;
    std::fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
