use std::net::SocketAddr;
use std::path::PathBuf;

use super::{CliError, local};
use crate::config;

/// Run the server
///
/// Serves devices and admins until it gets SIGTERM or Ctrl-C; running downloads may then finish. SIGHUP reads
/// again what of the configuration can change while it runs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    #[arg(
        long,
        value_name = "FILE",
        env = "RINGFENCE_CONFIG",
        hide_env_values = true,
        default_value = "ringfence.toml"
    )]
    config: PathBuf,
    /// The data directory, instead of the configuration's
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address for devices, instead of the configuration's
    #[arg(long, value_name = "ADDRESS")]
    device_listen: Option<SocketAddr>,
    /// The address for admins, instead of the configuration's
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let changes =
            config::Changes { data: self.data, device_listen: self.device_listen, admin_listen: self.admin_listen };
        local::serve(self.config, changes)
    }
}
