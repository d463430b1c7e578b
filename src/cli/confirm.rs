//! Asking before something dangerous.

use std::io::{BufRead as _, IsTerminal as _};

use super::CliError;
use super::output::{self, YELLOW, styled};

/// The argument of every command that asks.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct YesArgs {
    /// Don't ask for confirmation; needed where standard input is not a terminal
    #[arg(long)]
    pub(super) yes: bool,
}

/// Says what is about to be touched, and asks.
///
/// # Errors
/// The person declines, or cannot be asked.
pub(super) fn confirm(what: &str, YesArgs { yes }: YesArgs) -> Result<(), CliError> {
    output::note(format_args!("{} {what}", styled(YELLOW, "!")));
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(CliError::NeedsYes);
    }
    output::complain("Go on? Type yes: ");
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|cause| CliError::Failed(format!("the answer cannot be read: {cause}")))?;
    if matches!(answer.trim(), "yes" | "y") { Ok(()) } else { Err(CliError::Declined) }
}
