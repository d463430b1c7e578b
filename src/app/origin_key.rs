//! The file of the key that signs answers: found, made where it is missing, and replaced in a rotation.
//!
//! A systemd credential comes first, and is never written. Otherwise it is the configured file; where the server may not
//! write beside its configuration, it makes its key in the data directory.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::SignedDuration;

use super::core::Core;
use super::error::AppError;
use crate::config::Settings;
use crate::control::{KeyPlace, OriginKeyRefusal, OriginKeys, SigningRules};
use crate::model::PublicKey;
use crate::signing::{SecretKey, public_key_file};
use crate::sys::durable;
use crate::sys::random::random_bytes;

/// The file's name as a credential and in the data directory.
const NAME: &str = "origin.key";
/// A key's file is a few hundred bytes; anything far longer is no key.
const FILE_MAX_BYTES: u64 = 4096;

/// The key that signs, known to the journal.
pub(super) async fn open(core: &Core, settings: &Settings) -> Result<Arc<OriginKeys>, AppError> {
    open_from(core, settings, std::env::var_os("CREDENTIALS_DIRECTORY").as_deref()).await
}

/// As [`open`], with the directory of systemd's credentials, if there is one.
pub(super) async fn open_from(
    core: &Core,
    settings: &Settings,
    credentials: Option<&OsStr>,
) -> Result<Arc<OriginKeys>, AppError> {
    let place = place(credentials, &settings.signing.key, &core.data);
    let present = match &place {
        Place::Credential(path) => read(path)?.ok_or_else(|| AppError::BadKeyFile(path.clone()))?,
        Place::File(path) => {
            settle(path, |key| core.catalog.snapshot().origin_keys().iter().any(|known| known.key == *key))?;
            match read(path)? {
                Some(key) => key,
                None => return make(core, settings, path).await,
            }
        }
    };
    finish(core, settings, place, present).await
}

async fn finish(
    core: &Core,
    settings: &Settings,
    place: Place,
    present: SecretKey,
) -> Result<Arc<OriginKeys>, AppError> {
    let previous = read(&beside(place.path(), "previous"))?;
    if let Place::File(path) = &place {
        warn_of_readers(path);
        write_public(path, &present.public());
    }
    let length = |length| SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    let rules = SigningRules {
        statement_valid_for: length(settings.signing.statement_valid_for),
        key_overlap: length(settings.signing.key_overlap),
    };
    let keys = OriginKeys::new(present, Box::new(place), rules);
    keys.make_known(&core.catalog, previous.as_ref()).await?;
    Ok(Arc::new(keys))
}

/// Makes the first key.
async fn make(core: &Core, settings: &Settings, path: &Path) -> Result<Arc<OriginKeys>, AppError> {
    let random = || Ok((random_bytes()?, random_bytes()?));
    let (seed, id) = random().map_err(AppError::io("make a key for", path))?;
    let key = SecretKey::from_random(seed, id);
    let text = key.expose();
    let mut path = path.to_owned();
    if let Err(error) = durable::write_atomically(&path, text.as_bytes(), 0o600) {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        if !matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) {
            return Err(AppError::io("write", &path)(error));
        }
        path = core.data.join(NAME);
        durable::write_atomically(&path, text.as_bytes(), 0o600).map_err(AppError::io("write", &path))?;
    }
    tracing::info!(path = %path.display(), key = %key.public().id, "a key to sign answers with was made; keep a copy of it where the backups are");
    finish(core, settings, Place::File(path), key).await
}

/// Where the key is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A systemd credential.
    Credential(PathBuf),
    /// A file of the server's own.
    File(PathBuf),
}

fn place(credentials: Option<&OsStr>, configured: &Path, data: &Path) -> Place {
    let credential = credentials.map(|directory| Path::new(directory).join(NAME));
    let in_data = data.join(NAME);
    match credential.filter(|path| path.exists()) {
        Some(path) => Place::Credential(path),
        None if !configured.exists() && in_data.exists() => Place::File(in_data),
        None => Place::File(configured.to_owned()),
    }
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Credential(path) | Self::File(path) => path,
        }
    }

    fn file(&self) -> Result<&Path, OriginKeyRefusal> {
        match self {
            Self::Credential(_) => Err(OriginKeyRefusal::Credential),
            Self::File(path) => Ok(path),
        }
    }
}

impl KeyPlace for Place {
    fn stage(&self, next: &SecretKey) -> Result<(), OriginKeyRefusal> {
        write(&beside(self.file()?, "next"), next)
    }

    fn take_over(&self, next: &SecretKey) -> Result<(), OriginKeyRefusal> {
        let path = self.file()?;
        put_in_place(path).map_err(|cause| OriginKeyRefusal::NotWritten { path: path.to_owned(), cause })?;
        write_public(path, &next.public());
        Ok(())
    }
}

fn write(path: &Path, key: &SecretKey) -> Result<(), OriginKeyRefusal> {
    let written = durable::write_atomically(path, key.expose().as_bytes(), 0o600);
    written.map_err(|cause| OriginKeyRefusal::NotWritten { path: path.to_owned(), cause })
}

/// The old key becomes the previous one, the staged one takes its place. After a crash in between, the staged key is
/// still there, and this is done again.
fn put_in_place(path: &Path) -> io::Result<()> {
    if path.exists() {
        let old = fs::read(path)?;
        durable::write_atomically(&beside(path, "previous"), &old, 0o600)?;
    }
    durable::rename_durably(&beside(path, "next"), path)
}

/// Ends what a crash left of a rotation: a staged key that the journal names takes over, any other goes.
fn settle(path: &Path, is_known: impl Fn(&PublicKey) -> bool) -> Result<(), AppError> {
    let staged = beside(path, "next");
    let Some(next) = read(&staged)? else { return Ok(()) };
    if is_known(&next.public()) {
        tracing::warn!(key = %next.public().id, "a rotation of the signing key was cut off; it is brought to its end");
        return put_in_place(path).map_err(AppError::io("put a new key in place of", path));
    }
    tracing::warn!(key = %next.public().id, "a rotation of the signing key was cut off before it counted; it is undone");
    let removed = durable::remove_file(&staged).and_then(|()| match staged.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => durable::sync_dir(parent),
        _ => Ok(()),
    });
    removed.map_err(AppError::io("remove", &staged))
}

/// `None` where there is no such file.
fn read(path: &Path) -> Result<Option<SecretKey>, AppError> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(AppError::io("read", path)(error)),
    };
    let bad = || AppError::BadKeyFile(path.to_owned());
    if length > FILE_MAX_BYTES {
        return Err(bad());
    }
    let bytes = fs::read(path).map_err(AppError::io("read", path))?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    SecretKey::parse(&text).map(Some).map_err(|_| bad())
}

fn warn_of_readers(path: &Path) {
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode()).unwrap_or(0);
    if mode & 0o077 != 0 {
        let (path, mode) = (path.display(), format!("{:04o}", mode & 0o7777));
        tracing::warn!(%path, %mode, "the signing key can be read by others than its owner: chmod 600, or load it as a systemd credential");
    }
}

/// Writes the public key beside the secret one, for people to take along; `ringfence key show` prints it, too.
fn write_public(path: &Path, key: &PublicKey) {
    let public = path.with_extension("pub");
    let text = public_key_file(key);
    if fs::read(&public).is_ok_and(|old| old == text.as_bytes()) {
        return;
    }
    if let Err(error) = durable::write_atomically(&public, text.as_bytes(), 0o644) {
        tracing::warn!(%error, path = %public.display(), "the public key cannot be written beside the secret one");
    }
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or(OsStr::new(NAME)).to_owned();
    name.push(format!(".{what}"));
    path.with_file_name(name)
}
