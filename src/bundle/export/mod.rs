//! Making bundles: what a site is missing is packed and laid out, the bundle is journaled and signed, and whoever asked
//! reads it volume by volume.
//!
//! What this module deliberately does not do: write to a medium. The server never touches one; the command line does.

mod base;
mod error;
mod make;
mod pack;
mod queue;
mod session;
mod stream;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;

use crate::catalog::{Catalog, CommitError};
use crate::model::{Actor, BundleId, Event, GroupName, SiteName, Snapshot};
use crate::signing::{KeysDocument, SecretKey};
use crate::sys::durable;

pub use error::ExportError;
use queue::Queue;
pub use session::ExportSession;
pub use stream::{VolumeStream, Waiting};

/// How many exports may be open at once.
pub const SESSIONS_MAX: usize = 4;
/// How long an export may lie unread before it is dropped.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// How long an export may lie unread before it makes room for another one, where all are taken. Whoever writes one to a
/// slow medium asks for something of it more often than that.
const GONE_AFTER: Duration = Duration::from_secs(120);

/// What an increment is to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Since {
    /// What the site has proven to hold; nothing, where that is not known.
    #[default]
    Auto,
    /// Nothing.
    Full,
    /// What the newest bundle would have brought, proven or not.
    Last,
}

/// A bundle that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// For which site.
    pub site: SiteName,
    /// For which groups; those of the policy's site where empty, else all.
    pub groups: Vec<GroupName>,
    /// What it is to start from.
    pub since: Since,
    /// The longest that a volume may be, in bytes.
    pub volume_bytes: u64,
}

/// What a bundle is signed with.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The key.
    pub key: Arc<SecretKey>,
    /// The origin's keys as they are told.
    pub keys: KeysDocument,
}

/// Makes bundles, and keeps those that are being read.
pub struct Exporter {
    catalog: Arc<Catalog>,
    dir: PathBuf,
    grace: SignedDuration,
    /// One is made at a time: they share the disk and the processors.
    queue: Queue,
    sessions: Mutex<BTreeMap<BundleId, Arc<ExportSession>>>,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exporter({} open)", self.sessions().len())
    }
}

impl Exporter {
    /// Takes `exports/` in the data directory for what is packed, and clears what a killed process left there. `grace`
    /// is how long a release may be downloaded that is decided for no more.
    pub fn open(catalog: Arc<Catalog>, data_dir: &Path, grace: SignedDuration) -> std::io::Result<Self> {
        let dir = data_dir.join("exports");
        durable::create_dir_durably(&dir)?;
        for entry in std::fs::read_dir(&dir)? {
            durable::remove_file(&entry?.path())?;
        }
        Ok(Self { catalog, dir, grace, queue: Queue::default(), sessions: Mutex::default() })
    }

    /// Makes a bundle. It is journaled before its signature can be had. Goes on if the caller stops waiting.
    pub async fn export(
        self: &Arc<Self>,
        actor: &Actor,
        request: ExportRequest,
        issuer: impl FnOnce(&Snapshot) -> Issuer + Send + 'static,
    ) -> Result<Arc<ExportSession>, ExportError> {
        let turn = self.queue.turn(actor, &request.site).await?;
        let (exporter, actor) = (self.clone(), actor.clone());
        let made = tokio::spawn(async move {
            let _turn = turn;
            exporter.export_to_end(&actor, request, issuer).await
        });
        made.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    async fn export_to_end(
        self: &Arc<Self>,
        actor: &Actor,
        request: ExportRequest,
        issuer: impl FnOnce(&Snapshot) -> Issuer + Send + 'static,
    ) -> Result<Arc<ExportSession>, ExportError> {
        self.make_room(actor, &request.site)?;
        let snapshot = self.catalog.snapshot();
        // What would be refused at the end is refused before the work.
        if snapshot.applied_bundle().is_some() {
            return Err(ExportError::IsSite);
        }
        let issuer = issuer(&snapshot);
        let exporter = self.clone();
        let maker = actor.clone();
        let made = tokio::task::spawn_blocking(move || make::make(&exporter, &snapshot, request, (&maker, &issuer)));
        let made = made.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let (site, export) = (made.manifest().site.clone(), made.export());
        let sequence = export.sequence;
        let committed = self.catalog.commit(actor, |snapshot, _now| {
            let known = snapshot.site(&site).map_or(0, |known| known.sequence);
            if known + 1 != sequence {
                return Err(ExportError::Overtaken { site: site.clone() });
            }
            Ok(vec![Event::BundleExported { site: site.clone(), export: Box::new(export.clone()) }])
        });
        committed.await.map_err(|error| match error {
            CommitError::Refused(refusal) => refusal,
            CommitError::Contradiction(why) => ExportError::Contradiction(why.to_string()),
            CommitError::Journal(error) => ExportError::Journal(error),
            CommitError::ReadOnly(error) => ExportError::ReadOnly(error),
        })?;
        let session = Arc::new(made);
        self.sessions().insert(session.id(), session.clone());
        tracing::info!(bundle = %session.id(), %site, sequence, "a bundle was made");
        self.drop_when_idle(session.id());
        Ok(session)
    }

    /// An export that is open.
    pub fn session(&self, bundle: &BundleId) -> Option<Arc<ExportSession>> {
        let session = self.sessions().get(bundle).cloned();
        session.inspect(|session| session.touch())
    }

    /// Closes an export; says whether it was open.
    pub fn close(&self, bundle: &BundleId) -> bool {
        self.sessions().remove(bundle).is_some()
    }

    /// Where as many are open as may be, the one that was left alone for longest is dropped: one that nobody has asked for
    /// anything of lately, or one of the same person for the same site that nobody reads just now.
    fn make_room(&self, actor: &Actor, site: &SiteName) -> Result<(), ExportError> {
        let mut sessions = self.sessions();
        if sessions.len() < SESSIONS_MAX {
            return Ok(());
        }
        let is_replaced = |session: &ExportSession| session.is_of(actor, site) && !session.is_being_read();
        let given_up = sessions.values().filter(|session| session.idle() >= GONE_AFTER || is_replaced(session));
        let Some(oldest) = given_up.max_by_key(|session| session.idle()).map(|session| session.id()) else {
            return Err(ExportError::TooMany);
        };
        tracing::info!(bundle = %oldest, "an export that nobody reads makes room for another one");
        sessions.remove(&oldest);
        Ok(())
    }

    fn drop_when_idle(self: &Arc<Self>, bundle: BundleId) {
        let exporter = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                let Some(session) = exporter.upgrade().and_then(|exporter| exporter.sessions().get(&bundle).cloned())
                else {
                    return;
                };
                let left = IDLE_TIMEOUT.saturating_sub(session.idle());
                if left.is_zero() {
                    if let Some(exporter) = exporter.upgrade() {
                        exporter.close(&bundle);
                    }
                    return;
                }
                drop(session);
                tokio::time::sleep(left).await;
            }
        });
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<BundleId, Arc<ExportSession>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
