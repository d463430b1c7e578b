//! How many ranges may be under way at once, in two lanes: what devices wait for is never behind what is only filled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::throttle::Urgency;

/// The lanes. Each has as many ranges as may be parallel.
#[derive(Debug)]
pub(super) struct Lanes {
    urgent: Arc<Semaphore>,
    background: Arc<Semaphore>,
    urgent_now: Arc<AtomicUsize>,
    /// Changes when the last urgent range ends, and with the window.
    turn: watch::Sender<()>,
    is_open: watch::Sender<bool>,
}

/// A place in a lane, until dropped.
#[derive(Debug)]
pub(super) struct Lane {
    _permit: Option<OwnedSemaphorePermit>,
    urgent: Option<(Arc<AtomicUsize>, watch::Sender<()>)>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some((urgent_now, turn)) = &self.urgent
            && urgent_now.fetch_sub(1, Ordering::Relaxed) == 1
        {
            turn.send_replace(());
        }
    }
}

impl Lanes {
    pub(super) fn new(parallel_ranges: usize) -> Self {
        let ranges = parallel_ranges.max(1);
        Self {
            urgent: Arc::new(Semaphore::new(ranges)),
            background: Arc::new(Semaphore::new(ranges)),
            urgent_now: Arc::default(),
            turn: watch::Sender::new(()),
            is_open: watch::Sender::new(true),
        }
    }

    /// Lets background ranges begin, or keeps them from it.
    pub(super) fn open_background(&self, is_open: bool) {
        self.is_open.send_if_modified(|open| std::mem::replace(open, is_open) != is_open);
    }

    /// Waits for a place. A background range begins only while no urgent one is under way.
    pub(super) async fn enter(&self, urgency: Urgency) -> Lane {
        match urgency {
            Urgency::OnDemand => {
                // The semaphore is never closed.
                let permit = self.urgent.clone().acquire_owned().await.ok();
                self.urgent_now.fetch_add(1, Ordering::Relaxed);
                Lane { _permit: permit, urgent: Some((self.urgent_now.clone(), self.turn.clone())) }
            }
            Urgency::Background => {
                let permit = self.background.clone().acquire_owned().await.ok();
                let (mut turn, mut is_open) = (self.turn.subscribe(), self.is_open.subscribe());
                loop {
                    turn.borrow_and_update();
                    let may_begin = *is_open.borrow_and_update() && self.urgent_now.load(Ordering::Relaxed) == 0;
                    if may_begin {
                        return Lane { _permit: permit, urgent: None };
                    }
                    // Both senders live as long as these lanes.
                    tokio::select! {
                        _ = turn.changed() => {}
                        _ = is_open.changed() => {}
                    }
                }
            }
        }
    }
}
