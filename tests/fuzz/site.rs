//! An offline site that whatever is on a medium is imported into, and what must hold of it afterwards.
//!
//! One site takes many bundles: what an import leaves behind is given up and swept, and only a site that has taken a
//! bundle is set up anew.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use jiff::SignedDuration;
use ringfence::bundle::{
    Begun, Brought, BundleManifest, Finished, ImportError, ImportOptions, Imports, Medium, Needed, NeededSpan, root_of,
};
use ringfence::catalog::{Catalog, CatalogOptions, ReportsOptions};
use ringfence::journal::JournalOptions;
use ringfence::model::{Blake3Digest, SiteContent};
use ringfence::store::{BlobStore as _, FsBlobs, FsBlobsOptions, Verdict, sweep};
use ringfence::sys::clock::ManualClock;
use tokio::runtime::Runtime;

use super::bundle::testing::{Make, TestBundle, secret};

/// A site in a directory of its own.
pub(crate) struct Site {
    dir: PathBuf,
    /// The bundle that it serves from at first.
    first: Option<TestBundle>,
    runtime: Runtime,
    running: RefCell<Option<Running>>,
}

struct Running {
    catalog: Arc<Catalog>,
    imports: Arc<Imports>,
}

/// What became of a bundle.
pub(crate) struct Imported {
    /// What was said.
    pub(crate) said: String,
    /// Whether its manifest was believed.
    pub(crate) was_begun: bool,
    /// Whether the site serves from it now, and did not before.
    pub(crate) was_applied: bool,
}

impl Site {
    /// A site in `dir`, empty or serving from a bundle.
    pub(crate) fn new(dir: PathBuf, first: Option<&TestBundle>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { dir, first: first.cloned(), runtime, running: RefCell::new(None) }
    }

    /// Imports what is on a medium as `bundle import` does it, but for sending all that is there of a volume, be it the
    /// right one or not. Asserts that the site is as it was, or serves from what the manifest promises; it is as before
    /// the call when this returns.
    pub(crate) fn import(&self, medium: &Medium, brought: &Brought) -> Imported {
        let mut running = self.running.borrow_mut();
        let run = running.get_or_insert_with(|| self.start());
        let (head, before) = (run.catalog.head(), run.catalog.snapshot());
        let mut was_begun = false;
        let result = self.runtime.block_on(run.carry(medium, brought, &mut was_begun));
        run.check_files(&self.dir);
        let was_applied = result.as_ref().is_ok_and(|finished| !finished.was_applied);
        if was_applied {
            run.check_applied(brought);
            *running = None;
        } else {
            assert_eq!(run.catalog.head(), head, "the journal grew");
            assert!(Arc::ptr_eq(&run.catalog.snapshot(), &before), "something became visible");
            run.give_up(brought);
        }
        let said = match result {
            Ok(finished) => format!("was applied before: {}", finished.was_applied),
            Err(error) => error.to_string(),
        };
        Imported { said, was_begun, was_applied }
    }

    fn start(&self) -> Running {
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir).unwrap();
        }
        fs::create_dir(&self.dir).unwrap();
        let options = CatalogOptions {
            journal_dir: self.dir.join("journal"),
            journal: JournalOptions::default(),
            index_dir: self.dir.join("index"),
            is_index_ignored: false,
            index_cache_bytes: 1 << 20,
            inline_max_bytes: 16,
            reports_dir: self.dir.join("reports"),
            reports: ReportsOptions { segment_max_bytes: 1 << 20, keep_for: Duration::from_secs(3_600) },
            follows: None,
        };
        let store = Arc::new(FsBlobs::open(&self.dir, &FsBlobsOptions { mapped_blobs_max: 0 }).unwrap());
        let now = Make::new(&[]).created + SignedDuration::from_hours(1);
        let (catalog, _) = Catalog::open(&options, store, Arc::new(ManualClock::new(now))).unwrap();
        let site = Some("plant-7".parse().unwrap());
        let options = ImportOptions { site, keys: vec![secret().public()], dir: self.dir.join("imports") };
        let run = Running { imports: Arc::new(Imports::open(catalog.clone(), options).unwrap()), catalog };
        if let Some(first) = &self.first {
            self.runtime.block_on(run.take_first(first));
        }
        run
    }
}

impl Running {
    async fn carry(&self, medium: &Medium, brought: &Brought, begun: &mut bool) -> Result<Finished, ImportError> {
        // The state first, which says what is missing; then the rest; then what could not be put together.
        for round in 0..3 {
            let needed: Needed = match self.imports.begin(brought.clone()).await? {
                Begun::Applied(finished) => return Ok(finished),
                Begun::Needed(needed) => needed,
            };
            *begun = true;
            if needed.spans.is_empty() {
                break;
            }
            let spans = if round == 0 && !needed.first.is_empty() { &needed.first } else { &needed.spans };
            for NeededSpan { volume, offset, size } in spans.iter().copied() {
                let Ok(file) = medium.any_volume(volume) else { continue };
                let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(1 << 20)];
                let Ok(read) = file.into_file().read_at(&mut bytes, offset) else { continue };
                bytes.truncate(read);
                let taken = self.imports.take(&needed.bundle, volume, offset, Full::new(bytes.into())).await?;
                assert!(taken.taken + taken.missing <= needed.missing_objects, "{taken:?} of {needed:?}");
            }
        }
        let (_, id) = BundleManifest::parse(&brought.manifest).expect("one that was begun");
        self.imports.finish(&id, &"fuzz".parse().unwrap()).await
    }

    async fn take_first(&self, first: &TestBundle) {
        let (manifest, signature) = (first.text.clone(), first.signature.clone());
        let brought = Brought { manifest, signature, ..Brought::default() };
        self.imports.begin(brought).await.unwrap();
        for (number, volume) in (1..).zip(&first.volumes) {
            let body = Full::new(Bytes::copy_from_slice(volume));
            let _ = self.imports.take(&first.id, number, 0, body).await.unwrap();
        }
        self.imports.finish(&first.id, &"fuzz".parse().unwrap()).await.unwrap();
    }

    /// The site serves from what the manifest promises, and has it.
    fn check_applied(&self, brought: &Brought) {
        let (manifest, id) = BundleManifest::parse(&brought.manifest).expect("one that was applied");
        let snapshot = self.catalog.snapshot();
        let applied = snapshot.applied_bundle().expect("one that was applied");
        assert_eq!((applied.bundle, applied.sequence, applied.root), (id, manifest.sequence, manifest.root));
        assert_eq!(applied.state.blake3, manifest.state);
        let state = self.catalog.body(&manifest.state, applied.state.size).unwrap().expect("the state is kept");
        let promised: SiteContent = serde_json::from_slice(&state).unwrap();
        let promised: Vec<_> = promised.products.into_iter().flat_map(|product| product.releases).collect();
        let shown: Vec<_> =
            snapshot.products().flat_map(|product| product.releases().to_vec()).map(Arc::unwrap_or_clone).collect();
        assert!(shown.iter().eq(&promised), "what is shown is not what the state says");
        let bodies = shown.iter().flat_map(|release| &release.manifest.artifacts);
        let mut held = BTreeSet::from([manifest.state]);
        for artifact in bodies {
            let body = self.catalog.body(&artifact.blake3, artifact.size).unwrap().expect("shown, and not here");
            assert_eq!(Blake3Digest::of(&body), artifact.blake3, "shown, and another body");
            held.insert(artifact.blake3);
        }
        assert_eq!(root_of(&held), manifest.root, "what is shown is not what was promised");
        assert_eq!(self.imports.open_count(), 0);
    }

    /// Every blob is what its name says, and nothing has a name that nobody gives.
    fn check_files(&self, dir: &Path) {
        let store = self.catalog.store();
        let each = &mut |digest: Blake3Digest, size: u64| {
            assert_eq!(store.verify(&digest).unwrap(), Verdict::Intact { size });
            ControlFlow::Continue(())
        };
        store.for_each(each).unwrap();
        let known = ["blobs", "imports", "index", "journal", "quarantine", "reports", "staging"];
        for name in names(dir) {
            assert!(known.contains(&name.as_str()), "{name} in the data directory");
        }
        for empty in ["quarantine", "staging"] {
            assert!(names(&dir.join(empty)).is_empty(), "something is left in {empty}");
        }
        for import in names(&dir.join("imports")) {
            let kept = |name: &str| matches!(name, "BUNDLE.json" | "BUNDLE.sig" | "trust.json") || is_part(name);
            let found = names(&dir.join("imports").join(&import));
            assert!(import.parse::<ringfence::model::BundleId>().is_ok() && found.iter().all(|name| kept(name)));
        }
    }

    /// Gives up what is open, and sweeps what it has brought.
    fn give_up(&self, brought: &Brought) {
        if let Ok((_, id)) = BundleManifest::parse(&brought.manifest) {
            self.imports.abandon(&id);
        }
        assert_eq!(self.imports.open_count(), 0);
        let snapshot = self.catalog.snapshot();
        let state = snapshot.applied_bundle().map(|applied| applied.state.blake3);
        let releases = snapshot.products().flat_map(|product| product.releases().to_vec());
        let artifacts = releases.flat_map(|release| release.manifest.artifacts.clone());
        let held: BTreeSet<Blake3Digest> = artifacts.map(|artifact| artifact.blake3).chain(state).collect();
        sweep(&**self.catalog.store(), &|digest| held.contains(digest), &mut |_| {}).unwrap();
    }
}

/// `<64 hexadecimal characters>.part-0001`.
fn is_part(name: &str) -> bool {
    let parts = name.split_once(".part-");
    parts.is_some_and(|(object, part)| object.parse::<Blake3Digest>().is_ok() && part.parse::<u32>().is_ok())
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
