//! What the commands do on this machine, without asking a server: the application's part, in the command's words.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use super::{CliError, output};
use crate::app::{self, AppError, JournalTask, StoreTask, demo};
use crate::config::{self, Changes, Settings};
use crate::sys::clock::{Clock as _, SystemClock};

/// Runs the server until it is told to stop. On SIGHUP the file's log level and its TLS files are taken over.
///
/// # Errors
/// It cannot start, or had to stop.
pub(super) fn serve(config: PathBuf, changes: Changes) -> Result<(), CliError> {
    let settings = config::load_changed(&config, changes.clone())?;
    let reload = move || config::load_changed(&config, changes.clone()).map_err(|error| error.to_string());
    Ok(app::serve(&settings, reload)?)
}

/// Runs the demonstration until Ctrl-C.
///
/// # Errors
/// It cannot start.
pub(super) fn demo(data: Option<PathBuf>, port_base: u16) -> Result<(), CliError> {
    let style = if std::io::stdout().is_terminal() {
        demo::Style { heading: ("\x1b[1m", "\x1b[0m"), explanation: ("\x1b[2m", "\x1b[0m") }
    } else {
        demo::Style::default()
    };
    let options = demo::DemoOptions { data, port_base, program: program(), style };
    // Whoever closed the output still wants the server.
    Ok(demo::demo(&options, |tour| drop(output::say(tour)))?)
}

/// This program as the user can call it from here: a path, relative where it is below the working directory.
fn program() -> String {
    let Ok(program) = std::env::current_exe() else { return "ringfence".to_owned() };
    let here = std::env::current_dir().unwrap_or_default();
    match program.strip_prefix(&here) {
        Ok(below) => format!("./{}", below.display()),
        Err(_) => program.display().to_string(),
    }
}

/// Works on a data directory that no server holds; answers what the server would.
///
/// # Errors
/// A server holds it, it is no data directory, or the operation failed.
pub(super) fn store_offline(task: StoreTask, data: &Path, settings: &Settings) -> Result<Value, CliError> {
    Ok(app::store_offline(task, data, settings)?)
}

/// Reads the journal of a data directory; answers what the server would.
///
/// # Errors
/// It is no data directory, or the journal is damaged.
pub(super) fn journal_offline(task: &JournalTask, data: &Path) -> Result<Value, CliError> {
    Ok(app::journal_offline(task, data)?)
}

/// Reads the TLS files that the settings name; answers what is odd about them.
///
/// # Errors
/// A server could not start with them.
pub(super) fn check_tls(settings: &Settings) -> Result<Vec<String>, CliError> {
    Ok(app::check_tls(settings)?)
}

/// The wall clock, for lengths of time that the server wants as a moment.
pub(super) fn now() -> Timestamp {
    SystemClock.now()
}

impl From<AppError> for CliError {
    fn from(error: AppError) -> Self {
        let text = error.to_string();
        match &error {
            _ if error.is_damage() => Self::Damage(text),
            AppError::Lock(crate::sys::lock::LockError::InUse { .. }) => Self::Conflict(text),
            AppError::NoData(_) => Self::NotFound(text),
            AppError::FirstPolicy { .. }
            | AppError::BadTokenFile(_)
            | AppError::Sockets(_)
            | AppError::Tls { .. }
            | AppError::EnrolmentCa { .. }
            | AppError::Jwks(_) => Self::Input(text),
            _ => Self::Failed(text),
        }
    }
}
