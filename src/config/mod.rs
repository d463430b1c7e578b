//! `ringfence.toml`: the raw file becomes checked [`Settings`], or one sentence with the file's name and line.
//!
//! What this room deliberately does not do: read the policy (it is applied and journaled, not configured), or reach
//! into the rooms: it hands them plain values.

mod enrol;
mod error;
mod file;
mod gate;
mod locate;
mod people;
mod settings;
mod site;
mod targets;
mod tls;
mod validate;
mod values;

pub use error::ConfigError;
pub use file::schema;
pub use gate::{GateSettings, OpaqueArchives};
pub use settings::{
    AdminSettings, AlertSettings, DecisionSettings, DeviceSettings, EnrolCaFiles, EnrolSettings, JournalSettings,
    LimitSettings, LogFormat, LogLevel, LogSettings, OidcSettings, PersonSettings, PolicySettings, ReportSettings,
    Settings, SharesSettings, SigningSettings, SiteSettings, StagerSettings, StoreSettings, TargetSettings,
    TlsSettings,
};
pub use values::{ByteSize, Length, ValueError, parse_length};

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The shipped example: every key with its default and a comment. `ringfence init` writes it.
pub const EXAMPLE: &str = include_str!("../../config/ringfence.toml");

/// Reads and checks the file. Paths in it are relative to the file's own directory.
///
/// # Errors
/// The file cannot be read, is not TOML, has unknown keys or values that cannot be.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    load_changed(path, Changes::default())
}

/// What a command line says instead of the file.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The data directory, relative to the working directory.
    pub data: Option<PathBuf>,
    /// The device listener.
    pub device_listen: Option<SocketAddr>,
    /// The admin listener.
    pub admin_listen: Option<SocketAddr>,
}

/// As [`load`], with some values replaced before the checks.
///
/// # Errors
/// As [`load`].
pub fn load_changed(path: &Path, changes: Changes) -> Result<Settings, ConfigError> {
    let (text, base) = read(path)?;
    parse_changed(&text, path, base, changes)
}

fn read(path: &Path) -> Result<(String, &Path), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause: cause.to_string() })?;
    let base = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((text, base))
}

/// Checks the text of a file named `path` whose relative paths start at `base`.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, path: &Path, base: &Path) -> Result<Settings, ConfigError> {
    parse_changed(text, path, base, Changes::default())
}

fn parse_changed(text: &str, path: &Path, base: &Path, changes: Changes) -> Result<Settings, ConfigError> {
    let mut raw: file::File = toml::from_str(text).map_err(|error| locate::explain(path, text, &error))?;
    if let Some(data) = changes.data {
        let absolute = std::path::absolute(&data)
            .map_err(|cause| ConfigError::Unreadable { path: data.clone(), cause: cause.to_string() })?;
        raw.data = absolute;
    }
    raw.device.listen = changes.device_listen.unwrap_or(raw.device.listen);
    raw.admin.listen = changes.admin_listen.unwrap_or(raw.admin.listen);
    let locate = |key: &str| locate::line_of(text, key);
    validate::settings(raw, base).map_err(|finding| finding.at(path, &locate))
}

#[cfg(test)]
mod tests;
