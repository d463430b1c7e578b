//! What a command can fail with, and the exit code that says so.

use std::io;

use crate::client::{ClientError, Refusal};
use crate::config::ConfigError;
use crate::signing::Untrusted;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line is wrong in a way that only the command can tell.
    #[error("{0}")]
    Usage(String),
    /// Something that must be confirmed was not.
    #[error("this needs a confirmation: standard input is not a terminal, so add --yes")]
    NeedsYes,
    /// The person said no.
    #[error("nothing was changed")]
    Declined,
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A policy, inventory, or other input file is wrong, or must not be overwritten.
    #[error("{0}")]
    Input(String),
    /// The server could not be asked, or said no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The operation failed on this machine.
    #[error("{0}")]
    Failed(String),
    /// Stored bytes or the journal are not what they were.
    #[error("{0}")]
    Damage(String),
    /// There is no such thing on this machine.
    #[error("{0}")]
    NotFound(String),
    /// What exists contradicts it, for example another server that holds the data directory.
    #[error("{0}")]
    Conflict(String),
    /// A target is staged but for a name that somebody has open.
    #[error("{0}")]
    Pending(String),
    /// What an origin signed, or somebody in between made of it, does not verify.
    #[error("{0}; nothing was written")]
    Untrusted(#[from] Untrusted),
    /// A bundle is not what its origin signed.
    #[error("{0}")]
    NotBelieved(String),
    /// A bundle is here in part.
    #[error("{0}")]
    Partial(String),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// The process's exit code; `docs/cli.md` lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Failed(_) | Self::Declined | Self::Output(_) => 1,
            Self::Usage(_) | Self::NeedsYes => 2,
            Self::Config(_) | Self::Input(_) => 3,
            Self::NotFound(_) => 6,
            Self::Conflict(_) => 7,
            Self::Damage(_) => 8,
            Self::Pending(_) => 9,
            Self::Untrusted(_) | Self::NotBelieved(_) => 10,
            Self::Partial(_) => 11,
            Self::Client(error) => match error {
                ClientError::Endpoint(_) | ClientError::PathUnfit { .. } | ClientError::NoTrust { .. } => 2,
                ClientError::TlsFile { .. } => 3,
                ClientError::Unreachable { .. }
                | ClientError::Broken { .. }
                | ClientError::Untrusted { .. }
                | ClientError::NotTls { .. } => 4,
                ClientError::TokenUnfit | ClientError::CertificateRefused { .. } => 5,
                ClientError::NotUnderstood { .. } | ClientError::File { .. } => 1,
                ClientError::Refused(problem) => match problem.refusal() {
                    Refusal::NotAllowed => 5,
                    Refusal::NotFound => 6,
                    Refusal::Conflict => 7,
                    Refusal::Damage => 8,
                    Refusal::Other => 1,
                },
            },
        }
    }

    /// Whether nothing should be printed: whoever read the output has gone, as `head` does.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self, Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe)
    }
}
