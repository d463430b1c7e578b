//! A worse file system for tests of this thread: one that stops, is busy, or cannot do what others can.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// What [`step`] is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    MakeDir,
    Rename,
    Exchange,
    Link,
    Remove,
    Stamp,
    Sync,
}

/// What goes wrong.
#[derive(Debug, Default)]
pub(crate) struct Weakness {
    /// After so many operations every further one fails: the process is as good as dead.
    pub(crate) steps_left: Option<u64>,
    /// Names that are open elsewhere, and how many operations will still find them so.
    pub(crate) busy: Vec<(PathBuf, u32)>,
    /// Operations that the file system does not have.
    pub(crate) without: Vec<Operation>,
}

thread_local! {
    static WEAKNESS: RefCell<Weakness> = RefCell::default();
}

/// Runs `body` on a file system with this weakness.
pub(crate) fn with<T>(weakness: Weakness, body: impl FnOnce() -> T) -> T {
    WEAKNESS.set(weakness);
    let result = body();
    WEAKNESS.take();
    result
}

pub(super) fn step(operation: Operation, paths: &[&Path]) -> io::Result<()> {
    WEAKNESS.with_borrow_mut(|weakness| {
        if let Some(left) = &mut weakness.steps_left {
            if *left == 0 {
                return Err(io::Error::other("stopped by the test"));
            }
            *left -= 1;
        }
        if weakness.without.contains(&operation) {
            return Err(Errno::INVAL.into());
        }
        if matches!(operation, Operation::Rename | Operation::Exchange | Operation::Remove) {
            for (busy, times_left) in &mut weakness.busy {
                if *times_left > 0 && paths.contains(&busy.as_path()) {
                    *times_left -= 1;
                    return Err(Errno::BUSY.into());
                }
            }
        }
        Ok(())
    })
}
