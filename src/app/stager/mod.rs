//! Keeping targets: directories that hold what a share shows, in the server or in a process of their own.
//!
//! What this module deliberately does not do: write a file. `share::stage` does; here is when it does so, for whom, and
//! what is told of it.

mod source;
#[cfg(test)]
mod tests;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::core::Core;
use super::error::AppError;
use super::run::stop_signal;
use super::wiring::download_grace;
use crate::config::{Settings, StagerSettings, TargetSettings};
use crate::model::ShareName;
use crate::share::stage::{Bodies, Body, Progress, StageError, StageFile, StageOptions, StageTree, Staged, stage};
use crate::share::{TargetReport, TargetState};
use crate::sys::clock::{Clock, SystemClock};

pub use source::{TreeSource, Unseen, blob_file};
pub use watch::{Pace, Told, watch};

use source::CatalogSource;

/// How often the server looks whether a share has switched.
const LOOK_AT_SHARE_EVERY: Duration = Duration::from_millis(250);
/// A switch is announced about a second ahead. A clock that is further behind than this must not hold it up.
const AHEAD_MAX: Duration = Duration::from_secs(5);
/// In how small steps a wait looks whether it is over.
const STEP: Duration = Duration::from_millis(50);

/// A directory that a share is staged to.
#[derive(Debug, Clone)]
pub struct StageTarget {
    dir: PathBuf,
    name: String,
    options: StageOptions,
}

impl StageTarget {
    /// The directory `dir`, known to others by this machine's name and its absolute path.
    pub fn new(dir: &Path, options: StageOptions) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        Self { dir: dir.to_owned(), name: one_line(&format!("{host}:{}", absolute.display())), options }
    }

    /// As a file of the configuration says.
    pub fn configured(target: &TargetSettings, stager: &StagerSettings) -> Self {
        let options = StageOptions {
            keep_previous: target.keep_previous,
            rehash: false,
            retry_for: stager.retry_for,
            adopt: false,
        };
        Self::new(&target.to, options)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How it is named in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How a run goes about it.
    pub fn options(&self) -> &StageOptions {
        &self.options
    }

    /// Makes the directory hold `tree`, not before the tree's time. Once `stop` is cancelled no further body is begun.
    ///
    /// # Errors
    /// [`StageError`]; readers see whole files all the same.
    pub fn publish(
        &self,
        tree: &StageTree,
        bodies: &dyn Bodies,
        is_rehash: bool,
        stop: &CancellationToken,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Staged, StageError> {
        wait_for(tree.at, stop);
        let options = StageOptions { rehash: self.options.rehash || is_rehash, ..self.options };
        let now = SystemClock.now().max(tree.at);
        stage(tree, &self.dir, &Stoppable { bodies, stop }, &options, now, progress)
    }

    /// What to tell the server of how that went.
    pub fn report(&self, tree: &StageTree, outcome: &Result<Staged, StageError>) -> TargetReport {
        let (state, why) = match outcome {
            Ok(Staged { is_pending: None, .. }) => (TargetState::Published, None),
            Ok(Staged { is_pending: Some(pending), .. }) => {
                (TargetState::Pending, Some(format!("{}: {}", pending.path, pending.why)))
            }
            Err(error) => (TargetState::Failed, Some(error.to_string())),
        };
        let staged = outcome.as_ref().ok();
        TargetReport {
            target: self.name.clone(),
            switch: tree.switch,
            staged_at: SystemClock.now(),
            state,
            why: why.map(|why| one_line(&why)),
            written_bytes: staged.map_or(0, |staged| staged.written_bytes),
            tree_files: tree.files.len() as u64,
            tree_bytes: tree.bytes(),
            repaired_files: staged.map_or(0, |staged| staged.repaired.len() as u64),
        }
    }
}

/// Keeps the configured targets until `stop`, each on a thread of its own, where the server is to do it.
pub(super) fn spawn(core: &Core, settings: &Settings, tasks: &TaskTracker, stop: &CancellationToken) {
    if !settings.stager.in_server {
        return;
    }
    for target in &settings.targets {
        let mut source = CatalogSource::new(core.shares.clone(), target.share.clone(), download_grace(settings));
        let kept = StageTarget::configured(target, &settings.stager);
        let pace = Pace::configured(&settings.stager, LOOK_AT_SHARE_EVERY);
        let (share, stop) = (target.share.clone(), stop.clone());
        tasks.spawn_blocking(move || {
            watch(&kept, &pace, &mut source, &stop, &mut |told| log(&share, &kept, &told));
        });
    }
}

fn log(share: &ShareName, target: &StageTarget, told: &Told<'_>) {
    let target = target.name();
    match told {
        Told::Staged(staged) => {
            let Staged { switch, written_files, written_bytes, tree_files, removed_files, took_ms, .. } = staged;
            tracing::info!(
                %share,
                target,
                switch,
                written_files,
                written_bytes,
                tree_files,
                removed_files,
                took_ms,
                "staged"
            );
            for repaired in &staged.repaired {
                tracing::warn!(%share, target, path = repaired.path, why = repaired.why, "repaired in a target");
            }
        }
        Told::Trouble(why) => tracing::warn!(%share, target, why, "a target is not as it should be; trying again"),
        Told::Recovered => tracing::info!(%share, target, "the target is as it should be again"),
    }
}

/// A token that the first SIGTERM or SIGINT cancels, for as long as the second value lives.
///
/// # Errors
/// The process can have no more threads, or no signal handlers.
pub fn stop_by_signal() -> Result<(CancellationToken, Arc<tokio::runtime::Runtime>), AppError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(AppError::Runtime)?;
    let stop = runtime.block_on(async { stop_signal() })?;
    Ok((stop, Arc::new(runtime)))
}

fn wait_for(at: Timestamp, stop: &CancellationToken) {
    let ahead = Duration::try_from(at.duration_since(SystemClock.now())).unwrap_or_default();
    pause(ahead.min(AHEAD_MAX), stop);
}

/// Waits, or until `stop`.
fn pause(length: Duration, stop: &CancellationToken) {
    let begun = std::time::Instant::now();
    while !stop.is_cancelled() {
        match length.checked_sub(begun.elapsed()) {
            None | Some(Duration::ZERO) => return,
            Some(left) => std::thread::sleep(left.min(STEP)),
        }
    }
}

/// Control characters have no place in a report.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Bodies until somebody wants an end.
struct Stoppable<'a> {
    bodies: &'a dyn Bodies,
    stop: &'a CancellationToken,
}

impl Bodies for Stoppable<'_> {
    fn open(&self, file: &StageFile) -> std::io::Result<Body> {
        if self.stop.is_cancelled() {
            return Err(std::io::Error::other("the stager was told to stop"));
        }
        self.bodies.open(file)
    }
}
