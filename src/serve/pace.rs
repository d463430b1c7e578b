//! The deadline for slow peers: whoever is waited for must move bytes at a minimum pace.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::PaceLimit;

/// One direction of one connection, or one request's body.
///
/// It works like a purse of time. Waiting for the peer spends what is in it; every byte that moves earns back the time
/// it may take at the minimum pace; it never holds more than it began with. A peer is too slow when it is waited for
/// with an empty purse. Time in which nobody waits for the peer is free.
#[derive(Debug)]
pub(crate) struct Pace {
    limit: PaceLimit,
    full: Duration,
    left: Duration,
    waiting_since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// A peer whose progress is seen in steps of up to `hidden_bytes`: what the kernel holds of an answer looks taken
    /// all at once, so the time to take that much at the minimum pace is granted on top of the window.
    pub(crate) fn new(limit: PaceLimit, hidden_bytes: u32) -> Self {
        let full = limit.window + time_for(u64::from(hidden_bytes), limit);
        Self { limit, full, left: full, waiting_since: None, alarm: None }
    }

    /// `bytes` moved: the peer is no longer waited for.
    pub(crate) fn moved(&mut self, bytes: usize) {
        // Most operations of a healthy peer never wait; they must not cost a look at the clock.
        let waited = self.waiting_since.take().map(|since| since.elapsed());
        if let Some(waited) = waited {
            self.left = self.left.saturating_sub(waited);
        }
        if self.left < self.full {
            self.left = self.full.min(self.left + time_for(bytes as u64, self.limit));
        }
    }

    /// The peer is waited for. `Ready` once it is too slow; the task is woken then.
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            let deadline = now + self.left;
            match &mut self.alarm {
                Some(alarm) => alarm.as_mut().reset(deadline),
                None => self.alarm = Some(Box::pin(sleep_until(deadline))),
            }
        }
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// The time `bytes` take at the minimum pace; no pace at all earns nothing.
fn time_for(bytes: u64, limit: PaceLimit) -> Duration {
    let micros = bytes.saturating_mul(1_000_000).checked_div(u64::from(limit.min_bytes_per_second));
    Duration::from_micros(micros.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LIMIT: PaceLimit = PaceLimit { min_bytes_per_second: 1024, window: Duration::from_secs(30) };

    /// Waits up to `seconds` for a peer that sends nothing; true if it was found too slow.
    async fn wait(pace: &mut Pace, seconds: u64) -> bool {
        let waiting = poll_fn(|cx| pace.poll_waiting(cx));
        tokio::time::timeout(Duration::from_secs(seconds), waiting).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_peer_is_found_after_the_window() {
        let mut pace = Pace::new(LIMIT, 0);
        assert!(!wait(&mut pace, 29).await);
        assert!(wait(&mut pace, 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_just_above_the_minimum_is_never_found() {
        let mut pace = Pace::new(LIMIT, 0);
        for _ in 0..200 {
            assert!(!wait(&mut pace, 10).await);
            pace.moved(11 * 1024);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_below_the_minimum_is_found_though_it_always_moves() {
        let mut pace = Pace::new(LIMIT, 0);
        let mut waited = 0;
        while !wait(&mut pace, 1).await {
            pace.moved(512);
            waited += 1;
            assert!(waited < 70, "half the pace spends the window in twice its time");
        }
        assert!(waited > 50, "{waited}");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_is_free_and_a_fast_past_is_no_credit() {
        let mut pace = Pace::new(LIMIT, 0);
        pace.moved(1 << 30);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(!wait(&mut pace, 29).await);
        assert!(wait(&mut pace, 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn coarse_progress_does_not_fail_an_honest_reader() {
        // 2 KiB/s seen in steps of 64 KiB: 32 s apart.
        let mut pace = Pace::new(LIMIT, 128 * 1024);
        for _ in 0..50 {
            assert!(!wait(&mut pace, 32).await);
            pace.moved(64 * 1024);
        }
    }
}
