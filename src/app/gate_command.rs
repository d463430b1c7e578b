//! The organisation's own commands at the gates: run on read-only copies of the staged bytes, within limits.
//!
//! Copies, because a scanner wants files with names, and because nothing that a scanner does may change what is
//! published. They share their blocks with the staged bytes where the file system can do that.

use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::spawn_blocking;

use super::gate_process::{CommandLimits, run};
use crate::config::GateSettings;
use crate::gate::Finding;
use crate::model::{Actor, Artifact, Class, ProductName, ReleaseId, TargetName, Version};
use crate::publish::{CommandOutcome, GateCommands, StagedBody, Subject};
use crate::sys::{durable, random, tree};

/// The folder in the data directory below which the copies stand while a command runs.
const FOLDER: &str = "gate";

/// What is configured.
pub(super) struct ConfiguredCommands {
    settings: GateSettings,
    folder: PathBuf,
}

/// The commands that the settings name, if there are any. Removes copies that a crash left.
pub(super) fn gate_commands(settings: &GateSettings, data: &Path) -> Option<Arc<dyn GateCommands>> {
    // A command runs inside the folder, so its files are told by paths that hold from anywhere.
    let folder = std::path::absolute(data).unwrap_or_else(|_| data.to_owned()).join(FOLDER);
    if folder.exists()
        && let Err(error) = durable::remove_dir_all(&folder)
    {
        tracing::warn!(folder = %folder.display(), %error, "copies that a gate command left cannot be removed");
    }
    let is_any = !settings.command.is_empty() || !settings.authenticode_command.is_empty();
    is_any.then(|| Arc::new(ConfiguredCommands { settings: settings.clone(), folder }) as Arc<dyn GateCommands>)
}

/// What a command reads on its standard input.
#[derive(Serialize)]
struct Told<'a> {
    product: &'a ProductName,
    class: Class,
    version: &'a Version,
    barrier: bool,
    release: ReleaseId,
    publisher: &'a Actor,
    artifacts: Vec<ToldArtifact<'a>>,
}

#[derive(Serialize)]
struct ToldArtifact<'a> {
    #[serde(flatten)]
    artifact: &'a Artifact,
    path: PathBuf,
}

/// Copies that are gone when this is dropped.
struct Copies {
    folder: PathBuf,
    paths: Vec<PathBuf>,
}

impl Drop for Copies {
    fn drop(&mut self) {
        if let Err(error) = durable::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "copies for a gate command cannot be removed");
        }
    }
}

impl GateCommands for ConfiguredCommands {
    fn run<'a>(&'a self, subject: &'a Subject) -> Pin<Box<dyn Future<Output = CommandOutcome> + Send + 'a>> {
        Box::pin(self.run_all(subject))
    }
}

impl ConfiguredCommands {
    async fn run_all(&self, subject: &Subject) -> CommandOutcome {
        let mut outcome = CommandOutcome::default();
        let (command, authenticode) = (&self.settings.command, &self.settings.authenticode_command);
        let has_signed = subject.bodies.iter().any(|body| body.is_signed) && !authenticode.is_empty();
        if command.is_empty() && !has_signed {
            return outcome;
        }
        let copies = match self.copy(subject).await {
            Ok(copies) => copies,
            Err(error) => {
                tracing::error!(%error, "the gate command cannot be given copies of the artifacts");
                let why = "the gate command could not be given the artifacts; the server's log says why".to_owned();
                outcome.findings.push(Finding::Command(why));
                return outcome;
            }
        };
        if !command.is_empty() {
            let started = Instant::now();
            let told = told(subject, &copies, |_| true);
            if let Err(why) = run(command, &copies.folder, told, self.limits()).await {
                outcome.findings.push(Finding::Command(format!("the gate command {why}")));
            }
            outcome.command_ms = Some(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
        for (place, body) in subject.bodies.iter().enumerate().filter(|(_, body)| body.is_signed && has_signed) {
            let told = told(subject, &copies, |at| at == place);
            outcome.is_authenticode_verified = true;
            if let Err(why) = run(authenticode, &copies.folder, told, self.limits()).await {
                let target: TargetName = body.artifact.target.clone();
                outcome.findings.push(Finding::Authenticode { target, why: format!("the Authenticode command {why}") });
            }
        }
        // Removing may take a while, too.
        let _ = spawn_blocking(move || drop(copies)).await;
        outcome
    }

    fn limits(&self) -> CommandLimits {
        let GateSettings { timeout, memory_max_bytes, open_files_max, output_max_bytes, .. } = self.settings;
        CommandLimits { timeout, memory_max_bytes, open_files_max, output_max_bytes }
    }

    async fn copy(&self, subject: &Subject) -> io::Result<Copies> {
        let name: String = random::random_bytes::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        let mut copies = Copies { folder, paths: Vec::with_capacity(subject.bodies.len()) };
        for StagedBody { artifact, bytes, file, .. } in &subject.bodies {
            let path = copies.folder.join(artifact.platform.as_str()).join(artifact.target.as_str());
            let (bytes, file) = (bytes.clone(), file.as_ref().map(File::try_clone).transpose()?);
            let to = path.clone();
            let copied = spawn_blocking(move || copy(&bytes, file.as_ref(), &to)).await;
            copied.map_err(io::Error::other)??;
            copies.paths.push(path);
        }
        Ok(copies)
    }
}

fn copy(bytes: &[u8], file: Option<&File>, to: &Path) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o444).open(to)?;
    let is_shared = file.is_some_and(|file| tree::reflink(file, &copy).unwrap_or(false));
    if is_shared { Ok(()) } else { copy.write_all(bytes) }
}

fn told(subject: &Subject, copies: &Copies, is_wanted: impl Fn(usize) -> bool) -> Vec<u8> {
    let artifacts = subject.bodies.iter().zip(&copies.paths).enumerate().filter(|(place, _)| is_wanted(*place));
    let artifacts =
        artifacts.map(|(_, (body, path))| ToldArtifact { artifact: &body.artifact, path: path.clone() }).collect();
    let Subject { product, class, version, barrier, release, publisher, .. } = subject;
    let (class, barrier, release) = (*class, *barrier, *release);
    let told = Told { product, class, version, barrier, release, publisher, artifacts };
    // Names, numbers and digests always become JSON.
    serde_json::to_vec(&told).unwrap_or_default()
}

/// For messages.
pub(super) fn seconds(length: Duration) -> String {
    format!("{} s", length.as_secs_f64())
}
