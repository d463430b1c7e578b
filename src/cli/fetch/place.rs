//! Downloading the files of an offer, and putting them in place once every byte is as it should be.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::state::{self, FOLDER, Fetched};
use crate::cli::CliError;
use crate::cli::connect::Session;
use crate::model::{Blake3Digest, Sha256Digest, TargetName};
use crate::signing::{Offer, OfferedArtifact, Remembered};
use crate::sys::durable;
use crate::sys::tree::{Kind, Root};

/// Where files are until all of them are there.
const INCOMING: &str = ".ringfence/incoming";
/// Held while files are put in place.
const LOCK: &str = ".ringfence/lock";
const CHUNK_BYTES: usize = 256 << 10;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Files that were downloaded.
    pub(super) fetched: usize,
    /// Files of the release before that are not in this one.
    pub(super) removed: usize,
}

/// Makes `dir` hold the offer's files. Nothing in it is changed before every byte has been downloaded and compared;
/// then one file after the other is replaced. Returns after fsync.
pub(super) fn place(
    session: &Session,
    dir: &Path,
    offer: &Offer,
    remembered: Option<&Remembered>,
    before: Option<&Fetched>,
) -> Result<Placed, CliError> {
    check_targets(offer)?;
    let failed = |cause: io::Error| CliError::Failed(format!("{}: {cause}", dir.display()));
    let (was_there, had_folder) = (dir.is_dir(), dir.join(FOLDER).is_dir());
    durable::create_dir_durably(dir).map_err(failed)?;
    let root = Root::open(dir).map_err(failed)?;
    root.make_dir(Path::new(FOLDER)).map_err(failed)?;
    let Ok(_lock) = root.lock(Path::new(LOCK)).map_err(failed)? else {
        return Err(CliError::Conflict(format!("{}: another fetch is at work there", dir.display())));
    };
    let placed = try_place(session, &root, offer, remembered, before);
    if placed.is_err() {
        // What was there before stays; nothing else does. The first failure is the one worth telling.
        let made = [(!was_there, dir.to_owned()), (!had_folder, dir.join(FOLDER)), (true, dir.join(INCOMING))];
        let made = made.into_iter().find(|(is_ours, _)| *is_ours).map(|(_, path)| path);
        made.map(|path| durable::remove_dir_all(&path));
    }
    placed
}

fn try_place(
    session: &Session,
    root: &Root,
    offer: &Offer,
    remembered: Option<&Remembered>,
    before: Option<&Fetched>,
) -> Result<Placed, CliError> {
    let dir = root.path();
    let failed = |cause: io::Error| CliError::Failed(format!("{}: {cause}", dir.display()));
    if root.look(Path::new(INCOMING)).map_err(failed)?.is_some() {
        root.remove_all(Path::new(INCOMING)).map_err(failed)?;
    }
    root.make_dir(Path::new(INCOMING)).map_err(failed)?;
    let mut incoming = Vec::new();
    for (number, artifact) in offer.artifacts.iter().enumerate() {
        if !is_there(root, artifact).map_err(failed)? {
            let temporary = Path::new(INCOMING).join(number.to_string());
            download(session, root, &temporary, artifact)?;
            incoming.push((temporary, artifact));
        }
    }
    if let Some(remembered) = remembered {
        state::remember(dir, remembered)?;
    }
    for (temporary, artifact) in &incoming {
        let target = Path::new(artifact.target.as_str());
        put(root, temporary, target).map_err(|cause| failed_at(&artifact.target, &cause))?;
    }
    let removed = remove_old(root, offer, before).map_err(failed)?;
    root.remove_all(Path::new(INCOMING)).map_err(failed)?;
    Ok(Placed { fetched: incoming.len(), removed })
}

/// Names that would lie in this program's own folder, or on top of each other.
fn check_targets(offer: &Offer) -> Result<(), CliError> {
    let mut seen = BTreeSet::new();
    for artifact in &offer.artifacts {
        let target = &artifact.target;
        let folded = target.case_fold();
        if folded.split('/').next() == Some(FOLDER) {
            return Err(CliError::Conflict(format!("{target}: files of a release cannot lie in {FOLDER}")));
        }
        if !seen.insert(folded) {
            return Err(CliError::Conflict(format!(
                "{target} is there for several platforms: name the one of this device with --platform"
            )));
        }
    }
    Ok(())
}

fn failed_at(target: &TargetName, cause: &io::Error) -> CliError {
    CliError::Failed(format!("{target}: {cause}"))
}

fn put(root: &Root, temporary: &Path, target: &Path) -> io::Result<()> {
    let parent = target.parent().unwrap_or(Path::new(""));
    root.make_dirs(parent)?;
    root.rename(temporary, target)?;
    root.sync_dir(parent)
}

/// Whether the file in place has the artifact's bytes.
fn is_there(root: &Root, artifact: &OfferedArtifact) -> io::Result<bool> {
    let path = Path::new(artifact.target.as_str());
    let seen = match root.look(path) {
        Ok(Some(seen)) => seen,
        Ok(None) => return Ok(false),
        // A directory on the way is missing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if seen.kind != Kind::File || seen.size != artifact.size {
        return Ok(false);
    }
    let mut file = root.open_file(path)?;
    let mut hasher = Hasher::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.is_of(artifact)),
            length => hasher.add(&chunk[..length]),
        }
    }
}

fn download(session: &Session, root: &Root, path: &Path, artifact: &OfferedArtifact) -> Result<(), CliError> {
    let mut body = session.download(&format!("/v1/blobs/{}", artifact.blake3))?;
    if body.left_bytes() != artifact.size {
        return Err(other_bytes(artifact));
    }
    let cause = |cause: io::Error| failed_at(&artifact.target, &cause);
    let mut file: File = root.create_file(path).map_err(cause)?;
    let mut hasher = Hasher::default();
    let runtime = session.runtime();
    while let Some(piece) = runtime.block_on(body.next())? {
        hasher.add(&piece);
        if hasher.length > artifact.size {
            return Err(other_bytes(artifact));
        }
        file.write_all(&piece).map_err(cause)?;
    }
    if !hasher.is_of(artifact) {
        return Err(other_bytes(artifact));
    }
    root.sync_file(&file).map_err(cause)
}

fn other_bytes(artifact: &OfferedArtifact) -> CliError {
    let target = &artifact.target;
    CliError::Damage(format!("{target}: the server sent other bytes than it offered; nothing was written"))
}

/// Files that a fetch before has put there, and that are not part of the release any more.
fn remove_old(root: &Root, offer: &Offer, before: Option<&Fetched>) -> io::Result<usize> {
    let kept: BTreeSet<&TargetName> = offer.artifacts.iter().map(|artifact| &artifact.target).collect();
    let mut removed = 0;
    for target in before.into_iter().flat_map(Fetched::targets).filter(|target| !kept.contains(target)) {
        let path = PathBuf::from(target.as_str());
        if root.look(&path)?.is_some_and(|seen| seen.kind == Kind::File) {
            root.remove(&path)?;
            root.sync_dir(path.parent().unwrap_or(Path::new("")))?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[derive(Default)]
struct Hasher {
    blake3: blake3::Hasher,
    sha256: Sha256,
    length: u64,
}

impl Hasher {
    fn add(&mut self, bytes: &[u8]) {
        self.blake3.update(bytes);
        self.sha256.update(bytes);
        self.length += bytes.len() as u64;
    }

    fn is_of(&self, artifact: &OfferedArtifact) -> bool {
        let blake3 = Blake3Digest::from_bytes(*self.blake3.finalize().as_bytes());
        let sha256 = Sha256Digest::from_bytes(self.sha256.clone().finalize().into());
        (self.length, blake3, sha256) == (artifact.size, artifact.blake3, artifact.sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Blake3Digest, Platform, ReleaseId};

    fn offer(targets: &[&str]) -> Offer {
        let artifact = |target: &&str| OfferedArtifact {
            target: target.parse().unwrap(),
            platform: Platform::any(),
            size: 3,
            blake3: Blake3Digest::of(b"abc"),
            sha256: Sha256Digest::of(b"abc"),
        };
        Offer {
            product: "av".parse().unwrap(),
            version: "1".parse().unwrap(),
            release: ReleaseId(Blake3Digest::of(b"")),
            sequence: 1,
            artifacts: targets.iter().map(artifact).collect(),
        }
    }

    #[test]
    fn no_release_reaches_into_the_folder_or_over_itself() {
        assert!(check_targets(&offer(&["a.bin", "b/a.bin", ".ringfences/x"])).is_ok());
        for targets in [&[".ringfence/trust.json"][..], &[".Ringfence/x"], &["a.bin", "A.bin"], &["a.bin", "a.bin"]] {
            assert_eq!(check_targets(&offer(targets)).unwrap_err().exit_code(), 7, "{targets:?}");
        }
    }

    #[test]
    fn what_is_there_is_told_by_its_bytes_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let artifact = &offer(&["sub/a.bin"]).artifacts[0];
        assert!(!is_there(&root, artifact).unwrap());
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        for (bytes, expected) in [("abd", false), ("abcd", false), ("abc", true)] {
            std::fs::write(dir.path().join("sub/a.bin"), bytes).unwrap();
            assert_eq!(is_there(&root, artifact).unwrap(), expected, "{bytes}");
        }
        std::fs::rename(dir.path().join("sub/a.bin"), dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", dir.path().join("sub/a.bin")).unwrap();
        assert!(!is_there(&root, artifact).unwrap());
    }

    #[test]
    fn files_of_the_release_before_go() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        for name in ["old.bin", "kept.bin", "own.txt"] {
            std::fs::write(dir.path().join(name), "abc").unwrap();
        }
        let before = Fetched::of(&offer(&["old.bin", "kept.bin", "gone.bin"]), None);
        assert_eq!(remove_old(&root, &offer(&["kept.bin"]), Some(&before)).unwrap(), 1);
        let left = ["old.bin", "kept.bin", "own.txt"].map(|name| dir.path().join(name).exists());
        assert_eq!(left, [false, true, true]);
    }
}
