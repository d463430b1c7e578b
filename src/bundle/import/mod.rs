//! Taking a bundle into an offline site: checked first, then object by object into the store, then made visible by one
//! event.
//!
//! What this room deliberately does not do: it opens no medium (whoever has one sends the bytes of its volumes), it makes
//! nothing visible before the recomputed root is the promised one, and it keeps nothing in memory that a restart needs.

mod check;
mod content;
mod error;
mod finish;
mod layout;
mod packed;
mod refused;
mod session;
mod small;
mod stream;
mod take;
#[cfg(test)]
mod tests;
mod trust;
mod unfinished;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use self::session::Session;
use crate::catalog::Catalog;
use crate::model::{BundleId, PublicKey, SiteName};
use crate::sys::durable;

pub use self::error::ImportError;
pub use self::finish::Finished;
pub use self::layout::NeededSpan;
pub use self::refused::{NotBegun, Refused};
pub use self::take::{Damaged, Taken};

/// Imports open at once.
pub const IMPORTS_OPEN_MAX: usize = 2;
/// Volumes that are sent at once: each holds its buffers.
const TAKING_MAX: usize = 2;
/// Large bodies that are unpacked at once: a window takes up to 64 MiB, or a frame and the piece of its base as much.
const UNPACKING_MAX: usize = 1;

/// What the configuration says of this server as an offline site.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The site's name at its origin; none where the first bundle decides.
    pub site: Option<SiteName>,
    /// The origin's keys.
    pub keys: Vec<PublicKey>,
    /// Where open imports are kept: in the file system of the store.
    pub dir: PathBuf,
}

/// What somebody brings: the two files of a bundle, and what they say of the origin.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// `BUNDLE.json`.
    pub manifest: String,
    /// `BUNDLE.sig`.
    pub signature: String,
    /// The origin's key, for a server that knows none yet.
    pub key: Option<PublicKey>,
    /// The site that this server is meant to be.
    pub site: Option<SiteName>,
    /// Whether they may say which origin, and which site, this server belongs to.
    pub may_bind: bool,
    /// Whether they know that the origin was restored from a backup, and take what is left of its journal as the truth.
    /// Only for those who may bind.
    pub accepts_restored: bool,
}

/// What is to be done about a bundle.
#[derive(Debug)]
pub enum Begun {
    /// Nothing: the site serves from it.
    Applied(Finished),
    /// Its volumes are to be sent.
    Needed(Needed),
}

/// What the site needs of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// The bundle.
    pub bundle: BundleId,
    /// Its place among the site's bundles.
    pub sequence: u64,
    /// What tells the rest: to be sent first, and then to be asked again. Empty once it is known.
    pub first: Vec<NeededSpan>,
    /// What has to be sent, in order of the volumes.
    pub spans: Vec<NeededSpan>,
    /// How many objects are missing.
    pub missing_objects: u64,
    /// Their bytes, as they will lie in the store.
    pub missing_bytes: u64,
}

/// The imports of a site.
pub struct Imports {
    catalog: Arc<Catalog>,
    options: ImportOptions,
    open: Mutex<BTreeMap<BundleId, Arc<Session>>>,
    taking: Arc<Semaphore>,
    unpacking: Arc<Semaphore>,
    /// One at a time begins or ends.
    turn: Mutex<()>,
    /// What a receipt tells of, where nothing is open.
    refused: Mutex<Option<Refused>>,
    /// Refusals that a receipt was given of, the newest last.
    told: tokio::sync::Mutex<VecDeque<refused::Told>>,
}

impl Imports {
    /// Finds the imports that were open when the server last ended, and keeps their objects from sweeps. Blocks.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(catalog: Arc<Catalog>, options: ImportOptions) -> std::io::Result<Self> {
        durable::create_dir_durably(&options.dir)?;
        let imports = Self {
            catalog,
            options,
            open: Mutex::default(),
            taking: Arc::new(Semaphore::new(TAKING_MAX)),
            unpacking: Arc::new(Semaphore::new(UNPACKING_MAX)),
            turn: Mutex::default(),
            refused: Mutex::default(),
            told: tokio::sync::Mutex::default(),
        };
        for entry in std::fs::read_dir(&imports.options.dir)? {
            let dir = entry?.path();
            match Session::reopen(&imports.catalog, &dir) {
                Ok(session) => {
                    tracing::info!(bundle = %session.id, "an import was cut off; it can be taken up again");
                    imports.sessions().insert(session.id, Arc::new(session));
                }
                Err(why) => {
                    tracing::warn!(path = %dir.display(), why, "what was left of an import is of no use and is removed");
                    session::remove(&dir);
                }
            }
        }
        Ok(imports)
    }

    /// The site's name as far as the configuration says it.
    pub fn site_name(&self) -> Option<&SiteName> {
        self.options.site.as_ref()
    }

    /// How many imports are open.
    pub fn open_count(&self) -> usize {
        self.sessions().len()
    }

    /// Gives up an import: its progress is removed, what it brought is left to the next sweep. False where there is none.
    /// Blocks.
    pub fn abandon(&self, bundle: &BundleId) -> bool {
        let _turn = self.turn();
        let Some(session) = self.sessions().remove(bundle) else { return false };
        session::remove(&session.dir);
        true
    }

    /// The site and the sequence of an open import's bundle.
    pub fn site_of(&self, bundle: &BundleId) -> Option<(SiteName, u64)> {
        let session = self.session(bundle).ok()?;
        Some((session.manifest.site.clone(), session.manifest.sequence))
    }

    fn session(&self, bundle: &BundleId) -> Result<Arc<Session>, ImportError> {
        self.sessions().get(bundle).cloned().ok_or(ImportError::NotOpen(*bundle))
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<BundleId, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The highest time that was ever seen here.
    fn now(&self) -> Timestamp {
        self.catalog.now()
    }
}
