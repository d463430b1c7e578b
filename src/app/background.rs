//! What runs beside serving: expiring uploads and reports, scrubbing, and watching for what must end the process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::core::Core;
use super::keeper::Keeper;

/// How often idle uploads are looked for.
const UPLOADS_EVERY: Duration = Duration::from_secs(30);
/// How often old reports are looked for.
const REPORTS_EVERY: Duration = Duration::from_secs(3600);

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
        ("a blob could not be made durable", core.publisher.failed()),
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
