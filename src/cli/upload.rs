//! Sending the files of a release, with progress: bars on a terminal, lines elsewhere.

use std::io::IsTerminal as _;
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::CliError;
use super::connect::Session;
use super::output::{note, size};
use crate::client::Uploaded;

/// Sends a file, and shows how far it is.
///
/// # Errors
/// As [`crate::client::Client::upload`].
pub(super) fn send(session: &Session, file: &Path) -> Result<Uploaded, CliError> {
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let bar = bar(file, &name);
    let uploaded = session.upload(file, &|position| bar.set_position(position));
    bar.finish_and_clear();
    let uploaded = uploaded?;
    if !session.json() {
        let resumed = match uploaded.resumed {
            0 => String::new(),
            1 => ", taken up again once".to_owned(),
            times => format!(", taken up again {times} times"),
        };
        note(format_args!("sent {name} ({}{resumed})", size(uploaded.size)));
    }
    Ok(uploaded)
}

fn bar(file: &Path, name: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let length = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let template = "{msg} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(name.to_owned());
    bar
}
