//! One open import: what was checked at its begin, kept on the disk so that a killed server takes it up again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use super::content::Content;
use super::error::ImportError;
use super::layout::Layout;
use super::take::ARRIVING;
use super::trust::Verified;
use crate::bundle::{BundleManifest, Object, OriginTrust, STATE_MAX_BYTES};
use crate::catalog::Catalog;
use crate::model::{Blake3Digest, BundleId, KeyId, ObjectRef, PublicKey, Reason};
use crate::store::{BlobStore as _, Protection};
use crate::sys::durable;

const MANIFEST: &str = "BUNDLE.json";
const SIGNATURE: &str = "BUNDLE.sig";
const TRUST: &str = "trust.json";

pub(super) struct Session {
    pub(super) id: BundleId,
    pub(super) manifest: BundleManifest,
    /// Whose bundles are taken once this one is applied.
    pub(super) next: OriginTrust,
    /// Whether an admin accepts that the origin's journal was set back.
    pub(super) accepts_restored: bool,
    pub(super) dir: PathBuf,
    pub(super) layout: Layout,
    /// For each object of the manifest, whether it is in the store.
    here: Box<[AtomicBool]>,
    content: OnceLock<Arc<Content>>,
    /// Objects that are being put together from their parts.
    assembling: Mutex<BTreeSet<usize>>,
    /// Keeps what is here from sweeps until the event names it.
    protections: Mutex<Vec<Protection>>,
}

/// While it lives, nobody else puts the object together: it ends also where whoever sent the parts went away.
pub(super) struct Assembly {
    session: Arc<Session>,
    object: usize,
}

impl Drop for Assembly {
    fn drop(&mut self) {
        self.session.assembling.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.object);
    }
}

/// What was found out of the origin's keys when the import began.
#[derive(Serialize, Deserialize)]
struct Kept {
    keys: Vec<PublicKey>,
    retired: Vec<(KeyId, Option<Reason>)>,
    #[serde(default)]
    accepts_restored: bool,
}

impl Session {
    /// Over a manifest whose signature is good. Nothing is written yet.
    pub(super) fn new(catalog: &Catalog, verified: Verified, dir: &Path) -> Self {
        let Verified { manifest, id, next, accepts_restored } = verified;
        let store = catalog.store();
        // Protected first and looked for afterwards: what is found then stays.
        let protections = manifest.objects.iter().map(|object| store.protect(object.blake3)).collect();
        let session = Self {
            id,
            layout: Layout::of(&manifest),
            here: manifest.objects.iter().map(|_| AtomicBool::new(false)).collect(),
            manifest,
            next,
            accepts_restored,
            dir: dir.to_owned(),
            content: OnceLock::new(),
            assembling: Mutex::default(),
            protections: Mutex::new(protections),
        };
        for (index, object) in session.manifest.objects.iter().enumerate() {
            if is_here(catalog, &object.body()) {
                session.mark(index);
            }
        }
        session
    }

    /// Makes it outlive this process.
    pub(super) fn keep(&self, manifest: &str, signature: &str) -> std::io::Result<()> {
        durable::create_dir_durably(&self.dir)?;
        let OriginTrust { keys, retired } = self.next.clone();
        let trust = serde_json::to_vec(&Kept { keys, retired, accepts_restored: self.accepts_restored })?;
        durable::write_atomically(&self.dir.join(MANIFEST), manifest.as_bytes(), 0o600)?;
        durable::write_atomically(&self.dir.join(SIGNATURE), signature.as_bytes(), 0o600)?;
        // The last of the three: without it, the import was never begun.
        durable::write_atomically(&self.dir.join(TRUST), &trust, 0o600)
    }

    /// What [`Session::keep`] left in a directory; the sentence says why it is of no use.
    pub(super) fn reopen(catalog: &Catalog, dir: &Path) -> Result<Self, String> {
        let read = |name: &str| fs::read_to_string(dir.join(name)).map_err(|error| format!("{name}: {error}"));
        let kept: Kept = serde_json::from_str(&read(TRUST)?).map_err(|error| error.to_string())?;
        let (manifest, id) = BundleManifest::parse(&read(MANIFEST)?).map_err(|error| error.to_string())?;
        if dir.file_name().is_none_or(|name| *name != *id.to_string()) {
            return Err("its directory has another bundle's name".to_owned());
        }
        if catalog.snapshot().applied_bundle().is_some_and(|applied| applied.sequence >= manifest.sequence) {
            return Err("a newer bundle is in place".to_owned());
        }
        remove_arriving(dir);
        let next = OriginTrust { keys: kept.keys, retired: kept.retired };
        let accepts_restored = kept.accepts_restored;
        Ok(Self::new(catalog, Verified { manifest, id, next, accepts_restored }, dir))
    }

    /// An object of the manifest.
    pub(super) fn object(&self, digest: &Blake3Digest) -> Option<(usize, &Object)> {
        let index = self.manifest.objects.binary_search_by(|object| object.blake3.cmp(digest)).ok()?;
        self.manifest.objects.get(index).map(|object| (index, object))
    }

    pub(super) fn is_here(&self, object: usize) -> bool {
        self.here.get(object).is_some_and(|here| here.load(Ordering::Acquire))
    }

    pub(super) fn mark(&self, object: usize) {
        if let Some(here) = self.here.get(object) {
            here.store(true, Ordering::Release);
        }
    }

    pub(super) fn unmark(&self, object: usize) {
        if let Some(here) = self.here.get(object) {
            here.store(false, Ordering::Release);
        }
    }

    /// The objects that are not here, in ascending order.
    pub(super) fn missing(&self) -> impl Iterator<Item = (usize, &Object)> {
        self.manifest.objects.iter().enumerate().filter(|(index, _)| !self.is_here(*index))
    }

    /// What the state object says, once it is here.
    pub(super) fn content(&self, catalog: &Catalog) -> Result<Option<Arc<Content>>, ImportError> {
        if let Some(content) = self.content.get() {
            return Ok(Some(content.clone()));
        }
        let state = self.state()?;
        let Some(bytes) = catalog.body(&state.blake3, state.size)? else { return Ok(None) };
        let content = Content::read(&self.manifest, state, &bytes).map_err(ImportError::Contradiction)?;
        let store = catalog.store();
        let protections = content.held.keys().map(|blob| store.protect(*blob));
        self.protections.lock().unwrap_or_else(PoisonError::into_inner).extend(protections);
        Ok(Some(self.content.get_or_init(|| Arc::new(content)).clone()))
    }

    /// The state object, which is in every bundle.
    pub(super) fn state(&self) -> Result<ObjectRef, ImportError> {
        let state = self.object(&self.manifest.state).map(|(_, object)| object.body());
        let state = state.ok_or_else(|| ImportError::Contradiction("its state is not among its objects".to_owned()))?;
        if state.size > STATE_MAX_BYTES {
            let why = format!("its state has {} bytes, and at most {STATE_MAX_BYTES} are taken", state.size);
            return Err(ImportError::Contradiction(why));
        }
        Ok(state)
    }

    /// Where a part of an object waits for the others.
    pub(super) fn part_path(&self, object: &Object, part: usize) -> PathBuf {
        self.dir.join(format!("{}.part-{:04}", object.blake3, part + 1))
    }

    /// Whether that part waits.
    pub(super) fn has_part(&self, object: &Object, part: usize) -> bool {
        let size = object.parts.get(part).map(|part| part.size);
        fs::metadata(self.part_path(object, part)).ok().map(|metadata| metadata.len()) == size
    }

    /// For the one caller who is to put an object together from its parts; none while another does.
    pub(super) fn begin_assembly(self: &Arc<Self>, object: usize) -> Option<Assembly> {
        let is_first = self.assembling.lock().unwrap_or_else(PoisonError::into_inner).insert(object);
        is_first.then(|| Assembly { session: self.clone(), object })
    }

    /// Which parts of a split object that is not here have to come. If all of them wait and nobody puts them together, whoever
    /// was to do it was killed, went away, or had no room: then the last one, as a part that comes is what makes it happen.
    pub(super) fn wanted_parts(self: &Arc<Self>, index: usize, object: &Object) -> Vec<bool> {
        let mut wanted: Vec<bool> = (0..object.parts.len()).map(|part| !self.has_part(object, part)).collect();
        if !wanted.contains(&true)
            && self.begin_assembly(index).is_some()
            && let Some(last) = wanted.last_mut()
        {
            *last = true;
        }
        wanted
    }

    /// Removes the parts of an object that is whole.
    pub(super) fn remove_parts(&self, object: &Object) {
        for part in 0..object.parts.len() {
            let path = self.part_path(object, part);
            if let Err(error) = durable::remove_file(&path) {
                tracing::debug!(%error, path = %path.display(), "a part that is of no more use stays until the import ends");
            }
        }
    }
}

/// Removes the parts that a killed server had begun to write.
fn remove_arriving(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let arriving = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().contains(ARRIVING));
    for path in arriving.map(|entry| entry.path()) {
        if let Err(error) = durable::remove_file(&path) {
            tracing::warn!(%error, path = %path.display(), "half of a part stays until the import ends");
        }
    }
}

/// Whether a blob of this length is in the store.
pub(super) fn is_here(catalog: &Catalog, body: &ObjectRef) -> bool {
    catalog.store().size(&body.blake3).ok().flatten() == Some(body.size)
}

/// Removes what is kept of an import.
pub(super) fn remove(dir: &Path) {
    // The file that makes it one goes first: half of it is no import.
    let _ = durable::remove_file(&dir.join(TRUST));
    if let Err(error) = durable::remove_dir_all(dir) {
        tracing::warn!(%error, path = %dir.display(), "what is left of an import cannot be removed; the next start tries again");
    }
}

/// The same where there may be nothing.
pub(super) fn remove_if_there(dir: &Path) {
    if dir.exists() {
        remove(dir);
    }
}
