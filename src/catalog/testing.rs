//! A catalog in a temporary directory, with a clock that tests move.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Catalog, CatalogError, CatalogOptions, Recovery, ReportsOptions};
use crate::journal::JournalOptions;
use crate::model::{Actor, Class, Event};
use crate::store::{BlobStore as _, FsBlobs, FsBlobsOptions, StoreError};
use crate::sys::clock::ManualClock;
use crate::sys::durable::free_space_bytes;

/// A whole second, so that times read well.
pub(crate) const START: i64 = 1_700_000_000;
/// A policy that approves intelligence at once and wants someone else for the platform.
pub(crate) const POLICY: &str = "[approve]\nintelligence = \"auto\"\nplatform = \"other\"\n\
     [[ring]]\nname = \"broad\"\n[[group]]\nname = \"all\"\nmatch = \"any\"\nring = \"broad\"\n";

/// A data directory and its clock; opened and closed as often as a test likes.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) options: CatalogOptions,
}

/// A directory in memory where there is room for one: thousands of fsyncs cost nothing there.
pub(crate) fn memory_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let has_room = free_space_bytes(memory).is_ok_and(|free| free >= 1 << 30);
    let dir = has_room.then(|| tempfile::tempdir_in(memory).ok()).flatten();
    dir.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

impl World {
    pub(crate) fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    /// In memory: for what is not about the disk, and would wait for it a thousand times.
    pub(crate) fn in_memory() -> Self {
        Self::in_dir(memory_dir())
    }

    fn in_dir(dir: tempfile::TempDir) -> Self {
        let options = CatalogOptions {
            journal_dir: dir.path().join("journal"),
            journal: JournalOptions::default(),
            index_dir: dir.path().join("index"),
            is_index_ignored: false,
            index_cache_bytes: 1 << 20,
            inline_max_bytes: 16,
            reports_dir: dir.path().join("reports"),
            reports: ReportsOptions { segment_max_bytes: 1 << 20, keep_for: Duration::from_secs(3_600) },
            follows: None,
        };
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap()));
        Self { dir, clock, options }
    }

    /// Opens it. Waits for an earlier catalog of the same test whose last task is still ending.
    pub(crate) fn try_open(&self) -> Result<(Arc<Catalog>, Recovery), CatalogError> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let store = Arc::new(FsBlobs::open(self.dir.path(), &FsBlobsOptions::default()).unwrap());
            match Catalog::open(&self.options, store, self.clock.clone()) {
                Err(CatalogError::Store(StoreError::IndexLocked { .. })) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                other => return other,
            }
        }
    }

    pub(crate) fn open(&self) -> (Arc<Catalog>, Recovery) {
        self.try_open().unwrap()
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.open().0
    }

    /// Copies the index to `name` beside it; no catalog may be open.
    pub(crate) fn save_index(&self, name: &str) -> PathBuf {
        let copy = self.dir.path().join(name);
        copy_tree(&self.options.index_dir, &copy);
        copy
    }

    /// Puts a copy of the index in its place.
    pub(crate) fn restore_index(&self, copy: &Path) {
        std::fs::remove_dir_all(&self.options.index_dir).unwrap();
        copy_tree(copy, &self.options.index_dir);
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) use super::offers_tests::STAGED;

/// The events from this sequence on, as the journal's files have them.
pub(crate) fn events_of(world: &World, from_seq: u64) -> Vec<Event> {
    let mut files: Vec<_> =
        std::fs::read_dir(&world.options.journal_dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let text: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let records = text.lines().map(|line| serde_json::from_str::<crate::model::EventRecord>(line).unwrap());
    records.filter(|record| record.seq >= from_seq).map(|record| record.event).collect()
}

pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn actor(name: &str) -> Actor {
    parse(name)
}

/// Commits these events as they are.
pub(crate) async fn commit(catalog: &Arc<Catalog>, events: Vec<Event>) -> super::Committed {
    catalog.commit(&actor("tester"), |_, _| Ok::<_, std::convert::Infallible>(events)).await.unwrap()
}

pub(crate) fn product_added(name: &str) -> Event {
    Event::ProductAdded { product: parse(name), class: Class::Intelligence }
}

/// The events of a release with these bodies; each is put into the store first.
pub(crate) async fn release_added(catalog: &Catalog, product: &str, version: &str, bodies: &[&[u8]]) -> Event {
    use crate::model::{ApprovalRule, Artifact, Platform, ReleaseManifest};
    let mut artifacts = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        let mut staged = catalog.store().stage(None).unwrap();
        staged.append(bytes::Bytes::copy_from_slice(body)).await.unwrap();
        let done = staged.finish().await.unwrap();
        artifacts.push(Artifact {
            target: parse(&format!("file-{index}")),
            platform: Platform::any(),
            size: done.size(),
            blake3: *done.blake3(),
            sha256: *done.sha256(),
            media_type: "application/octet-stream".into(),
        });
        let _ = catalog.store().commit(done).unwrap();
    }
    let manifest = ReleaseManifest { product: parse(product), version: parse(version), barrier: false, artifacts };
    let sequence = catalog.snapshot().product(&manifest.product).unwrap().next_sequence();
    Event::ReleaseAdded { release: manifest.id(), sequence, manifest, approval: ApprovalRule::Auto }
}

/// What is counted over the seeds of a simulation.
pub(crate) trait Tallied: Default + Send + std::fmt::Debug {
    fn add(&mut self, other: &Self);
    /// A simulation in which something never happens says nothing about it.
    fn assert_everything_happened(&self);
}

/// A [`Tallied`] with these counts.
macro_rules! tally {
    ($($name:ident),*) => {
        /// How often what happened.
        #[derive(Debug, Clone, Default)]
        pub(super) struct Tally {
            $(pub(super) $name: u64,)*
        }

        impl crate::catalog::testing::Tallied for Tally {
            fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            fn assert_everything_happened(&self) {
                $(assert!(self.$name > 0, "never: {}", stringify!($name));)*
            }
        }
    };
}
pub(crate) use tally;

/// Runs a simulation for seeds from 0 on, `full` of them in the full tier and `smoke` else, on all cores. `RINGFENCE_SEED`
/// takes that one alone; `RINGFENCE_SEEDS=FROM..TO` takes these.
pub(crate) fn over_seeds<T: Tallied>(full: u64, smoke: u64, run: impl Fn(u64) -> T + Sync + std::panic::RefUnwindSafe) {
    let is_full = std::env::var("RINGFENCE_TIER").is_ok_and(|tier| tier == "full");
    let given: Option<u64> = std::env::var("RINGFENCE_SEED").ok().and_then(|text| text.parse().ok());
    let range = std::env::var("RINGFENCE_SEEDS").ok().and_then(|text| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    });
    let seeds = range.unwrap_or_else(|| given.map_or(0..if is_full { full } else { smoke }, |seed| seed..seed + 1));
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    let work = || {
        let mut tally = T::default();
        loop {
            let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if seed >= seeds.end {
                return tally;
            }
            let ran = std::panic::catch_unwind(|| run(seed));
            tally.add(&ran.unwrap_or_else(|panic| {
                eprintln!("repeat with RINGFENCE_SEED={seed}");
                std::panic::resume_unwind(panic)
            }));
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let tally = std::thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut all = T::default();
        for worker in running {
            all.add(&worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    eprintln!("seeds {seeds:?}: {tally:?}");
    if given.is_none() {
        tally.assert_everything_happened();
    }
}
