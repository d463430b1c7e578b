//! Letting rollouts take their steps: every second, and at once when something changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::alerts::Alerts;
use crate::catalog::Catalog;
use crate::control::advance_rollouts;
use crate::share::Shares;

/// How often it is looked whether a step is due.
const EVERY: Duration = Duration::from_secs(1);
/// The least time between two looks: a flood of failures asks for one halt.
const REST: Duration = Duration::from_millis(20);

/// Advances the rollouts and raises the alerts that follow, until stopped.
pub(super) async fn advance(catalog: Arc<Catalog>, shares: Arc<Shares>, alerts: Arc<Alerts>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_error = String::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
            () = catalog.stirred() => {}
        }
        // An offline site's rollouts take their steps at the origin: they come with the bundles.
        let is_site = catalog.snapshot().applied_bundle().is_some();
        let error = match is_site {
            true => String::new(),
            false => advance_rollouts(&catalog).await.err().map(|error| error.to_string()).unwrap_or_default(),
        };
        // Said once, not every second.
        if !error.is_empty() && error != last_error {
            tracing::error!(%error, "rollouts cannot take their next steps; it is tried again every second");
        }
        last_error = error;
        shares.wake();
        alerts.look(&catalog.snapshot());
        tokio::time::sleep(REST).await;
    }
}

/// Switches shares whenever what they should show has changed, until stopped. Beside the rollouts and not after them:
/// unpacking a large archive must keep no halt waiting.
pub(super) async fn switch_shares(shares: Arc<Shares>, alerts: Arc<Alerts>, stop: CancellationToken) {
    let mut last_error = String::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shares.woken() => {}
        }
        let error = shares.advance().await.err().map(|error| error.to_string()).unwrap_or_default();
        if !error.is_empty() && error != last_error {
            tracing::error!(%error, "shares cannot be switched; it is tried again every second");
        }
        last_error = error;
        let snapshot = shares.catalog().snapshot();
        alerts.look_at_shares(&shares, &snapshot, snapshot.present(shares.catalog().clock_now()));
    }
}

/// Looks for groups and shares that have stayed behind, until stopped.
pub(super) async fn watch_staleness(
    catalog: Arc<Catalog>,
    shares: Arc<Shares>,
    alerts: Arc<Alerts>,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(Duration::from_secs(60));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let (looking, raising, shares) = (catalog.clone(), alerts.clone(), shares.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let snapshot = looking.snapshot();
            let now = snapshot.present(looking.clock_now());
            raising.look_for_stale(&snapshot, now);
            raising.look_at_shares(&shares, &snapshot, now);
            // A mirror's origin tells of its sites itself.
            if looking.origin().is_none() {
                raising.look_at_sites(&snapshot, now);
            }
        });
        if let Err(error) = looked.await {
            tracing::error!(%error, "looking for what is behind ended with a panic");
        }
    }
}
