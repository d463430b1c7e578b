//! An export that is being read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::pack::PackedSet;
use super::stream::{self, VolumeStream};
use crate::bundle::{BundleManifest, Layout};
use crate::model::{Actor, BundleId, Export, ObjectRef, SiteName};
use crate::signing::SecretKey;
use crate::store::{Committed, FsBlobs};

/// What making a bundle came to.
pub(super) struct Made {
    pub(super) manifest: BundleManifest,
    pub(super) layout: Layout,
    pub(super) packed: PackedSet,
    pub(super) state: ObjectRef,
    pub(super) stored: Committed,
}

/// A bundle that can be read, as often as it takes.
pub struct ExportSession {
    id: BundleId,
    text: Bytes,
    signature: String,
    made: Made,
    /// Who asked for it.
    actor: Actor,
    store: Arc<FsBlobs>,
    used: Mutex<Instant>,
    /// How many volumes may be read at once.
    pub(super) readers: Arc<tokio::sync::Semaphore>,
}

/// How many volumes of one export may be read at once.
const READERS_MAX: usize = 4;

impl std::fmt::Debug for ExportSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExportSession({})", self.id)
    }
}

impl ExportSession {
    pub(super) fn new(made: Made, store: Arc<FsBlobs>, (actor, key): (&Actor, &SecretKey)) -> Self {
        let (text, id) = made.manifest.text();
        let BundleManifest { site, sequence, .. } = &made.manifest;
        let signature = key.sign(text.as_bytes(), &format!("bundle {sequence} of site {site}"));
        let used = Mutex::new(Instant::now());
        let readers = Arc::new(tokio::sync::Semaphore::new(READERS_MAX));
        Self { id, text: text.into(), signature, made, actor: actor.clone(), store, used, readers }
    }

    /// The bundle.
    pub fn id(&self) -> BundleId {
        self.id
    }

    /// What is in it.
    pub fn manifest(&self) -> &BundleManifest {
        &self.made.manifest
    }

    /// The bytes of `BUNDLE.json`.
    pub fn text(&self) -> Bytes {
        self.text.clone()
    }

    /// The text of `BUNDLE.sig`.
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// What the journal keeps of it.
    pub(super) fn export(&self) -> Export {
        let manifest = &self.made.manifest;
        // The state is in the store before anything refers to it, and kept from sweeps until then.
        let _kept = &self.made.stored.protection;
        Export {
            bundle: self.id,
            sequence: manifest.sequence,
            base: manifest.base,
            root: manifest.root,
            state: self.made.state,
            groups: manifest.groups.clone(),
            created_at: manifest.created,
            expires_at: manifest.expires,
            objects: manifest.totals.objects,
            bytes: manifest.totals.volume_bytes,
        }
    }

    /// How long volume `number` is, from 1.
    pub fn volume_bytes(&self, number: u32) -> Option<u64> {
        self.made.layout.size(number)
    }

    /// The bytes of volume `number` from `from` on. Needs a tokio runtime around it.
    pub fn volume(self: &Arc<Self>, number: u32, from: u64) -> VolumeStream {
        stream::start(self, number, from)
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.made.layout
    }

    pub(super) fn packed(&self) -> &PackedSet {
        &self.made.packed
    }

    pub(super) fn store(&self) -> &FsBlobs {
        &self.store
    }

    pub(super) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn idle(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Whether this person asked for it, for this site.
    pub(super) fn is_of(&self, actor: &Actor, site: &SiteName) -> bool {
        self.actor == *actor && self.made.manifest.site == *site
    }

    /// Whether a volume of it is on its way.
    pub(super) fn is_being_read(&self) -> bool {
        self.readers.available_permits() < READERS_MAX
    }
}
