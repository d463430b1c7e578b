//! Waiting for what comes in its own time.

use std::time::{Duration, Instant};

/// How long something may take on a machine that does other things, too.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until it is so.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "it never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
