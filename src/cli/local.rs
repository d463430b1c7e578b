//! What the commands need of the rest of the program when no server answers for them.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use super::CliError;
use crate::config::Settings;
use crate::model::Blake3Digest;

/// What `ringfence demo` was asked for.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The directory to keep everything in; a temporary one where absent.
    pub data: Option<PathBuf>,
    /// The device listener's port; the admin listener has the next one.
    pub port_base: u16,
}

/// A command on the blob store and its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreCommand {
    /// Counts and sizes.
    Stats,
    /// Compare the blobs with what the releases refer to, and hash every one.
    Verify,
    /// Hash every blob; quarantine the damaged ones.
    Scrub,
    /// Remove what nothing refers to.
    Sweep,
    /// Make the index anew from journal and blobs.
    Rebuild,
}

impl StoreCommand {
    /// The command's word, which is also the last part of its path on the admin listener.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stats => "stats",
            Self::Verify => "verify",
            Self::Scrub => "scrub",
            Self::Sweep => "sweep",
            Self::Rebuild => "rebuild",
        }
    }
}

/// A command on the journal.
#[derive(Debug, Clone)]
pub enum JournalCommand {
    /// Check the whole chain, and that it holds these heads: (sequence number, hash).
    Verify(Vec<(u64, Blake3Digest)>),
    /// Read events.
    Show {
        /// Those after this number.
        after: u64,
        /// At most so many.
        limit: usize,
    },
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// It cannot start, or had to stop.
pub fn serve(_settings: Settings) -> Result<(), CliError> {
    Err(CliError::NotInThisBuild("serve"))
}

/// Runs the demonstration until Ctrl-C.
///
/// # Errors
/// It cannot start.
pub fn demo(_options: DemoOptions) -> Result<(), CliError> {
    Err(CliError::NotInThisBuild("demo"))
}

/// Works on a data directory that no server holds; answers what the server would.
///
/// # Errors
/// A server holds it, it is no data directory, or the operation failed.
pub fn store_offline(_command: StoreCommand, _data: &Path, _settings: &Settings) -> Result<Value, CliError> {
    Err(CliError::NotInThisBuild("working on a data directory without a server"))
}

/// Reads the journal of a data directory; answers what the server would.
///
/// # Errors
/// It is no data directory, or the journal is damaged.
pub fn journal_offline(_command: &JournalCommand, _data: &Path, _settings: &Settings) -> Result<Value, CliError> {
    Err(CliError::NotInThisBuild("reading a journal without a server"))
}

/// The wall clock, for lengths of time that the server wants as a moment.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
