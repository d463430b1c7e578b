//! What runs beside serving: expiring uploads and reports, scrubbing, and watching for what must end the process.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::core::Core;
use super::keeper::Keeper;
use crate::serve::admin::Oidc;

/// How often idle uploads are looked for.
const UPLOADS_EVERY: Duration = Duration::from_secs(30);
/// How often old reports are looked for.
const REPORTS_EVERY: Duration = Duration::from_secs(3600);
/// How often the last uses of tokens are written.
const TOKEN_USES_EVERY: Duration = Duration::from_secs(60);
/// How often the file with an identity provider's keys is looked at.
const JWKS_EVERY: Duration = Duration::from_secs(3);

/// Drops uploads that nobody uses any more, until stopped.
pub(super) async fn expire_uploads(core: Arc<Core>, stop: CancellationToken) {
    every(UPLOADS_EVERY, &stop, || {
        let dropped = core.publisher.uploads().drop_idle();
        if dropped > 0 {
            tracing::info!(dropped, "idle uploads were dropped");
        }
    })
    .await;
}

/// Removes reports that are older than they are kept, until stopped.
pub(super) async fn expire_reports(core: Arc<Core>, stop: CancellationToken) {
    every(REPORTS_EVERY, &stop, || {
        let catalog = core.catalog.clone();
        tokio::task::spawn_blocking(move || match catalog.remove_expired_reports() {
            Ok(0) => {}
            Ok(segments) => tracing::info!(segments, "old reports were removed"),
            Err(error) => tracing::error!(%error, "old reports cannot be removed"),
        });
    })
    .await;
}

/// Writes to the index when tokens were last used, until stopped, and once more then.
pub(super) async fn write_token_uses(core: Arc<Core>, stop: CancellationToken) {
    let write = || {
        let catalog = core.catalog.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = catalog.token_uses().write() {
                tracing::warn!(%error, "when tokens were last used cannot be written; it is known until the server stops");
            }
        })
    };
    every(TOKEN_USES_EVERY, &stop, || drop(write())).await;
    if let Err(error) = write().await {
        tracing::warn!(%error, "writing when tokens were last used ended with a panic");
    }
}

/// Reads the identity provider's keys again when their file changes, and on SIGHUP, until stopped.
pub(super) async fn watch_jwks(oidc: Arc<Oidc>, mut hangup: Signal, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(JWKS_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let is_asked = tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => false,
            asked = hangup.recv() => asked.is_some(),
        };
        let oidc = oidc.clone();
        let read = move || if is_asked { oidc.reload().map(Some) } else { oidc.reload_if_changed() };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(keys))) => tracing::info!(keys, "the identity provider's keys were read again"),
            Ok(Err(error)) => tracing::error!(%error, "the identity provider's keys in force stay"),
            Err(error) => tracing::error!(%error, "reading the identity provider's keys ended with a panic"),
        }
    }
}

/// Hashes every blob again on a schedule, until stopped. The first time is one period after the start.
pub(super) async fn scrub(keeper: Arc<Keeper>, period: Duration, stop: CancellationToken) {
    let first = tokio::time::Instant::now() + period;
    let mut ticks = tokio::time::interval_at(first, period);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let keeper = keeper.clone();
        match tokio::task::spawn_blocking(move || keeper.scrub_quietly()).await {
            Ok(Ok(check)) => {
                let (damaged, missing) = (check.damaged.len(), check.missing.len());
                tracing::info!(blobs = check.checked, damaged, missing, took_ms = check.took_ms, "scrub ended");
            }
            Ok(Err(error)) => tracing::warn!(%error, "scrub did not run"),
            Err(error) => tracing::error!(%error, "scrub ended with a panic"),
        }
    }
}

/// Returns the reason, once something that must be durable could not be made so.
pub(super) async fn fatal_failure(core: &Core) -> &'static str {
    let failures = [
        ("the journal could not be written", core.catalog.journal().failed()),
        ("the device reports could not be written", core.catalog.reports_failed()),
        ("a blob could not be made durable", core.catalog.store().has_failed()),
    ];
    let [journal, reports, blobs] = failures;
    tokio::select! {
        reason = turned_true(journal) => reason,
        reason = turned_true(reports) => reason,
        reason = turned_true(blobs) => reason,
    }
}

async fn turned_true((reason, mut failed): (&'static str, watch::Receiver<bool>)) -> &'static str {
    if failed.wait_for(|failed| *failed).await.is_err() {
        // The sender is gone without a failure: there is nothing to wait for.
        std::future::pending::<()>().await;
    }
    reason
}

async fn every(period: Duration, stop: &CancellationToken, mut work: impl FnMut()) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => work(),
        }
    }
}
