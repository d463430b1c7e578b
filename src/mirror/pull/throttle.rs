//! A limit on bytes in a second that all transfers share: what devices wait for goes before what is only being filled.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Who a transfer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nobody yet.
    Background,
    /// A device that waits.
    OnDemand,
}

/// How much may come at once after a pause, as time.
const BURST: Duration = Duration::from_millis(100);
/// How often a background transfer looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The limit. Bytes are paid for after they came in; who owes waits before it reads on, so that the sender is held back.
#[derive(Debug)]
pub(super) struct Throttle {
    bytes_per_second: Option<f64>,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// Below zero while bytes are owed.
    balance: f64,
    at: Instant,
    /// On-demand transfers that wait.
    urgent: usize,
}

/// Counts a waiting on-demand transfer for as long as it waits, also where its future is dropped.
struct Waiting<'a>(&'a Throttle);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.account().urgent -= 1;
    }
}

impl Throttle {
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        let account = Account { balance: 0.0, at: Instant::now(), urgent: 0 };
        Self { bytes_per_second: bytes_per_second.map(|rate| rate.max(1) as f64), account: Mutex::new(account) }
    }

    fn account(&self) -> std::sync::MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pays for bytes that came in; returns when more may be read.
    pub(super) async fn pay(&self, bytes: usize, urgency: Urgency) {
        let Some(rate) = self.bytes_per_second else { return };
        let owed = self.charge(bytes, rate);
        match urgency {
            Urgency::OnDemand => {
                if let Some(wait) = owed {
                    self.account().urgent += 1;
                    let _waiting = Waiting(self);
                    tokio::time::sleep(wait).await;
                }
            }
            Urgency::Background => {
                let mut wait = owed;
                while let Some(time) = wait {
                    tokio::time::sleep(time).await;
                    wait = self.still_owed(rate);
                }
            }
        }
    }

    /// Takes the bytes from the balance; how long it takes until nothing is owed.
    fn charge(&self, bytes: usize, rate: f64) -> Option<Duration> {
        let mut account = self.account();
        account.refill(rate);
        account.balance -= bytes as f64;
        (account.balance < 0.0).then(|| Duration::from_secs_f64(-account.balance / rate))
    }

    fn still_owed(&self, rate: f64) -> Option<Duration> {
        let mut account = self.account();
        account.refill(rate);
        let owed = (-account.balance / rate).max(0.0);
        (account.urgent > 0 || owed > 0.0).then(|| Duration::from_secs_f64(owed).max(LOOK_EVERY))
    }
}

impl Account {
    fn refill(&mut self, rate: f64) {
        let now = Instant::now();
        let gained = now.duration_since(self.at).as_secs_f64() * rate;
        self.balance = (self.balance + gained).min(rate * BURST.as_secs_f64());
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const RATE: u64 = 1_000_000;

    async fn transfer(throttle: Arc<Throttle>, bytes: usize, urgency: Urgency) -> Instant {
        for _ in 0..bytes / 16_384 {
            throttle.pay(16_384, urgency).await;
        }
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn several_transfers_share_the_limit_within_a_tenth() {
        let (throttle, begun) = (Arc::new(Throttle::new(Some(RATE))), Instant::now());
        let transfers: Vec<_> =
            (0..4).map(|_| tokio::spawn(transfer(throttle.clone(), 2_500_000, Urgency::Background))).collect();
        let mut ended = begun;
        for transfer in transfers {
            ended = ended.max(transfer.await.unwrap());
        }
        let took = ended.duration_since(begun).as_secs_f64();
        assert!((9.0..=11.0).contains(&took), "10 MB at 1 MB/s took {took} s");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_device_waits_for_goes_first() {
        let (throttle, begun) = (Arc::new(Throttle::new(Some(RATE))), Instant::now());
        let background = tokio::spawn(transfer(throttle.clone(), 4_000_000, Urgency::Background));
        let urgent = tokio::spawn(transfer(throttle.clone(), 4_000_000, Urgency::OnDemand));
        let urgent = urgent.await.unwrap().duration_since(begun).as_secs_f64();
        let background = background.await.unwrap().duration_since(begun).as_secs_f64();
        assert!(urgent < 4.8, "the urgent one took {urgent} s");
        assert!((7.2..=8.8).contains(&background), "both took {background} s");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_waits() {
        let begun = Instant::now();
        transfer(Arc::new(Throttle::new(None)), 1 << 30, Urgency::Background).await;
        assert_eq!(Instant::now(), begun);
    }
}
