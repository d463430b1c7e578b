//! The log subscriber: text for people, JSON for machines, always on standard error.

use std::fmt;
use std::io::IsTerminal as _;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The environment variable whose directives come before the configured level, for example
/// `RINGFENCE_LOG=info,ringfence::serve=debug`.
const FILTER_VARIABLE: &str = "RINGFENCE_LOG";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One readable line an event, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The word used in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// How a line looks.
    pub format: LogFormat,
    /// A level (`info`) or a list of directives (`info,ringfence::journal=debug`); empty means `info`.
    pub filter: String,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be understood.
    #[error("{from} {filter:?} is not a log level or a list of target=level directives: {why}")]
    Filter {
        /// Where it was written.
        from: &'static str,
        /// The text.
        filter: String,
        /// What the parser says.
        why: String,
    },
    /// Something in this process logs already.
    #[error("a log subscriber is already installed in this process: {0}")]
    Installed(String),
}

type SetFilter = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// Changes the filter of the installed subscriber.
pub struct LogControl {
    set: SetFilter,
}

impl LogControl {
    /// Puts another level or list of directives in force, unless the environment gives them.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        if from_environment().is_some() {
            return Ok(());
        }
        (self.set)(parse_filter("log.level", filter)?).map_err(LogError::Installed)
    }
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogControl")
    }
}

fn from_environment() -> Option<String> {
    std::env::var(FILTER_VARIABLE).ok().filter(|text| !text.trim().is_empty())
}

/// Installs the subscriber of this process. Called once, before anything is logged.
pub fn install_log(options: &LogOptions) -> Result<LogControl, LogError> {
    let filter = match &from_environment() {
        Some(text) => parse_filter(FILTER_VARIABLE, text)?,
        None => parse_filter("log.level", &options.filter)?,
    };
    // A line that cannot be written, because the log's disk is full, is lost; telling of it would panic in whatever logged.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    let (set, installed): (SetFilter, _) = match options.format {
        LogFormat::Text => {
            let builder = builder.with_ansi(std::io::stderr().is_terminal()).with_filter_reloading();
            let handle = builder.reload_handle();
            let set = move |filter| handle.reload(filter).map_err(|error| error.to_string());
            (Box::new(set), builder.finish().try_init())
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false).with_filter_reloading();
            let handle = builder.reload_handle();
            let set = move |filter| handle.reload(filter).map_err(|error| error.to_string());
            (Box::new(set), builder.finish().try_init())
        }
    };
    installed.map_err(|error| LogError::Installed(error.to_string()))?;
    Ok(LogControl { set })
}

fn parse_filter(from: &'static str, text: &str) -> Result<EnvFilter, LogError> {
    if text.trim().is_empty() {
        return Ok(EnvFilter::default().add_directive(LevelFilter::INFO.into()));
    }
    // A lone unknown word would be taken as a target's name, and silence everything else.
    let lone_word = !text.contains(['=', ',', '[']);
    if lone_word && LevelFilter::from_str(text.trim()).is_err() {
        let why = "the levels are off, error, warn, info, debug and trace".to_owned();
        return Err(LogError::Filter { from, filter: text.to_owned(), why });
    }
    EnvFilter::builder().parse(text).map_err(|error| LogError::Filter {
        from,
        filter: text.to_owned(),
        why: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_taken() {
        for good in ["", "info", " debug ", "warn,ringfence::serve=trace", "off"] {
            assert!(parse_filter("log.level", good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_misspelt_level_is_an_error_that_says_where() {
        let error = parse_filter("log.level", "inof").unwrap_err().to_string();
        assert!(error.starts_with("log.level \"inof\" is not a log level"), "{error}");
        assert!(parse_filter("log.level", "ringfence=loud").is_err());
    }
}
