use clap_complete::Shell;

use super::CliError;
use super::output::say_raw;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
For bash, for you alone:
  ringfence completions bash > ~/.local/share/bash-completion/completions/ringfence")]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "ringfence", &mut text);
        say_raw(&text)
    }
}
