use std::path::PathBuf;

use super::CliError;
use super::output::{note, say_raw};

/// Print the manual page, or write one for every command
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let Some(directory) = self.to else {
            let mut page = Vec::new();
            clap_mangen::Man::new(super::command()).render(&mut page)?;
            return say_raw(&page);
        };
        clap_mangen::generate_to(super::command(), &directory).map_err(|cause| {
            CliError::Failed(format!("{}: the pages cannot be written: {cause}", directory.display()))
        })?;
        note(format_args!("The manual pages are in {}.", directory.display()));
        Ok(())
    }
}
