//! What is wrong with a configuration file, and where.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Why a configuration file is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: the configuration cannot be read: {cause}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Something in the file is wrong.
    #[error("{}:{line}: {message}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// One sentence.
        message: String,
    },
    /// Something is wrong that no single line of the file says.
    #[error("{}: {message}", path.display())]
    Whole {
        /// Which file.
        path: PathBuf,
        /// One sentence.
        message: String,
    },
}

/// A finding of the checks: which key, and what is wrong with it.
#[derive(Debug)]
pub(super) struct Finding {
    /// The dotted key, for example `store.inline_max_bytes`, or `target.0.to` for one of several tables.
    pub(super) key: Cow<'static, str>,
    /// One sentence.
    pub(super) message: String,
}

impl Finding {
    /// Gives the finding its place. A key that the file does not set has a default, which cannot be wrong by itself.
    pub(super) fn at(self, path: &Path, line_of: &dyn Fn(&str) -> Option<usize>) -> ConfigError {
        let Self { key, message } = self;
        match line_of(&key) {
            Some(line) => ConfigError::Line { path: path.to_owned(), line, message },
            None => ConfigError::Whole { path: path.to_owned(), message },
        }
    }
}
