//! The machine's threads, lent to the simulator.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::policy::simulate::{CheckIn, Crew};

/// Fewer check-ins than this are not worth a thread.
const WORTH_IT: usize = 4_096;

/// As many threads as the machine has cores.
pub(super) struct Threads;

impl Crew for Threads {
    fn each(&self, items: &mut [CheckIn], work: &(dyn Fn(&mut [CheckIn]) + Sync)) {
        if items.len() < WORTH_IT {
            return work(items);
        }
        let part = items.len().div_ceil(cores());
        std::thread::scope(|scope| {
            for piece in items.chunks_mut(part) {
                scope.spawn(move || work(piece));
            }
        });
    }
}

/// Does `count` pieces of work on all cores; answers in their order.
pub(super) fn on_all<T: Send>(count: u64, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let (next, done) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        return;
                    }
                    let answer = work(place);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((place, answer));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, answer)| answer).collect()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
