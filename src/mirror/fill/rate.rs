//! How fast bytes come in, smoothed.

use std::time::Duration;

use tokio::time::Instant;

/// What is older counts for less than a half.
const SMOOTH_OVER: Duration = Duration::from_secs(10);

/// A rate over a counter that only grows.
#[derive(Debug)]
pub(super) struct Rate {
    last: Option<(Instant, u64)>,
    bytes_per_second: f64,
}

impl Rate {
    pub(super) fn new() -> Self {
        Self { last: None, bytes_per_second: 0.0 }
    }

    /// Takes the counter now; the rate in bytes a second.
    pub(super) fn look(&mut self, bytes: u64) -> u64 {
        let now = Instant::now();
        if let Some((at, before)) = self.last {
            let passed = now.duration_since(at).as_secs_f64();
            if passed <= 0.0 {
                return self.bytes_per_second as u64;
            }
            let fresh = bytes.saturating_sub(before) as f64 / passed;
            let weight = 1.0 - (-passed / SMOOTH_OVER.as_secs_f64()).exp();
            self.bytes_per_second += weight * (fresh - self.bytes_per_second);
        }
        self.last = Some((now, bytes));
        self.bytes_per_second.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_steady_flow_shows_and_its_end_too() {
        let (mut rate, mut bytes) = (Rate::new(), 0);
        assert_eq!(rate.look(0), 0);
        for _ in 0..60 {
            tokio::time::advance(Duration::from_secs(1)).await;
            bytes += 1_000;
            rate.look(bytes);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!((990..=1_000).contains(&rate.look(bytes + 1_000)));
        tokio::time::advance(Duration::from_secs(120)).await;
        assert_eq!(rate.look(bytes + 1_000), 0);
    }
}
