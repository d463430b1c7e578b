//! Fault points: places where a test may let the process die, to prove that dying there loses nothing.
//!
//! `RINGFENCE_FAULT=publish.linked` aborts the process when it first passes the point of that name,
//! `RINGFENCE_FAULT=publish.linked:3` the third time. A value whose count is not a number above 0 names no point and
//! does nothing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether the environment has been read and named no fault: the only thing that a running server ever looks at.
static QUIET: AtomicBool = AtomicBool::new(false);
static FAULT: OnceLock<Option<Fault>> = OnceLock::new();

struct Fault {
    name: String,
    passes_left: AtomicU64,
}

impl Fault {
    fn parse(text: &str) -> Option<Self> {
        let (name, count) = match text.split_once(':') {
            Some((name, count)) => (name, count.parse().ok().filter(|count| *count > 0)?),
            None => (text, 1),
        };
        (!name.is_empty()).then(|| Self { name: name.to_owned(), passes_left: AtomicU64::new(count) })
    }

    /// Whether this pass through `name` is the one to die at; true once at most.
    fn strikes(&self, name: &str) -> bool {
        self.name == name && self.passes_left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// Aborts the process here, without unwinding or flushing anything, if the environment says so. Otherwise one relaxed
/// atomic load.
#[inline]
pub fn point(name: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        consult(name);
    }
}

#[cold]
fn consult(name: &str) {
    let fault = FAULT.get_or_init(|| Fault::parse(&std::env::var("RINGFENCE_FAULT").ok()?));
    match fault {
        Some(fault) if fault.strikes(name) => std::process::abort(),
        Some(_) => {}
        None => QUIET.store(true, Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_once_at_its_pass() {
        let fault = Fault::parse("a.b:3").unwrap();
        let strikes: Vec<bool> = ["a.b", "other", "a.b", "a.b", "a.b"].map(|name| fault.strikes(name)).into();
        assert_eq!(strikes, [false, false, false, true, false]);
        assert!(Fault::parse("a.b").unwrap().strikes("a.b"));
        for wrong in ["", ":2", "a:", "a:0", "a:x"] {
            assert!(Fault::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    #[ignore = "run by the test below, in a process of its own"]
    fn passes_two_points() {
        point("test.first");
        point("test.second");
    }

    #[test]
    fn the_named_point_ends_the_process() {
        let run = |fault: &str| {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "sys::fault::tests::passes_two_points", "--ignored"])
                .env("RINGFENCE_FAULT", fault)
                .output()
                .unwrap()
                .status
        };
        assert!(run("test.elsewhere").success());
        assert!(!run("test.second").success());
        assert!(run("test.second:2").success());
    }
}
