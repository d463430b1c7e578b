//! All targets of the configuration, side by side.

use std::thread;

use tokio_util::sync::CancellationToken;

use crate::app::stager::{Pace, StageTarget, stop_by_signal, watch};
use crate::cli::CliError;
use crate::cli::connect::ServerArgs;
use crate::cli::output::note;
use crate::config::{Settings, StagerSettings};
use crate::share::stage::{StageOptions, Staged};

use super::source::HttpSource;
use super::stage::{ASK_EVERY, Shown, once, print, refuse_pending, tell};

/// How the targets are staged.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) is_watching: bool,
    pub(super) is_rehash: bool,
}

/// Stages every target, each on a thread and with a server's session of its own.
///
/// # Errors
/// There is no target, no server, or what went wrong first; the others are staged all the same.
pub(super) fn run(server: &ServerArgs, settings: &Settings, stager: &StagerSettings, how: How) -> Result<(), CliError> {
    if settings.targets.is_empty() {
        return Err(CliError::Input("the configuration has no target; add a [[target]] with share and to".to_owned()));
    }
    let mut jobs = Vec::new();
    for configured in &settings.targets {
        let target = StageTarget::configured(configured, stager);
        let options = StageOptions { rehash: how.is_rehash, ..*target.options() };
        let target = StageTarget::new(target.dir(), options);
        let source = HttpSource::new(server.session()?, configured.share.clone(), Some(settings.data.clone()));
        jobs.push((target, source));
    }
    if !how.is_watching {
        return all_once(jobs, server.json);
    }
    if settings.stager.in_server {
        note("stager.in_server is true: the server keeps these targets, too; set it to false");
    }
    let (stop, _signals) = stop_by_signal()?;
    let pace = Pace::configured(stager, ASK_EVERY);
    thread::scope(|scope| {
        for (target, mut source) in jobs {
            let (pace, stop) = (&pace, &stop);
            scope.spawn(move || {
                watch(&target, pace, &mut source, stop, &mut |told| tell(&target, &told, server.json));
            });
        }
    });
    Ok(())
}

/// Every target once; the results in the configuration's order.
fn all_once(jobs: Vec<(StageTarget, HttpSource)>, is_json: bool) -> Result<(), CliError> {
    let stop = CancellationToken::new();
    let outcomes: Vec<(StageTarget, Result<Staged, CliError>)> = thread::scope(|scope| {
        let threads: Vec<_> = jobs
            .into_iter()
            .map(|(target, mut source)| {
                let (stop, kept) = (&stop, target.clone());
                (kept, scope.spawn(move || once(&target, &mut source, stop, &Shown::hidden())))
            })
            .collect();
        let ended = threads.into_iter().map(|(target, thread)| {
            let outcome = thread.join().unwrap_or_else(|_| {
                let text = format!("{}: staging ended with a panic", target.dir().display());
                Err(CliError::Failed(text))
            });
            (target, outcome)
        });
        ended.collect()
    });
    let mut worst = Ok(());
    for (target, outcome) in outcomes {
        let ended = match outcome {
            Ok(staged) => {
                print(&staged, is_json)?;
                refuse_pending(&target, &staged)
            }
            Err(error) => Err(error),
        };
        match (&worst, ended) {
            (_, Ok(())) => {}
            // A failure says more than a name that waits.
            (Ok(()) | Err(CliError::Pending(_)), Err(error)) => {
                if let Err(earlier) = std::mem::replace(&mut worst, Err(error)) {
                    note(earlier);
                }
            }
            (Err(_), Err(error)) => note(error),
        }
    }
    worst
}
