use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::app::stager::{Pace, StageTarget, Told, stop_by_signal, watch};
use crate::cli::connect::ServerArgs;
use crate::cli::output::{note, say, say_json};
use crate::cli::{CliError, local, time};
use crate::config::{Settings, StagerSettings};
use crate::model::ShareName;
use crate::share::stage::{self, Progress, StageError, StageOptions, StageTree, Staged};

use super::source::HttpSource;
use super::{configured, plan, words};

/// How often the server is asked for another tree while a target is watched.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(1);

/// Make a directory hold what a share shows: writes what differs, reads it back, then switches
///
/// A reader never sees half a file, and sees a set of files switch at once where the file system allows it. What is in
/// the directory and not in the share is removed. Interrupted at any point, the next run finishes. Exit code 9 means
/// that everything is written, but a name that somebody has open could not be replaced yet: run it again.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The share
    #[arg(required_unless_present = "configured", conflicts_with = "configured")]
    share: Option<ShareName>,
    /// The directory; only its last part is created
    #[arg(long, value_name = "DIR", required_unless_present = "configured", conflicts_with = "configured")]
    to: Option<PathBuf>,
    /// Stage all targets of the configuration, side by side
    #[arg(long)]
    configured: bool,
    /// Go on until Ctrl-C or SIGTERM: stage each switch as it comes, and put right what others change
    #[arg(long)]
    watch: bool,
    /// Print what would change, and write nothing
    #[arg(long, conflicts_with_all = ["watch", "configured"])]
    plan: bool,
    /// Keep the whole tree before beside the live one, so that going back copies nothing
    #[arg(long, conflicts_with = "configured")]
    keep_previous: bool,
    /// Hash every file that is there, whatever its size and times say
    #[arg(long)]
    rehash: bool,
    /// Take over a directory that is not empty and not ours; what is not in the share is removed from it
    #[arg(long, conflicts_with = "configured")]
    adopt: bool,
    /// For how long a name that somebody has open is tried [default: the configuration's stager.retry_for, or 30s]
    #[arg(long, value_name = "TIME", value_parser = time::length)]
    retry_for: Option<Duration>,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) fn run(self) -> Result<(), CliError> {
        let settings = self.server.settings()?;
        let mut stager = settings.as_ref().map_or_else(|| Settings::default().stager, |found| found.stager.clone());
        stager.retry_for = self.retry_for.unwrap_or(stager.retry_for);
        if self.configured {
            let settings = settings.ok_or_else(|| {
                CliError::Usage("--configured needs a configuration: give --config, or run this where it is".to_owned())
            })?;
            let how = configured::How { is_watching: self.watch, is_rehash: self.rehash };
            return configured::run(&self.server, &settings, &stager, how);
        }
        // clap lets neither be missing here.
        let (Some(share), Some(dir)) = (self.share.clone(), self.to.clone()) else {
            return Err(CliError::Usage("name a share and a directory, or give --configured".to_owned()));
        };
        let options = StageOptions {
            keep_previous: self.keep_previous,
            rehash: self.rehash,
            retry_for: stager.retry_for,
            adopt: self.adopt,
        };
        let mut source = HttpSource::new(self.server.session()?, share, settings.map(|settings| settings.data));
        let target = StageTarget::new(&dir, options);
        if self.plan {
            return show_plan(&mut source, &target);
        }
        if self.watch {
            return keep(&target, &stager, &mut source, self.server.json);
        }
        let staged = once(&target, &mut source, &CancellationToken::new(), &Shown::new())?;
        print(&staged, self.server.json)?;
        refuse_pending(&target, &staged)
    }
}

fn show_plan(source: &mut HttpSource, target: &StageTarget) -> Result<(), CliError> {
    let tree = first_tree(source)?;
    let found = stage::plan(&tree, target.dir(), target.options(), local::now()).map_err(refused)?;
    if source.session().json() { say_json(&json(&found)?) } else { plan::print(&found) }
}

fn keep(target: &StageTarget, stager: &StagerSettings, source: &mut HttpSource, is_json: bool) -> Result<(), CliError> {
    let (stop, _signals) = stop_by_signal()?;
    let pace = Pace::configured(stager, ASK_EVERY);
    watch(target, &pace, source, &stop, &mut |told| tell(target, &told, is_json));
    Ok(())
}

/// Says what a watched target's loop tells. Standard output may be gone while the target is still to be kept.
pub(super) fn tell(target: &StageTarget, told: &Told<'_>, is_json: bool) {
    let dir = target.dir().display();
    match told {
        Told::Staged(staged) => drop(print(staged, is_json)),
        Told::Trouble(why) => note(format_args!("{dir}: {why}; trying again")),
        Told::Recovered => note(format_args!("{dir}: all is well again")),
    }
}

/// One run, reported to the server where it came to something.
///
/// # Errors
/// The tree cannot be had, or staging failed.
pub(super) fn once(
    target: &StageTarget,
    source: &mut HttpSource,
    stop: &CancellationToken,
    shown: &Shown,
) -> Result<Staged, CliError> {
    let tree = first_tree(source)?;
    let outcome = target.publish(&tree, &*source, false, stop, &mut |progress| shown.take(progress));
    shown.end();
    // A refusal is told to whoever runs this; a directory that never was a target must not become one that alarms. A
    // target that was one is behind as soon as there is another switch.
    if outcome.is_ok()
        && let Err(error) = source.tell(&target.report(&tree, &outcome))
    {
        note(format_args!("the server could not be told of the target: {error}"));
    }
    outcome.map_err(refused)
}

fn first_tree(source: &mut HttpSource) -> Result<StageTree, CliError> {
    let tree = source.tree()?;
    tree.ok_or_else(|| {
        CliError::Failed("the server says that the tree is unchanged, but none was asked for".to_owned())
    })
}

/// Prints what a run did.
///
/// # Errors
/// Standard output is gone.
pub(super) fn print(staged: &Staged, is_json: bool) -> Result<(), CliError> {
    if is_json { say_json(&json(staged)?) } else { say(words::staged(staged)) }
}

fn json(value: &impl serde::Serialize) -> Result<Value, CliError> {
    serde_json::to_value(value).map_err(|cause| CliError::Failed(format!("the result is no JSON: {cause}")))
}

/// A name that waits is an exit code of its own.
///
/// # Errors
/// [`CliError::Pending`].
pub(super) fn refuse_pending(target: &StageTarget, staged: &Staged) -> Result<(), CliError> {
    match &staged.is_pending {
        None => Ok(()),
        Some(pending) => Err(CliError::Pending(format!(
            "{}: everything is written, but {} cannot be replaced yet: {}; run it again",
            target.dir().display(),
            pending.path,
            pending.why
        ))),
    }
}

fn refused(error: StageError) -> CliError {
    let text = error.to_string();
    match error {
        StageError::Missing { .. } | StageError::NoManifest { .. } => CliError::NotFound(text),
        StageError::NotOurs { .. } | StageError::OtherShare { .. } | StageError::Busy { .. } => {
            CliError::Conflict(text)
        }
        _ => CliError::Failed(text),
    }
}

/// How far a run is: a bar on a terminal, nothing elsewhere, where the sum at the end says it all.
pub(super) struct Shown(ProgressBar);

impl Shown {
    pub(super) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let template = "{msg} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(super) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    fn take(&self, progress: Progress) {
        match progress {
            Progress::Found { files, bytes_to_write } => {
                self.0.set_length(bytes_to_write);
                self.0.set_message(format!("writing {files} files"));
            }
            Progress::Wrote { bytes } => self.0.inc(bytes),
            Progress::Publishing => self.0.set_message("publishing"),
        }
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
