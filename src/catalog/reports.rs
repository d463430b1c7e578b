//! Device reports: stored once each, durable before they are acknowledged, kept for a while.
//!
//! The lines under `reports/` are the truth; the index remembers which ids it has seen, each device's last confirmed
//! version and where the lines on each rollout begin, and is caught up from the lines at start.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::commit::Catalog;
use super::error::CatalogError;
use super::offers::offer_of;
use super::record::{decode, encode};
use crate::journal::{JournalOptions, lines::Lines};
use crate::model::{DeviceId, ProductName, Report, ReportEvent, Version};
use crate::policy::health::Counted;
use crate::store::Index;

/// Where the index stands in the lines.
const POSITION_KEY: &[u8] = b"m";
/// Reports taken while the index cannot be written: bounds their memory to some 30 MiB.
const UNINDEXED_MAX: usize = 200_000;

/// How reports are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportsOptions {
    /// Bytes after which a new segment begins.
    pub segment_max_bytes: u64,
    /// How long reports are kept; a report that comes again later than that counts as a new one.
    pub keep_for: Duration,
}

/// What became of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportOutcome {
    /// New ones.
    pub recorded: usize,
    /// Those whose id was known already.
    pub repeated: usize,
}

/// What a device last said of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// The version that its newest conclusive report names: one that is installed, healthy, failed or rolled back.
    pub version: Version,
    /// What that report said.
    pub event: ReportEvent,
    /// When it was received.
    pub received_at: Timestamp,
}

/// Which line a report id stands on, and when it was received.
#[derive(Serialize, Deserialize)]
struct Seen {
    position: u64,
    received_at: Timestamp,
}

pub(super) struct Reports {
    pub(super) lines: Lines,
    pub(super) tree: sled::Tree,
    keep_for: Duration,
    /// Between the look-up of an id and its line no other report comes.
    recording: Mutex<Unindexed>,
    /// Up to here, all lines were looked through for where those on each rollout begin; 0 where they were not.
    scanned_to: AtomicU64,
}

/// Ids that the index could not take: sled writes nothing more after an error, such as a full disk, until it is opened
/// again. The next start reads them from the lines.
#[derive(Default)]
struct Unindexed {
    is_behind: bool,
    positions: HashMap<Vec<u8>, u64>,
}

impl Reports {
    /// Opens the lines and brings the index to their end; from their beginning where `is_index_ignored`, or where the
    /// index cannot be read.
    pub(super) fn open(
        dir: &Path,
        options: ReportsOptions,
        index: &Index,
        is_index_ignored: bool,
    ) -> Result<Self, CatalogError> {
        let segments = JournalOptions { segment_max_bytes: options.segment_max_bytes };
        let opened = Lines::open(dir, segments)?;
        if let Some(torn) = &opened.torn {
            tracing::warn!(segment = %torn.segment.display(), bytes = torn.bytes, "a report that was cut off by a crash is dropped; it was never acknowledged");
        }
        let tree = index.tree("reports")?;
        let (lines, keep_for, recording) = (opened.lines, options.keep_for, Mutex::default());
        let reports = Self { lines, tree, keep_for, recording, scanned_to: AtomicU64::new(0) };
        let position = if is_index_ignored { None } else { reports.position() };
        reports.catch_up(position)?;
        Ok(reports)
    }

    /// Writes the index anew from the lines. Reports wait meanwhile.
    pub(super) fn rebuild(&self) -> Result<(), CatalogError> {
        let mut unindexed = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        // Lines that are only queued cannot be read yet.
        let newest = self.position().into_iter().chain(unindexed.positions.values().copied()).max();
        if let Some(position) = newest {
            self.lines.synced_blocking(position)?;
        }
        // Where it can still be read. Of rollouts that nobody was offered yet no line tells.
        let begins = self.begins().unwrap_or_default();
        self.catch_up(None)?;
        for (rollout, after) in begins {
            self.note_begin_where_missing(rollout, after)?;
        }
        *unindexed = Unindexed::default();
        Ok(())
    }

    /// Where the index stands, if that can be told.
    fn position(&self) -> Option<u64> {
        let bytes = self.tree.get(POSITION_KEY).ok()??;
        decode(&bytes).ok()
    }

    /// Brings the index to the end of the lines, from `position` or from their beginning.
    fn catch_up(&self, position: Option<u64>) -> Result<(), CatalogError> {
        // An index ahead of the lines belongs to other lines: begin again.
        let after = position.filter(|position| *position <= self.lines.head()).unwrap_or(0);
        if after == 0 {
            self.tree.clear()?;
        }
        let mut begun = BTreeSet::new();
        let last = self.lines.iterate(after, &mut |position, line| {
            let report: Report = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            // Offers have no id that could come again.
            if let Some(exposed) = offer_of(&report, line) {
                if begun.insert(exposed.rollout) {
                    let noted = self.note_begin_where_missing(exposed.rollout, position.saturating_sub(1));
                    noted.map_err(|error| error.to_string())?;
                }
                return Ok(());
            }
            self.index(position, &report).map_err(|error| error.to_string())
        })?;
        self.tree.insert(POSITION_KEY, encode(&last)?)?;
        if after == 0 {
            self.scanned_to.store(last, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Lines on a rollout for which no beginning is noted can only come after this position, at the start.
    pub(super) fn scanned_to(&self) -> u64 {
        self.scanned_to.load(Ordering::Relaxed)
    }

    /// Queues those that are new, and hands each of them to `count` in the order of their lines. Returns what became of
    /// them and the position to wait for.
    fn record(&self, reports: &[Report], count: &mut dyn FnMut(&Report)) -> Result<(ReportOutcome, u64), CatalogError> {
        let mut unindexed = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = ReportOutcome { recorded: 0, repeated: 0 };
        let mut newest = 0;
        for report in reports {
            let key = id_key(report);
            if let Some(position) = self.seen(&unindexed, &key)? {
                newest = newest.max(position);
                outcome.repeated += 1;
                continue;
            }
            if unindexed.positions.len() >= UNINDEXED_MAX {
                let why = "it takes no reports since an earlier error; restart ringfence".to_owned();
                return Err(CatalogError::Index { why });
            }
            let line = serde_json::to_vec(report).map_err(|error| CatalogError::Index { why: error.to_string() })?;
            let position = self.lines.append(line)?;
            self.index_or_remember(&mut unindexed, position, report, key);
            count(report);
            newest = newest.max(position);
            outcome.recorded += 1;
        }
        Ok((outcome, newest))
    }

    /// The position of a report that came before.
    fn seen(&self, unindexed: &Unindexed, key: &[u8]) -> Result<Option<u64>, CatalogError> {
        if let Some(position) = unindexed.positions.get(key) {
            return Ok(Some(*position));
        }
        let seen = self.tree.get(key)?.map(|seen| decode::<Seen>(&seen)).transpose()?;
        Ok(seen.map(|seen| seen.position))
    }

    /// Puts a queued report into the index; once that has failed, only into memory, so that the index has no gap.
    fn index_or_remember(&self, unindexed: &mut Unindexed, position: u64, report: &Report, key: Vec<u8>) {
        if !unindexed.is_behind {
            let Err(error) = self.index(position, report) else { return };
            unindexed.is_behind = true;
            tracing::error!(%error, "reports cannot be indexed; they are taken all the same, and the next start indexes them");
        }
        unindexed.positions.insert(key, position);
    }

    /// Puts a report into the index, together with the position that this brings it to.
    fn index(&self, position: u64, report: &Report) -> Result<(), CatalogError> {
        let mut batch = sled::Batch::default();
        batch.insert(POSITION_KEY, encode(&position)?);
        batch.insert(id_key(report), encode(&Seen { position, received_at: report.received_at })?);
        let confirms = matches!(
            report.event,
            ReportEvent::Installed | ReportEvent::Healthy | ReportEvent::RolledBack | ReportEvent::Failed
        );
        if confirms {
            let Report { version, event, received_at, .. } = report;
            let status = DeviceStatus { version: version.clone(), event: *event, received_at: *received_at };
            batch.insert(status_key(&report.device, &report.product), encode(&status)?);
        }
        Ok(self.tree.apply_batch(batch)?)
    }

    fn remove_expired(&self, now: Timestamp) -> Result<u64, CatalogError> {
        let keep_for = SignedDuration::try_from(self.keep_for).unwrap_or(SignedDuration::MAX);
        let Ok(cutoff) = now.checked_sub(keep_for) else { return Ok(0) };
        let removed = self.lines.remove_segments_before(cutoff)?;
        if removed.segments > 0 {
            for entry in self.tree.scan_prefix(b"i") {
                let (key, value) = entry?;
                if decode::<Seen>(&value)?.received_at < cutoff {
                    self.tree.remove(key)?;
                }
            }
        }
        Ok(removed.segments)
    }
}

fn id_key(report: &Report) -> Vec<u8> {
    [b"i", report.device.as_str().as_bytes(), b"\0", report.id.as_str().as_bytes()].concat()
}

fn status_key(device: &DeviceId, product: &ProductName) -> Vec<u8> {
    [b"s", device.as_str().as_bytes(), b"\0", product.as_str().as_bytes()].concat()
}

impl Catalog {
    /// Stores reports that were checked already and counts the votes in them; a known id changes nothing. Returns after
    /// fsync.
    pub async fn record_reports(&self, reports: Vec<Report>) -> Result<ReportOutcome, CatalogError> {
        let snapshot = self.snapshot();
        let mut is_alarming = false;
        let (outcome, position) = {
            let _counting = self.tallies.counting();
            self.reports.record(&reports, &mut |report| {
                let is_bad = matches!(report.event, ReportEvent::Failed | ReportEvent::RolledBack);
                is_alarming |= self.tallies.reported(&snapshot, report) == Counted::Changed && is_bad;
            })?
        };
        self.reports.lines.synced(position).await?;
        if is_alarming {
            self.stirred.notify_one();
        }
        Ok(outcome)
    }

    /// What a device last said of a product.
    pub fn device_status(
        &self,
        device: &DeviceId,
        product: &ProductName,
    ) -> Result<Option<DeviceStatus>, CatalogError> {
        self.reports.tree.get(status_key(device, product))?.map(|bytes| decode(&bytes)).transpose()
    }

    /// Removes report segments that are older than they are to be kept. Returns how many.
    pub fn remove_expired_reports(&self) -> Result<u64, CatalogError> {
        self.reports.remove_expired(self.now())
    }

    /// Turns true when reports can no longer be made durable: the process must end.
    pub fn reports_failed(&self) -> tokio::sync::watch::Receiver<bool> {
        self.reports.lines.failed()
    }
}
