//! Which partial bodies there are, and which of them are open.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::model::Blake3Digest;
use crate::store::StoreError;
use crate::sys::durable;

/// The partial bodies in a directory; none where it is missing.
pub fn partials(dir: &Path) -> Result<BTreeSet<Blake3Digest>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(cause) => return Err(StoreError::read("list", dir, cause)),
    };
    let mut found = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(|cause| StoreError::read("list", dir, cause))?;
        found.extend(entry.file_name().to_str().and_then(|name| name.parse::<Blake3Digest>().ok()));
    }
    Ok(found)
}

/// Removes a partial body that nobody wants any more; one that is open is left alone. Says whether it is gone.
pub fn remove_partial(dir: &Path, blob: &Blake3Digest) -> Result<bool, StoreError> {
    let Ok(claim) = Claim::take(dir.join(blob.to_hex()), usize::MAX) else { return Ok(false) };
    match durable::remove_file(&claim.0) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(StoreError::write("remove", &claim.0, cause)),
        _ => Ok(true),
    }
}

/// A file that one `Sparse` of this process has. Other processes are kept away by the lock of the data directory.
#[derive(Debug)]
pub(super) struct Claim(pub(super) PathBuf);

static CLAIMED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Why a file cannot be claimed.
pub(super) enum Refusal {
    InUse,
    TooMany,
    Store(StoreError),
}

impl Claim {
    /// Claims a file that is there or, where there are fewer than `max` beside it, one that is not.
    pub(super) fn take(path: PathBuf, max: usize) -> Result<Self, Refusal> {
        let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
        if claimed.contains(&path) {
            return Err(Refusal::InUse);
        }
        let dir = path.parent().unwrap_or(Path::new("."));
        let in_dir = claimed.iter().filter(|other| other.parent() == Some(dir));
        let mut all: BTreeSet<Blake3Digest> = partials(dir).map_err(Refusal::Store)?;
        // Those whose file is not there yet count, too.
        all.extend(in_dir.filter_map(|path| path.file_name()?.to_str()?.parse::<Blake3Digest>().ok()));
        if !path.exists() && all.len() >= max {
            return Err(Refusal::TooMany);
        }
        claimed.insert(path.clone());
        Ok(Self(path))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// The file, empty or as an earlier process left it, and never longer than `size`.
pub(super) fn open_file(path: &Path, size: u64) -> Result<File, StoreError> {
    let failed = |cause| StoreError::write("open", path, cause);
    if let Ok(metadata) = path.metadata() {
        if metadata.nlink() > 1 {
            // A process was killed between giving it its name as a blob and taking this one: it is a blob's file now.
            durable::remove_file(path).map_err(failed)?;
        } else {
            // Killed before that, it may have been sealed already.
            fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        }
    }
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
    let file = options.open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > size {
        file.set_len(size).map_err(failed)?;
    }
    Ok(file)
}
