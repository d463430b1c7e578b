//! The parts that hold state: opened under the data directory's lock, used by the server and by offline commands.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::AppError;
use super::gate_command::gate_commands;
use crate::bundle::{Exporter, ImportOptions, Imports};
use crate::catalog::{Catalog, CatalogOptions, Recovery, ReportsOptions};
use crate::config::{OpaqueArchives, Settings, SiteSettings};
use crate::control::TokenKey;
use crate::gate::ScanLimits;
use crate::journal::JournalOptions;
use crate::model::PublicKey;
use crate::publish::{GateOptions, Publisher, UploadLimits, Uploads};
use crate::share::Shares;
use crate::store::{FsBlobs, FsBlobsOptions, IndexOrigin};
use crate::sys::clock::Clock;
use crate::sys::durable;
use crate::sys::lock::DirLock;
use crate::sys::random::random_bytes;

/// The journal's folder in the data directory.
const JOURNAL: &str = "journal";
/// The folder of open imports.
const IMPORTS: &str = "imports";
/// The file with the key under which tokens are kept.
const TOKEN_KEY: &str = "token.key";

/// An open data directory.
pub struct Core {
    /// The journal's projection.
    pub catalog: Arc<Catalog>,
    /// Publishing and its uploads.
    pub publisher: Arc<Publisher>,
    /// Makes bundles for offline sites.
    pub exporter: Arc<Exporter>,
    /// What shares show.
    pub shares: Arc<Shares>,
    /// Bundles on their way in, where this server is an offline site.
    pub imports: Arc<Imports>,
    /// The key under which tokens are kept.
    pub token_key: TokenKey,
    /// The data directory.
    pub data: PathBuf,
    /// What opening found and did.
    pub recovery: Recovery,
    /// Held as long as anything here is used.
    _lock: DirLock,
}

impl Core {
    /// Opens the settings' data directory, making it where it is missing. Blocks for as long as the replay takes.
    pub fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, AppError> {
        durable::create_dir_durably(&settings.data).map_err(AppError::io("create the directory", &settings.data))?;
        Self::open_existing(settings, clock, false)
    }

    /// As [`Core::open`] for a directory that must exist; `is_index_ignored` writes the index anew.
    pub(super) fn open_existing(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        is_index_ignored: bool,
    ) -> Result<Self, AppError> {
        let data = settings.data.clone();
        let lock = DirLock::acquire(&data)?;
        let options = FsBlobsOptions { mapped_blobs_max: settings.store.mapped_files_max };
        let store = Arc::new(FsBlobs::open(&data, &options)?);
        let catalog_options = catalog_options(settings, is_index_ignored);
        let (catalog, recovery) = Catalog::open(&catalog_options, store.clone(), clock)?;
        tell(&recovery);
        let limits = UploadLimits {
            max_bytes: settings.limits.upload_max_bytes,
            open_max: settings.limits.uploads_open_max,
            idle_timeout: settings.limits.upload_idle_timeout,
        };
        let uploads = Uploads::new(store, limits);
        let gates = gate_options(settings, &data);
        let publisher = Arc::new(Publisher::new(catalog.clone(), uploads, settings.limits.artifacts_max, gates));
        let shares = Arc::new(Shares::new(catalog.clone()));
        let imports = open_imports(settings, &data, &catalog)?;
        let grace = super::wiring::download_grace(settings);
        let exporter =
            Exporter::open(catalog.clone(), &data, grace).map_err(AppError::io("open exports/ in", &data))?;
        let exporter = Arc::new(exporter);
        let token_key = token_key(&data)?;
        Ok(Self { catalog, publisher, exporter, shares, imports, token_key, data, recovery, _lock: lock })
    }

    /// The journal's directory.
    pub fn journal_dir(&self) -> PathBuf {
        journal_dir(&self.data)
    }
}

fn open_imports(settings: &Settings, data: &Path, catalog: &Arc<Catalog>) -> Result<Arc<Imports>, AppError> {
    let SiteSettings { name, origin_keys, origin_key_file } = settings.site.clone();
    let mut keys = origin_keys;
    if let Some(path) = origin_key_file {
        let text = fs::read_to_string(&path).map_err(AppError::io("read", &path))?;
        let key = PublicKey::parse(&text).map_err(|source| AppError::BadOriginKey { path, source })?;
        keys.extend((!keys.contains(&key)).then_some(key));
    }
    let dir = data.join(IMPORTS);
    let options = ImportOptions { site: name, keys, dir: dir.clone() };
    Ok(Arc::new(Imports::open(catalog.clone(), options).map_err(AppError::io("open the imports in", &dir))?))
}

fn gate_options(settings: &Settings, data: &Path) -> GateOptions {
    let gate = &settings.gate;
    GateOptions {
        scan: ScanLimits {
            depth_max: gate.depth_max,
            members_max: gate.members_max as u64,
            unpacked_bytes_max: gate.unpacked_max_bytes,
            ratio_max: gate.ratio_max,
            member_bytes_max: gate.member_max_bytes,
        },
        is_opaque_allowed: gate.opaque_archives == OpaqueArchives::Allow,
        commands: gate_commands(gate, data),
    }
}

/// The journal's directory in a data directory.
pub(super) fn journal_dir(data: &Path) -> PathBuf {
    data.join(JOURNAL)
}

fn catalog_options(settings: &Settings, is_index_ignored: bool) -> CatalogOptions {
    CatalogOptions {
        journal_dir: journal_dir(&settings.data),
        journal: JournalOptions { segment_max_bytes: settings.journal.segment_max_bytes },
        index_dir: settings.data.join("index"),
        index_cache_bytes: settings.store.index_cache_bytes,
        is_index_ignored,
        inline_max_bytes: settings.store.inline_max_bytes,
        reports_dir: settings.data.join("reports"),
        reports: ReportsOptions {
            segment_max_bytes: settings.reports.segment_max_bytes,
            keep_for: settings.reports.keep_for,
        },
    }
}

/// Tells what opening found, each thing once.
fn tell(recovery: &Recovery) {
    if let Some(torn) = &recovery.torn {
        let set_aside = torn.set_aside.as_deref().unwrap_or(Path::new("nowhere")).display();
        tracing::warn!(segment = %torn.segment.display(), bytes = torn.bytes, %set_aside, "a journal line that was cut off by a crash is set aside; it was never acknowledged");
    }
    if let IndexOrigin::SetAside { moved_to, why } = &recovery.index {
        tracing::warn!(moved_to = %moved_to.display(), %why, "the index could not be opened and is set aside");
    }
    let took_ms = recovery.took.as_millis() as u64;
    if let Some(why) = &recovery.rewritten {
        tracing::warn!(%why, took_ms, "the index was rebuilt from the journal");
    }
    tracing::info!(
        events_replayed = recovery.replayed,
        reports_recounted = recovery.recounted,
        took_ms,
        "the data directory is open"
    );
}

fn token_key(data: &Path) -> Result<TokenKey, AppError> {
    let path = data.join(TOKEN_KEY);
    match fs::read(&path) {
        Ok(bytes) => {
            let key = <[u8; 32]>::try_from(bytes).map_err(|bytes| {
                let why = format!("it has {} bytes where the key has 32; put it back from a backup", bytes.len());
                AppError::io("use", &path)(io::Error::new(io::ErrorKind::InvalidData, why))
            });
            key.map(TokenKey::from_bytes)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = random_bytes::<32>().map_err(AppError::io("make a key for", &path))?;
            durable::write_atomically(&path, &key, 0o600).map_err(AppError::io("write", &path))?;
            Ok(TokenKey::from_bytes(key))
        }
        Err(error) => Err(AppError::io("read", &path)(error)),
    }
}
