//! Opening a catalog: load what the index stands at, replay the journal from there, and write the index anew where it
//! does not agree.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::census::CensusCache;
use super::commit::{Catalog, Writer};
use super::error::CatalogError;
use super::health::Tallies;
use super::offers::LostOffers;
use super::projection::Projection;
use super::reports::{Reports, ReportsOptions};
use super::token_uses::TokenUses;
use crate::journal::{Journal, JournalError, JournalOptions, TornTail};
use crate::model::{EventRecord, Snapshot};
use crate::store::{BlobIndex, FsBlobs, Index, IndexOrigin};
use crate::sys::clock::Clock;

/// How to open a catalog.
#[derive(Debug, Clone)]
pub struct CatalogOptions {
    /// The journal's directory.
    pub journal_dir: PathBuf,
    /// The journal's options.
    pub journal: JournalOptions,
    /// The index's directory.
    pub index_dir: PathBuf,
    /// Whether the index is written anew from the whole journal, whatever it holds.
    pub is_index_ignored: bool,
    /// Memory the index may use as its cache.
    pub index_cache_bytes: u64,
    /// Bodies up to this length are answered from the index.
    pub inline_max_bytes: u64,
    /// The directory of the device reports.
    pub reports_dir: PathBuf,
    /// What is kept of them.
    pub reports: ReportsOptions,
    /// The address of the server that this one follows, if it is a mirror: see [`Catalog::follow_only`].
    pub follows: Option<String>,
}

/// What opening found and did.
#[derive(Debug)]
pub struct Recovery {
    /// A line that a crash cut off, set aside.
    pub torn: Option<TornTail>,
    /// Whether the index was there, new, or set aside because it could not be read.
    pub index: IndexOrigin,
    /// Why the index was written anew, if it was.
    pub rewritten: Option<String>,
    /// Events replayed from the journal.
    pub replayed: u64,
    /// Report lines read to count the devices' votes again.
    pub recounted: u64,
    /// How long opening took.
    pub took: Duration,
}

impl Catalog {
    /// Opens the journal and the index. The caller holds the data directory's lock.
    pub fn open(
        options: &CatalogOptions,
        store: Arc<FsBlobs>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, Recovery), CatalogError> {
        let started = Instant::now();
        let (index, origin) = Index::open(&options.index_dir, options.index_cache_bytes)?;
        let projection = Projection::new(index.tree("catalog")?);
        let (indexed, mut rewritten) = match projection.load() {
            _ if options.is_index_ignored => (None, Some("that was asked for".to_owned())),
            Ok(Some(snapshot)) if snapshot.seq() > 0 => (Some(snapshot), None),
            // One from before the first event holds nothing to go on from.
            Ok(_) => (None, Some("it was empty".to_owned())),
            Err(error) => (None, Some(error.to_string())),
        };
        let replay = replay(options, indexed)?;
        let blob_index = BlobIndex::open(&index, usize::try_from(options.inline_max_bytes).unwrap_or(usize::MAX))?;
        // An index that lost anything may have lost any of it.
        let reports = Reports::open(&options.reports_dir, options.reports, &index, rewritten.is_some())?;
        let token_uses = TokenUses::load(index.tree("token-uses")?)?;
        let snapshot = replay.snapshot;
        let newest = snapshot.clone();
        let catalog = Self {
            journal: replay.journal,
            clock,
            store,
            index,
            blob_index,
            projection,
            reports,
            tallies: Tallies::default(),
            lost_offers: LostOffers::default(),
            census: CensusCache::default(),
            token_uses,
            read_only_of: options.follows.clone().map_or_else(OnceLock::new, OnceLock::from),
            stirred: tokio::sync::Notify::new(),
            advanced: tokio::sync::watch::Sender::new(snapshot.seq()),
            published: ArcSwap::from_pointee(snapshot),
            writer: Mutex::new(Writer { newest, waiting: VecDeque::new() }),
            finishing: Mutex::new(()),
        };
        if rewritten.is_some() && catalog.snapshot().seq() > 0 {
            catalog.rebuild_index()?;
        } else {
            rewritten = None;
            catalog.index_blobs(&replay.records);
            catalog.projection.advance(&catalog.snapshot(), &replay.records);
        }
        let recounted = catalog.count_votes()?;
        let replayed = replay.replayed;
        let recovery =
            Recovery { torn: replay.torn, index: origin, rewritten, replayed, recounted, took: started.elapsed() };
        Ok((Arc::new(catalog), recovery))
    }

    /// Writes the whole index anew from the present state and the blob files. Serving goes on meanwhile. Returns how
    /// many blob records it wrote.
    pub fn rebuild_index(&self) -> Result<usize, CatalogError> {
        let _in_order = self.finishing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let snapshot = self.snapshot();
        let (records, blobs) = std::thread::scope(|scope| {
            let records = scope.spawn(|| self.projection.rewrite(&snapshot));
            let blobs = self.rebuild_blob_index(&snapshot);
            (records.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), blobs)
        });
        records?;
        self.reports.rebuild()?;
        blobs
    }
}

/// A journal replayed onto what the index held.
struct Replay {
    journal: Journal,
    torn: Option<TornTail>,
    snapshot: Snapshot,
    /// The records the index does not have yet; none where it is to be written anew.
    records: Vec<Arc<EventRecord>>,
    replayed: u64,
}

fn replay(options: &CatalogOptions, indexed: Option<Snapshot>) -> Result<Replay, CatalogError> {
    let Some(indexed) = indexed else { return replay_all(options) };
    match replay_after(&options.journal_dir, &options.journal, indexed) {
        Err(CatalogError::Journal(JournalError::SnapshotMismatch { seq, found: None, .. })) => {
            Err(CatalogError::JournalCutShort { seq })
        }
        // The index is written behind the fsynced journal, so no crash can bring this about.
        Err(CatalogError::Journal(JournalError::SnapshotMismatch { seq, found: Some(_), .. })) => {
            Err(CatalogError::JournalRewritten { seq })
        }
        other => other,
    }
}

fn replay_all(options: &CatalogOptions) -> Result<Replay, CatalogError> {
    replay_after(&options.journal_dir, &options.journal, Snapshot::default())
}

fn replay_after(dir: &Path, options: &JournalOptions, mut snapshot: Snapshot) -> Result<Replay, CatalogError> {
    let from = (snapshot.seq() > 0).then(|| (snapshot.seq(), snapshot.head()));
    // Kept only to advance the index; a replay of everything writes it anew instead.
    let mut records = Vec::new();
    let mut misfit = None;
    let mut replayed = 0;
    let opened = Journal::open(dir, options.clone(), from, &mut |record| {
        replayed += 1;
        if let Err(error) = snapshot.apply(&record) {
            let text = error.to_string();
            misfit = Some(error);
            return Err(text);
        }
        if from.is_some() {
            records.push(Arc::new(record));
        }
        Ok(())
    });
    if let Some(error) = misfit {
        return Err(error.into());
    }
    let opened = opened?;
    Ok(Replay { journal: opened.journal, torn: opened.torn, snapshot, records, replayed })
}
