//! What the origin signs for devices, asked for on their behalf and kept: a mirror signs nothing itself.
//!
//! Every text is checked before it is passed on. Manifests are kept for good, on the disk; what a device is to have is
//! kept until it expires, and given again while this server decides the same.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::kept::KeptFile;
use super::protocol::Ask;
use super::statements::{Known, Statements};
use super::trust::{signer, trusted};
use super::upstream::Upstream;
use crate::client::{ClientError, Refusal};
use crate::model::{Blake3Digest, ReleaseId, Snapshot};
use crate::signing::{Freshness, OfferLine, Signed, view_of};
use crate::sys::durable;

/// Manifests kept in memory beside the disk.
const MANIFESTS_MAX: usize = 4_096;
/// Questions that the upstream is asked at once, and how long one waits for its turn.
const AT_ONCE: usize = 16;
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Where the newest part of a statement's life begins: within it, the same is not asked for again.
const REUSED_FOR_S: i64 = 60;

/// Why nothing signed can be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The origin has no such release.
    #[error("the origin has no such release")]
    Unknown,
    /// The upstream cannot be asked, and nothing that was signed before is good any more.
    #[error("this server is a mirror, and what it would need is signed by its origin alone: {cause}")]
    Away {
        /// What happened.
        cause: String,
    },
    /// What came is not to be passed on.
    #[error("what the upstream gave as signed by the origin is not to be believed: {why}")]
    Untrusted {
        /// Why.
        why: String,
    },
    /// Too many ask at once.
    #[error("too many devices ask for what only the origin can sign; ask again")]
    Busy,
}

/// Asks the origin on behalf of devices.
#[derive(Debug)]
pub struct Relay {
    upstream: Upstream,
    dir: PathBuf,
    kept: Arc<KeptFile>,
    manifests: Mutex<HashMap<ReleaseId, Signed>>,
    statements: Statements,
    turns: Semaphore,
}

impl Relay {
    /// Keeps what it needs under `dir`.
    pub(super) fn new(upstream: Upstream, dir: &Path, kept: Arc<KeptFile>) -> io::Result<Self> {
        let manifests = dir.join("manifests");
        durable::create_dir_durably(&manifests)?;
        let statements = Statements::open(dir.join("statements.jsonl"));
        Ok(Self {
            upstream,
            dir: manifests,
            kept,
            manifests: Mutex::default(),
            statements,
            turns: Semaphore::new(AT_ONCE),
        })
    }

    /// A release's manifest as the origin signed it.
    pub async fn manifest(
        &self,
        snapshot: &Snapshot,
        release: ReleaseId,
        now: Timestamp,
    ) -> Result<Signed, RelayError> {
        let known = self.manifest_in_memory(&release);
        let known = match known {
            None => self.manifest_on_disk(release).await,
            known => known,
        };
        if let Some(known) = &known
            && self.check_manifest(snapshot, release, known, now).is_ok()
        {
            self.remember_manifest(release, known);
            return Ok(known.clone());
        }
        let signed = self.ask(&Ask::Manifest { release }).await?;
        self.check_manifest(snapshot, release, &signed, now)?;
        self.remember_manifest(release, &signed);
        let (path, text) = (self.manifest_path(&release), serde_json::to_vec(&signed).unwrap_or_default());
        let written = tokio::task::spawn_blocking(move || durable::write_atomically(&path, &text, 0o640)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, %release, "a signed manifest cannot be kept; it is asked for again after a restart");
        }
        Ok(signed)
    }

    /// What a requester is to have, as the origin signed it. `offers` is what this server decides: as long as that is
    /// the same, a statement is good until it expires.
    pub async fn freshness(
        &self,
        snapshot: &Snapshot,
        ask: Ask,
        offers: &[OfferLine],
        now: Timestamp,
    ) -> Result<Signed, RelayError> {
        let known = self.known(snapshot, &ask, now).filter(|(said, _)| said.offers == offers);
        if let Some((_, signed)) =
            known.as_ref().filter(|(said, _)| now.as_second() - said.at.as_second() < REUSED_FOR_S)
        {
            return Ok(signed.clone());
        }
        let signed = match self.ask(&ask).await {
            Ok(signed) => signed,
            Err(error @ (RelayError::Away { .. } | RelayError::Busy)) => {
                return known.map(|(_, signed)| signed).ok_or(error);
            }
            Err(error) => return Err(error),
        };
        let said = self.check_freshness(snapshot, &ask, &signed, now)?;
        self.statements.insert(ask, said, signed.clone(), now);
        Ok(signed)
    }

    /// What was signed for this question before, and can still be passed on.
    fn known(&self, snapshot: &Snapshot, ask: &Ask, now: Timestamp) -> Option<(Freshness, Signed)> {
        let Known { said, signed, is_checked } = self.statements.get(ask, now)?;
        if !is_checked {
            if let Err(error) = self.check_freshness(snapshot, ask, &signed, now) {
                tracing::info!(%error, "what was signed before the last start is asked for again");
                self.statements.remove(ask);
                return None;
            }
            self.statements.insert(ask.clone(), said.clone(), signed.clone(), now);
        }
        Some((said, signed))
    }

    /// Writes what was signed for devices to the disk, so that the next start has it. Blocks.
    pub(super) fn keep_statements(&self, now: Timestamp) -> io::Result<()> {
        self.statements.keep(now)
    }

    async fn ask(&self, ask: &Ask) -> Result<Signed, RelayError> {
        let turn = tokio::time::timeout(TURN_TIMEOUT, self.turns.acquire()).await.map_err(|_| RelayError::Busy)?;
        let _turn = turn.map_err(|_| RelayError::Busy)?;
        self.upstream.signed(ask).await.map_err(|error| match error {
            ClientError::Refused(problem) if problem.refusal() == Refusal::NotFound => RelayError::Unknown,
            error => RelayError::Away { cause: error.to_string() },
        })
    }

    fn check_signer(&self, snapshot: &Snapshot, signed: &Signed, now: Timestamp) -> Result<(), RelayError> {
        let kept = self.kept.get();
        let keys = trusted(&kept.anchors(), &kept.keys, snapshot, now);
        signer(signed, &keys).map(drop).map_err(|doubt| RelayError::Untrusted { why: doubt.to_string() })
    }

    fn check_manifest(
        &self,
        snapshot: &Snapshot,
        release: ReleaseId,
        signed: &Signed,
        now: Timestamp,
    ) -> Result<(), RelayError> {
        if ReleaseId(Blake3Digest::of(signed.text.as_bytes())) != release {
            return Err(RelayError::Untrusted { why: format!("it is not the manifest {release}") });
        }
        self.check_signer(snapshot, signed, now)
    }

    fn check_freshness(
        &self,
        snapshot: &Snapshot,
        ask: &Ask,
        signed: &Signed,
        now: Timestamp,
    ) -> Result<Freshness, RelayError> {
        self.check_signer(snapshot, signed, now)?;
        let untrusted = |why: String| RelayError::Untrusted { why };
        let said = Freshness::parse(&signed.text).map_err(|error| untrusted(error.to_string()))?;
        let Ask::Freshness { device, .. } = ask else { return Err(untrusted("it was not asked for".into())) };
        if said.view != view_of(device.as_ref()) {
            return Err(untrusted("it is meant for another device".into()));
        }
        if now >= said.expires {
            return Err(untrusted(format!("it expired at {}", said.expires)));
        }
        Ok(said)
    }

    fn manifest_path(&self, release: &ReleaseId) -> PathBuf {
        self.dir.join(format!("{release}.json"))
    }

    fn manifest_in_memory(&self, release: &ReleaseId) -> Option<Signed> {
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner).get(release).cloned()
    }

    async fn manifest_on_disk(&self, release: ReleaseId) -> Option<Signed> {
        let path = self.manifest_path(&release);
        let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await.ok()?.ok()?;
        serde_json::from_slice(&read).ok()
    }

    fn remember_manifest(&self, release: ReleaseId, signed: &Signed) {
        let mut manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        if manifests.len() >= MANIFESTS_MAX {
            manifests.clear();
        }
        manifests.insert(release, signed.clone());
    }

    /// Whether a release's signed manifest is on the disk.
    pub(super) fn has_manifest(&self, release: &ReleaseId) -> bool {
        self.manifest_path(release).exists()
    }
}
