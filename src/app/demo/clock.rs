//! The demo's clock: set to moments of the past week while its history is made, then the wall clock.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::sys::clock::{Clock, SystemClock};

/// A clock that can be set back while nobody but the demo uses it.
#[derive(Debug, Default)]
pub(super) struct DemoClock(Mutex<Option<Timestamp>>);

impl DemoClock {
    /// Stops the clock at `at`; `None` lets it show the wall clock.
    pub(super) fn set(&self, at: Option<Timestamp>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        let set = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        set.unwrap_or_else(|| SystemClock.now())
    }
}
