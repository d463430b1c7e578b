//! What the devices here said, told to the upstream; manifests that devices will ask for, fetched ahead; and what was
//! signed for devices, kept for the next start.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::mirror::Mirror;
use super::protocol::{TALLIES_MAX, TalliesReport};
use super::relay::RelayError;

/// How often it is looked for something new to tell.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often it is told although nothing is new: the upstream may have lost it.
const TELL_EVERY: Duration = Duration::from_secs(300);
/// How often what was signed for devices is written to the disk: a process that is killed loses no more.
const KEEP_EVERY: Duration = Duration::from_secs(120);
/// How many releases of each product have their manifests fetched ahead: the newest.
const AHEAD_MAX: usize = 20;

impl Mirror {
    /// Tells the upstream what devices said, until stopped. What cannot be told is told later: it is counted anew from
    /// the reports here, so nothing is lost with the process.
    pub async fn push_tallies(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told: Option<(Vec<_>, Instant)> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let mut tallies = self.catalog.ring_tallies(self.catalog.now());
            // The newest rollouts come last, and are the ones that can still be halted.
            tallies.drain(..tallies.len().saturating_sub(TALLIES_MAX));
            let is_known = told.as_ref().is_some_and(|(last, at)| *last == tallies && at.elapsed() < TELL_EVERY);
            if is_known || !self.has_followed() || (told.is_none() && tallies.is_empty()) {
                continue;
            }
            let report = TalliesReport { name: self.options.name.clone(), tallies };
            match self.upstream.tallies(&report).await {
                Ok(()) => {
                    self.watch.lock().tallies_sent_at = Some(self.catalog.clock_now());
                    told = Some((report.tallies, Instant::now()));
                }
                Err(error) => tracing::debug!(%error, "what devices said cannot be told yet; it is tried again"),
            }
        }
    }

    /// Fetches the signed manifests of the newest releases, so that they are here when the upstream is not; until
    /// stopped.
    pub async fn fetch_manifests(self: Arc<Self>, stop: CancellationToken) {
        let mut advanced = self.catalog.advanced();
        loop {
            let work = async {
                // Whatever the outcome: what is missing is looked for again.
                let is_whole = self.fetch_missing_manifests().await;
                let pause = if is_whole { TELL_EVERY } else { LOOK_EVERY };
                let _ = tokio::time::timeout(pause, advanced.changed()).await;
                // Events come in bursts.
                tokio::time::sleep(Duration::from_millis(500)).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = work => {}
            }
        }
    }

    /// Writes what was signed for devices to the disk now and then, and once more when stopped.
    pub async fn keep_statements(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let is_last = tokio::time::timeout(KEEP_EVERY, stop.cancelled()).await.is_ok();
            let mirror = self.clone();
            let kept = tokio::task::spawn_blocking(move || mirror.relay().keep_statements(mirror.catalog.clock_now()));
            if let Ok(Err(error)) = kept.await {
                tracing::warn!(%error, "what the origin signed for devices cannot be kept; after a restart it is asked for again");
            }
            if is_last {
                return;
            }
        }
    }

    async fn fetch_missing_manifests(&self) -> bool {
        let snapshot = self.catalog.snapshot();
        for product in snapshot.products() {
            for release in product.releases().iter().rev().take(AHEAD_MAX) {
                if self.relay().has_manifest(&release.id) {
                    continue;
                }
                match self.relay().manifest(&snapshot, release.id, self.catalog.clock_now()).await {
                    Ok(_) | Err(RelayError::Unknown) => {}
                    Err(error) => {
                        tracing::debug!(%error, release = %release.id, "a signed manifest cannot be fetched yet");
                        return false;
                    }
                }
            }
        }
        true
    }
}
