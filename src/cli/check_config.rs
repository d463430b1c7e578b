use std::path::PathBuf;

use serde_json::json;

use super::policy::mistakes;
use super::{CliError, local, output};
use crate::config::{self, TlsSettings};
use crate::share::read_policy;

/// Check the configuration, and the first policy it names, without starting anything
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
    /// Print the JSON Schema of the configuration instead, for editors
    #[arg(long)]
    schema: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        if self.schema {
            return output::say_json(&config::schema());
        }
        let settings = config::load(&self.config)?;
        let warnings = local::check_tls(&settings)?;
        let policy = &settings.policy.bootstrap;
        let checked = match std::fs::read_to_string(policy) {
            Ok(text) => {
                read_policy(&text).map_err(|error| mistakes(policy, &error))?;
                true
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => false,
            Err(cause) => return Err(CliError::Input(format!("{}: {cause}", policy.display()))),
        };
        if self.json {
            return output::say_json(&json!({
                "config": self.config, "data": settings.data, "policy": policy, "policy_checked": checked,
                "device_listen": settings.device.listen, "admin_listen": settings.admin.listen,
                "admin_socket": settings.admin.socket, "device_tls": settings.device.tls.is_some(),
                "admin_tls": settings.admin.tls.is_some(), "warnings": warnings,
            }));
        }
        output::say(format_args!("{} is correct.", self.config.display()))?;
        output::say(format_args!("  data     {}", settings.data.display()))?;
        let scheme = |tls: &Option<TlsSettings>| if tls.is_some() { "https" } else { "http" };
        output::say(format_args!("  devices  {}://{}", scheme(&settings.device.tls), settings.device.listen))?;
        output::say(format_args!(
            "  admins   {}://{} and unix:{}",
            scheme(&settings.admin.tls),
            settings.admin.listen,
            settings.admin.socket.display()
        ))?;
        let verdict = if checked { "correct" } else { "not there; without one, no device is offered anything" };
        output::say(format_args!("  policy   {}: {verdict}", policy.display()))?;
        warnings.iter().try_for_each(|warning| output::say(format_args!("  warning  {warning}")))
    }
}
