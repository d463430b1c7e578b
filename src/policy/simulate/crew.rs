//! Who works on many check-ins at a time.

/// A device at the server: what is asked, and the place for the answer.
#[derive(Debug, Clone, Copy)]
pub struct CheckIn {
    pub(super) device: u32,
    /// Seconds since the publication.
    pub(super) at_s: u64,
    pub(super) answer: Answer,
}

/// What a check-in comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Not the release, until something happens.
    Waits,
    /// Not the release before this moment, in seconds since the publication.
    NotBefore(u64),
    /// The release.
    Offered,
    /// The device's bucket, where that was asked.
    Bucket(u16),
}

/// Divides work on check-ins among whatever threads there are. Every item is worked on exactly once; the order does not
/// matter, for none looks at another.
pub trait Crew: Sync {
    /// Does the work on all items, in pieces, and returns when all are done.
    fn each(&self, items: &mut [CheckIn], work: &(dyn Fn(&mut [CheckIn]) + Sync));
}

/// The caller's own thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Crew for Alone {
    fn each(&self, items: &mut [CheckIn], work: &(dyn Fn(&mut [CheckIn]) + Sync)) {
        work(items);
    }
}
