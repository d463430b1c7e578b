use std::path::PathBuf;

use super::{CliError, local};

/// See it work: a server with sample releases and simulated devices
///
/// Starts a server on loopback with a sample policy (rings canary, early, broad and critical), products of both
/// classes with several releases, and simulated devices in each group; then prints a short guided tour of commands to
/// paste. Ctrl-C ends it. Without --data everything is in a temporary directory that is removed at the end.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Keep everything in this directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The port for devices; admins get the next one
    #[arg(long, value_name = "PORT", default_value_t = 8480, value_parser = clap::value_parser!(u16).range(1..65535))]
    port_base: u16,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        local::demo(self.data, self.port_base)
    }
}
