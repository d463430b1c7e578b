//! A clock that wakes tasks at moments which do not depend on what the tasks did before.
//!
//! A timer of the runtime rounds to whole milliseconds counted from when a thread goes to sleep, which is when the work
//! before is done: over many requests the time of that work shows in the time of the wake-up (measured: 17 µs between a
//! withheld and an unknown blob, t = 6.6 over 100,000 pairs). Here a thread of its own counts ticks from a fixed
//! beginning, and a task waits for a tick that its request's arrival alone decides, and for a random part of a tick more.
//!
//! The random part is there for what is left (under 2 µs: the work before still leaves caches and queues behind it). It
//! hides nothing from who asks often enough, since it averages out; it makes that some fifty times as often (measured:
//! t = 0.8 over 100,000 pairs, after 5.2).

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::sys::random::random_bytes;

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

#[derive(Debug)]
struct State {
    waiting: BTreeMap<Instant, Vec<oneshot::Sender<()>>>,
    chance: Option<Chance>,
    is_over: bool,
}

/// Random parts of a tick. Whoever is refused sees them roughly, so they come from a stream that cannot be guessed from
/// its past: a generator that is merely fast could be taken out of the times again.
#[derive(Debug)]
struct Chance(blake3::OutputReader);

impl SteadyClock {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let chance = random_bytes().map(Chance::from_seed);
        if let Err(error) = &chance {
            tracing::warn!(%error, "refusals are given at whole ticks: the kernel gives no random bytes");
        }
        let state = State { waiting: BTreeMap::new(), chance: chance.ok(), is_over: false };
        let (beginning, state, changed) = (Instant::now(), Mutex::new(state), Condvar::new());
        let shared = Arc::new(Shared { beginning, state, changed });
        let for_thread = shared.clone();
        let started = std::thread::Builder::new().name("steady-clock".into()).spawn(move || for_thread.run());
        if let Err(error) = &started {
            tracing::warn!(%error, "refusals are timed by the runtime's timer: no thread can be started");
        }
        Self { shared, has_thread: started.is_ok() }
    }

    /// Waits until the first tick that is not before `moment`, and a random part of a tick longer.
    pub(crate) async fn until(&self, moment: Instant) {
        if !self.has_thread {
            return tokio::time::sleep_until(moment.into()).await;
        }
        let (wake, woken) = oneshot::channel();
        self.shared.add(moment, wake);
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

    fn add(&self, moment: Instant, wake: oneshot::Sender<()>) {
        let tick = self.tick_from(moment);
        let mut state = self.lock();
        let due = tick + state.chance.as_mut().map_or(Duration::ZERO, Chance::part_of_a_tick);
        // The thread sleeps until the first of them is due: a new first one must cut that short.
        let is_first = state.waiting.first_key_value().is_none_or(|(first, _)| due < *first);
        state.waiting.entry(due).or_default().push(wake);
        drop(state);
        if is_first {
            self.changed.notify_one();
        }
    }

    fn tick_from(&self, moment: Instant) -> Instant {
        let past_tick = moment.saturating_duration_since(self.beginning).as_nanos() % TICK.as_nanos();
        if past_tick == 0 { moment } else { moment + TICK - Duration::from_nanos(past_tick as u64) }
    }

    /// The thread: sleeps until somebody is due or joins, and wakes whoever is due.
    fn run(&self) {
        let mut state = self.lock();
        while !state.is_over {
            let now = Instant::now();
            while let Some(entry) = state.waiting.first_entry()
                && *entry.key() <= now
            {
                for wake in entry.remove() {
                    // Whoever waited may be gone.
                    let _ = wake.send(());
                }
            }
            state = match state.waiting.first_key_value() {
                Some((due, _)) => {
                    let left = due.saturating_duration_since(now);
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Chance {
    fn from_seed(seed: [u8; 32]) -> Self {
        Self(blake3::Hasher::new_keyed(&seed).finalize_xof())
    }

    fn part_of_a_tick(&mut self) -> Duration {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        let nanos = (u64::from(u32::from_le_bytes(bytes)) * TICK.as_nanos() as u64) >> 32;
        Duration::from_nanos(nanos)
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
            assert!(woken - moment < Duration::from_secs(60), "{:?}", woken - moment);
        }
    }

    #[tokio::test]
    async fn a_moment_that_is_past_does_not_wait() {
        let clock = SteadyClock::start();
        let begun = Instant::now();
        clock.until(begun).await;
        clock.until(clock.shared.beginning).await;
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn who_is_due_earlier_cuts_the_sleep_short() {
        let clock = Arc::new(SteadyClock::start());
        let far = tokio::spawn({
            let clock = clock.clone();
            async move { clock.until(Instant::now() + Duration::from_secs(3600)).await }
        });
        // The clock's thread sleeps for an hour by now.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let near = clock.until(Instant::now() + Duration::from_millis(5));
        tokio::time::timeout(Duration::from_secs(30), near).await.expect("the sleep was cut short");
        assert!(!far.is_finished());
        far.abort();
    }

    #[test]
    fn a_tick_is_found_and_a_whole_one_kept() {
        let clock = SteadyClock::start();
        let beginning = clock.shared.beginning;
        let tick = |micros| clock.shared.tick_from(beginning + Duration::from_micros(micros)) - beginning;
        assert_eq!([0, 1, 999, 1000, 1001].map(|micros| tick(micros).as_micros()), [0, 1000, 1000, 1000, 2000]);
    }

    #[test]
    fn the_random_part_is_below_a_tick_spread_evenly_and_another_for_each_clock() {
        let draws = |seed| {
            let mut chance = Chance::from_seed([seed; 32]);
            std::iter::repeat_with(|| chance.part_of_a_tick()).take(10_000).collect::<Vec<_>>()
        };
        let parts = draws(1);
        assert_ne!(parts, draws(2));
        assert!(parts.iter().all(|part| *part < TICK));
        for tenth in 0..10 {
            let count = parts.iter().filter(|part| part.as_micros() / 100 == tenth).count();
            // A thousand expected; 150 is five standard deviations.
            assert!(count.abs_diff(1000) < 150, "{count} in tenth {tenth}");
        }
    }

    /// When somebody wakes is the scheduler's to say in the end, and where it has others to run it wakes all at ticks of its
    /// own. So this is about when they are due, and that nobody wakes before.
    #[tokio::test]
    async fn waking_happens_within_ticks_and_not_at_their_beginnings() {
        let clock = SteadyClock::start();
        for _ in 0..10 {
            let (wake, woken) = oneshot::channel();
            clock.shared.add(Instant::now() + Duration::from_millis(2), wake);
            // None where the machine stood still until it was over.
            let due = clock.shared.lock().waiting.keys().next().copied();
            woken.await.unwrap();
            assert!(due.is_none_or(|due| due <= Instant::now()));
        }
        let moment = Instant::now() + Duration::from_secs(3600);
        let (wakes, _waiting): (Vec<_>, Vec<_>) = (0..600).map(|_| oneshot::channel()).unzip();
        wakes.into_iter().for_each(|wake| clock.shared.add(moment, wake));
        let tick = clock.shared.tick_from(moment);
        let state = clock.shared.lock();
        let parts: Vec<_> = state.waiting.iter().map(|(due, wakes)| (*due - tick, wakes.len())).collect();
        assert!(parts.iter().all(|(part, _)| *part < TICK));
        let second_half: usize = parts.iter().filter(|(part, _)| *part >= TICK / 2).map(|(_, count)| count).sum();
        // Three hundred expected; a hundred are eight standard deviations.
        assert!(second_half.abs_diff(300) < 100, "{second_half} of 600: {parts:?}");
    }
}
