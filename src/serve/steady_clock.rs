//! A clock that wakes tasks at moments which do not depend on what the tasks did before.
//!
//! A timer of the runtime rounds to whole milliseconds counted from when a thread goes to sleep, which is when the work
//! before is done: over many requests the time of that work shows in the time of the wake-up (measured: 17 µs between a
//! withheld and an unknown blob, t = 6.6 over 100,000 pairs). Here a thread of its own counts ticks from a fixed
//! beginning, and a task waits for a tick that its request's arrival alone decides.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// The distance of two ticks.
const TICK: Duration = Duration::from_millis(1);

/// The clock; its thread ends with it.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    shared: Arc<Shared>,
    /// Without a thread there is the runtime's timer.
    has_thread: bool,
}

#[derive(Debug)]
struct Shared {
    beginning: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<u64, Vec<oneshot::Sender<()>>>,
    is_over: bool,
}

impl SteadyClock {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { beginning: Instant::now(), state, changed });
        let for_thread = shared.clone();
        let started = std::thread::Builder::new().name("steady-clock".into()).spawn(move || for_thread.run());
        if let Err(error) = &started {
            tracing::warn!(%error, "refusals are timed by the runtime's timer: no thread can be started");
        }
        Self { shared, has_thread: started.is_ok() }
    }

    /// Waits until the first tick that is not before `moment`.
    pub(crate) async fn until(&self, moment: Instant) {
        if !self.has_thread {
            return tokio::time::sleep_until(moment.into()).await;
        }
        let (wake, woken) = oneshot::channel();
        let tick = self.shared.tick_from(moment);
        {
            let mut state = self.shared.lock();
            let is_first = state.waiting.is_empty();
            state.waiting.entry(tick).or_default().push(wake);
            if is_first {
                self.shared.changed.notify_one();
            }
        }
        // An error means that the clock is gone, and with it whoever would wait.
        let _ = woken.await;
    }
}

impl Drop for SteadyClock {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick_from(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.beginning);
        u64::try_from(since.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX)
    }

    /// The thread: sleeps without anybody waiting, wakes whoever is due. Those who come later never wait for an earlier
    /// tick by more than the requests of one moment differ, so a sleep need not be cut short.
    fn run(&self) {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return;
            }
            let Some(next) = state.waiting.keys().next().copied() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let due = self.beginning + Duration::from_nanos(next.saturating_mul(TICK.as_nanos() as u64));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            state = self.lock();
            let later = state.waiting.split_off(&(next + 1));
            for wake in std::mem::replace(&mut state.waiting, later).into_values().flatten() {
                // Whoever waited may be gone.
                let _ = wake.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_is_woken_early_and_all_are_woken() {
        let clock = Arc::new(SteadyClock::start());
        let waits = (0..200u64).map(|number| {
            let clock = clock.clone();
            tokio::spawn(async move {
                let moment = Instant::now() + Duration::from_micros(number * 137);
                clock.until(moment).await;
                (moment, Instant::now())
            })
        });
        for wait in waits.collect::<Vec<_>>() {
            let (moment, woken) = wait.await.unwrap();
            assert!(woken >= moment, "{moment:?} {woken:?}");
            assert!(woken - moment < Duration::from_secs(5), "{:?}", woken - moment);
        }
    }

    #[tokio::test]
    async fn a_moment_that_is_past_does_not_wait() {
        let clock = SteadyClock::start();
        let begun = Instant::now();
        clock.until(begun).await;
        clock.until(clock.shared.beginning).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
