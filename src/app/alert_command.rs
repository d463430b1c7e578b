//! The organisation's own command that is run for each alert, with the alert as JSON on its standard input.

use std::collections::VecDeque;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::alerts::Alert;
use crate::config::AlertSettings;

/// How many alerts may wait; of more the oldest is dropped.
const WAITING_MAX: usize = 100;
/// How many commands run at once.
pub(super) const AT_ONCE: usize = 2;

/// Alerts that wait for their command.
#[derive(Default)]
pub(super) struct AlertQueue {
    waiting: Mutex<VecDeque<Alert>>,
    more: Notify,
}

impl AlertQueue {
    /// Puts an alert at the end. Never waits.
    pub(super) fn push(&self, alert: Alert) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING_MAX
            && let Some(oldest) = waiting.pop_front()
        {
            tracing::warn!(
                alert = oldest.alert,
                about = oldest.about(),
                "too many alerts wait for the alert command: the oldest is dropped"
            );
        }
        waiting.push_back(alert);
        self.more.notify_one();
    }

    /// Takes everything that waits.
    #[cfg(test)]
    pub(super) fn drain(&self) -> Vec<Alert> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    async fn next(&self) -> Alert {
        loop {
            let alert = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if let Some(alert) = alert {
                return alert;
            }
            self.more.notified().await;
        }
    }
}

/// Runs the command for one alert after the other, until stopped. [`AT_ONCE`] of these share a queue.
pub(super) async fn run_commands(queue: Arc<AlertQueue>, settings: AlertSettings, stop: CancellationToken) {
    loop {
        let alert = tokio::select! {
            () = stop.cancelled() => return,
            alert = queue.next() => alert,
        };
        // Notified for one alert, another may wait for the second worker.
        queue.more.notify_one();
        if let Err(why) = run(&settings, &alert).await {
            tracing::error!(%why, alert = alert.alert, about = alert.about(), "the alert command failed");
        }
    }
}

async fn run(settings: &AlertSettings, alert: &Alert) -> Result<(), String> {
    let Some((program, arguments)) = settings.command.split_first() else { return Ok(()) };
    let text = serde_json::to_vec(alert).map_err(|error| error.to_string())?;
    let cannot = |error: io::Error| format!("{program} cannot be run: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(cannot)?;
    let stdin = child.stdin.take();
    let finish = async {
        if let Some(mut stdin) = stdin {
            // A command that does not read what it is told may still have done its work.
            let _ = stdin.write_all(&text).await;
            let _ = stdin.shutdown().await;
        }
        child.wait().await
    };
    match tokio::time::timeout(settings.timeout, finish).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("{program} ended with {status}")),
        Ok(Err(error)) => Err(cannot(error)),
        Err(_) => {
            kill(&mut child).await;
            Err(format!("{program} did not end within {}", seconds(settings.timeout)))
        }
    }
}

async fn kill(child: &mut tokio::process::Child) {
    if let Err(error) = child.kill().await {
        tracing::debug!(%error, "the alert command had ended when it was to be killed");
    }
}

fn seconds(length: Duration) -> String {
    format!("{} s", length.as_secs_f64())
}
