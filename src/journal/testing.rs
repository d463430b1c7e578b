//! What the journal's tests share: events, journals to write and break, and a disk that fails when told to.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jiff::Timestamp;

use crate::model::{Actor, Class, Event, EventRecord};

use super::disk::{Disk, RealDisk};
use super::{Journal, JournalError, JournalOptions, Opened};

pub(super) fn actor() -> Actor {
    "alice@corp".parse().unwrap()
}

pub(super) fn event(number: u64) -> Event {
    Event::ProductAdded { product: format!("product-{number}").parse().unwrap(), class: Class::Intelligence }
}

pub(super) fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn small_segments() -> JournalOptions {
    JournalOptions { segment_max_bytes: 2000 }
}

/// Opens the whole journal and returns its records.
pub(super) fn open(dir: &Path) -> Result<(Opened, Vec<EventRecord>), JournalError> {
    let mut records = Vec::new();
    let opened = Journal::open(dir, small_segments(), None, &mut |record| {
        records.push(record);
        Ok(())
    })?;
    Ok((opened, records))
}

/// Appends the events `numbers` one by one.
pub(super) fn append(journal: &Journal, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        journal.enqueue(time(number as i64), &actor(), vec![event(number)]).unwrap();
        journal.synced_blocking(number).unwrap();
    }
}

/// The segments of a journal, in order.
pub(super) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    paths
}

/// A disk whose space, writes and fsyncs can be made to fail, and fsyncs be held up.
#[derive(Default)]
pub(super) struct FaultyDisk {
    pub(super) full: AtomicBool,
    pub(super) broken_write: AtomicBool,
    pub(super) broken_sync: AtomicBool,
    pub(super) panics: AtomicBool,
    pub(super) syncs: AtomicU64,
    is_held: AtomicBool,
}

/// While it lives, no fsync ends: what is queued meanwhile waits for the next one.
pub(super) struct Held(Arc<FaultyDisk>);

impl FaultyDisk {
    pub(super) fn hold(self: &Arc<Self>) -> Held {
        self.is_held.store(true, Ordering::SeqCst);
        Held(Arc::clone(self))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.is_held.store(false, Ordering::SeqCst);
    }
}

/// The disk as the journal wants it and as the test steers it.
pub(super) struct Shared(pub(super) Arc<FaultyDisk>);

impl Disk for Shared {
    fn reserve(&self, file: &File, from: u64, to: u64) -> io::Result<()> {
        if self.0.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        RealDisk.reserve(file, from, to)
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.0.broken_write.load(Ordering::SeqCst) {
            // A device that breaks leaves a part of the line.
            RealDisk.write(file, &bytes[..bytes.len() / 2], offset)?;
            return Err(io::Error::other("injected write failure"));
        }
        RealDisk.write(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        assert!(!self.0.panics.load(Ordering::SeqCst), "injected panic");
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        while self.0.is_held.load(Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        if self.0.broken_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected fsync failure"));
        }
        RealDisk.sync(file)
    }
}
