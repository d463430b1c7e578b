//! What brings blobs to a mirror, from its settings, and what watches it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::core::Core;
use crate::config::Settings;
use crate::mirror::{FillOptions, Filler, Mirror, PullOptions, Pulls};
use crate::sys::clock::SystemClock;

/// How often the mirror is told how far filling is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The filler of a mirror; none where this server is none.
pub(super) fn open(
    core: &Core,
    settings: &Settings,
    mirror: Option<&Mirror>,
    stop: &CancellationToken,
) -> Option<Arc<Filler>> {
    let (settings, mirror) = (settings.mirror.as_ref()?, mirror?);
    let options = PullOptions {
        parallel_ranges: settings.parallel_ranges,
        partial_max: settings.partial_max,
        bytes_per_second: settings.bandwidth_bytes_per_second,
        ..PullOptions::default()
    };
    let places = (core.catalog.store().clone(), core.data.join("partial"));
    let source = Arc::new(mirror.upstream().clone());
    let pulls = Pulls::new(source, places, options, Arc::new(SystemClock), stop.clone());
    let fill = FillOptions {
        critical: settings.critical.clone(),
        windows: settings.windows.clone(),
        parallel_blobs: settings.parallel_ranges,
    };
    Some(Arc::new(Filler::new(core.catalog.clone(), pulls, fill)))
}

/// Starts filling.
pub(super) fn spawn(filler: &Arc<Filler>, mirror: &Arc<Mirror>, tasks: &TaskTracker, stop: &CancellationToken) {
    let (running, until) = (filler.clone(), stop.clone());
    tasks.spawn(async move { running.run(until).await });
    tasks.spawn(tell(filler.clone(), mirror.clone(), stop.clone()));
}

async fn tell(filler: Arc<Filler>, mirror: Arc<Mirror>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TELL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => mirror.note_filling(filler.standing(), filler.pulls().figures().last_blame()),
        }
    }
}
