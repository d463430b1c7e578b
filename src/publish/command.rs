//! What the gates ask of the organisation's own commands. Who runs them is the app's business.

use std::fs::File;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::gate::Finding;
use crate::model::{Actor, Artifact, Class, ProductName, ReleaseId, Version};

/// A release that stands before the gates, with its staged bytes.
#[derive(Debug)]
pub struct Subject {
    /// The product.
    pub product: ProductName,
    /// Its class.
    pub class: Class,
    /// The version.
    pub version: Version,
    /// Whether it must be installed before any later release.
    pub barrier: bool,
    /// The digest of its manifest.
    pub release: ReleaseId,
    /// Who publishes it.
    pub publisher: Actor,
    /// Its artifacts.
    pub bodies: Vec<StagedBody>,
}

/// An artifact's staged bytes.
#[derive(Debug)]
pub struct StagedBody {
    /// The artifact.
    pub artifact: Artifact,
    /// Its bytes: a mapping.
    pub bytes: Bytes,
    /// The same bytes as a file, to be shared with a copy where the file system can.
    pub file: Option<File>,
    /// Whether it carries an Authenticode signature.
    pub is_signed: bool,
}

/// What the commands said.
#[derive(Debug, Default)]
pub struct CommandOutcome {
    /// For how long the gate's command ran, where one is configured.
    pub command_ms: Option<u64>,
    /// What speaks against the release.
    pub findings: Vec<Finding>,
    /// Whether Authenticode signatures were verified: only where a command for that is configured.
    pub is_authenticode_verified: bool,
}

/// The organisation's own commands.
pub trait GateCommands: Send + Sync + 'static {
    /// Runs whatever is configured on the subject. Bytes are never changed by it.
    fn run<'a>(&'a self, subject: &'a Subject) -> Pin<Box<dyn Future<Output = CommandOutcome> + Send + 'a>>;
}
