//! Keeping the store in order: counting, verifying, scrubbing, sweeping, rebuilding.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use super::core::Core;
use crate::catalog::Catalog;
use crate::model::{Blake3Digest, ObjectRef, ProductReleases, Snapshot};
use crate::publish::Publisher;
use crate::serve::admin::{Maintenance, MaintenanceError, RebuildResult, StoreCheck, StoreStats, SweepResult};
use crate::store::{BlobStore as _, ScrubOptions, Verdict, scrub, sweep};
use crate::sys::durable::free_space_bytes;

/// Work on the store, one piece at a time.
pub(super) struct Keeper {
    catalog: Arc<Catalog>,
    publisher: Arc<Publisher>,
    data: std::path::PathBuf,
    scrub_bytes_per_second: u64,
    working: Mutex<()>,
    /// Set when the server stops: long work ends at the next blob.
    pub(super) is_stopping: Arc<AtomicBool>,
}

impl Keeper {
    pub(super) fn new(core: &Core, scrub_bytes_per_second: u64) -> Self {
        Self {
            catalog: core.catalog.clone(),
            publisher: core.publisher.clone(),
            data: core.data.clone(),
            scrub_bytes_per_second,
            working: Mutex::new(()),
            is_stopping: Arc::default(),
        }
    }

    fn alone(&self) -> Result<MutexGuard<'_, ()>, MaintenanceError> {
        match self.working.try_lock() {
            Ok(guard) => Ok(guard),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => Err(MaintenanceError::Busy),
        }
    }

    /// Scrubs at this pace; as fast as it goes without one.
    fn scrub_at(&self, bytes_per_second: Option<NonZeroU64>) -> Result<StoreCheck, MaintenanceError> {
        let _alone = self.alone()?;
        let started = Instant::now();
        let store = &**self.catalog.store();
        let options = ScrubOptions { bytes_per_second };
        let is_stopping = || self.is_stopping.load(Ordering::Relaxed);
        let report = scrub(store, options, &mut |_| {}, &is_stopping).map_err(failed)?;
        for (blob, why) in &report.quarantined {
            tracing::error!(%blob, %why, "a blob is damaged and was moved to quarantine; publish its release again to replace it");
        }
        Ok(StoreCheck {
            checked: report.total.blobs,
            checked_bytes: report.total.bytes,
            damaged: report.quarantined.into_iter().map(|(blob, _)| blob).collect(),
            missing: self.missing()?,
            took_ms: millis(started),
        })
    }

    /// A scrub that nobody waits for, at the configured pace.
    pub(super) fn scrub_quietly(&self) -> Result<StoreCheck, MaintenanceError> {
        self.scrub_at(NonZeroU64::new(self.scrub_bytes_per_second))
    }

    /// Blobs that a release needs and that are not there.
    fn missing(&self) -> Result<Vec<Blake3Digest>, MaintenanceError> {
        let store = self.catalog.store();
        let mut missing = Vec::new();
        for (digest, size) in needed(&self.catalog.snapshot()) {
            if store.size(&digest).map_err(failed)? != Some(size) {
                missing.push(digest);
            }
        }
        Ok(missing)
    }
}

/// Every blob that a release or a share refers to, withdrawn ones included, with its size; not those of releases of which
/// an offline site has the names only. And what says what a site was given.
fn needed(snapshot: &Snapshot) -> BTreeSet<(Blake3Digest, u64)> {
    let releases = snapshot
        .products()
        .flat_map(|product| product.releases().iter().filter(|release| !product.is_absent(&release.id)));
    let artifacts = releases.flat_map(|release| &release.manifest.artifacts);
    let shared = snapshot.shares().flat_map(|share| share.kept_files()).map(|file| (file.blake3, file.size));
    let states = states(snapshot).map(|state| (state.blake3, state.size));
    artifacts.map(|artifact| (artifact.blake3, artifact.size)).chain(shared).chain(states).collect()
}

/// What the bundles said that were written for sites, each of which may be the base of a later one, and the bundle that
/// this server serves from.
fn states(snapshot: &Snapshot) -> impl Iterator<Item = &ObjectRef> {
    let written = snapshot.sites().flat_map(|site| &site.exports).map(|export| &export.state);
    written.chain(snapshot.applied_bundle().map(|applied| &applied.state))
}

/// The blobs of shares and bundles, gathered again only where the snapshot is another one.
#[derive(Default)]
struct Shared(RefCell<Option<(u64, HashSet<Blake3Digest>)>>);

impl Shared {
    fn has(&self, snapshot: &Snapshot, digest: &Blake3Digest) -> bool {
        let mut known = self.0.borrow_mut();
        if known.as_ref().is_none_or(|(seq, _)| *seq != snapshot.seq()) {
            let files = snapshot.shares().flat_map(|share| share.kept_files());
            let states = states(snapshot).map(|state| state.blake3);
            *known = Some((snapshot.seq(), files.map(|file| file.blake3).chain(states).collect()));
        }
        known.as_ref().is_some_and(|(_, blobs)| blobs.contains(digest))
    }
}

fn failed(error: impl std::fmt::Display) -> MaintenanceError {
    MaintenanceError::Failed(error.to_string())
}

fn millis(started: Instant) -> u64 {
    started.elapsed().as_millis() as u64
}

impl Maintenance for Keeper {
    fn stats(&self) -> Result<StoreStats, MaintenanceError> {
        let (mut blobs, mut bytes) = (0, 0);
        let mut count = |_, size| {
            blobs += 1;
            bytes += size;
            ControlFlow::Continue(())
        };
        self.catalog.store().for_each(&mut count).map_err(failed)?;
        Ok(StoreStats {
            blobs,
            bytes,
            index_bytes: self.catalog.index_bytes().map_err(failed)?,
            uploads_open: self.publisher.uploads().open_count() as u64,
            free_bytes: free_space_bytes(&self.data).map_err(failed)?,
        })
    }

    fn verify(&self) -> Result<StoreCheck, MaintenanceError> {
        let _alone = self.alone()?;
        let started = Instant::now();
        let store = self.catalog.store();
        let mut blobs = Vec::new();
        let mut collect = |digest, _| {
            blobs.push(digest);
            ControlFlow::Continue(())
        };
        store.for_each(&mut collect).map_err(failed)?;
        let (mut checked, mut checked_bytes, mut damaged) = (0, 0, Vec::new());
        for digest in blobs {
            match store.verify(&digest).map_err(failed)? {
                Verdict::Intact { size } => checked_bytes += size,
                Verdict::Damaged { size, why } => {
                    tracing::error!(blob = %digest, %why, "a blob is damaged");
                    checked_bytes += size;
                    damaged.push(digest);
                }
                Verdict::Missing => continue,
            }
            checked += 1;
        }
        Ok(StoreCheck { checked, checked_bytes, damaged, missing: self.missing()?, took_ms: millis(started) })
    }

    fn scrub(&self) -> Result<StoreCheck, MaintenanceError> {
        self.scrub_at(None)
    }

    fn sweep(&self) -> Result<SweepResult, MaintenanceError> {
        let _alone = self.alone()?;
        let started = Instant::now();
        let shared = Shared::default();
        let is_referenced = |digest: &Blake3Digest| {
            let snapshot = self.catalog.snapshot();
            let is_held =
                |product: &ProductReleases| product.with_blob(digest).any(|release| !product.is_absent(&release.id));
            snapshot.products().any(|product| is_held(product))
                || snapshot.applied_bundle().is_some_and(|applied| applied.state.blake3 == *digest)
                || shared.has(&snapshot, digest)
        };
        let store = &**self.catalog.store();
        let mut on_removed = |digest: &Blake3Digest| self.catalog.forget_blob(digest);
        let report = sweep(store, &is_referenced, &mut on_removed).map_err(failed)?;
        Ok(SweepResult {
            examined: report.examined,
            removed: report.removed,
            removed_bytes: report.removed_bytes,
            took_ms: millis(started),
        })
    }

    fn rebuild(&self) -> Result<RebuildResult, MaintenanceError> {
        let _alone = self.alone()?;
        let started = Instant::now();
        let blobs = self.catalog.rebuild_index().map_err(failed)? as u64;
        let took_ms = millis(started);
        tracing::info!(blobs, took_ms, "the index was rebuilt");
        Ok(RebuildResult { blobs, took_ms })
    }
}
