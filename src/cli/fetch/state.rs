//! What a directory remembers between two fetches, in `.ringfence` below it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cli::CliError;
use crate::model::{Platform, ProductName, TargetName, Version};
use crate::signing::{Offer, OfferedArtifact, Remembered};
use crate::sys::durable;

/// The folder of everything that is not a release's file.
pub(super) const FOLDER: &str = ".ringfence";
const TRUST: &str = "trust.json";
const FETCHED: &str = "fetched.json";
/// The longest state that is read.
const STATE_MAX_BYTES: u64 = 16 << 20;

/// What was fetched of a product for a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fetched {
    pub(super) product: ProductName,
    pub(super) platform: Option<Platform>,
    pub(super) version: Version,
    pub(super) files: Vec<OfferedArtifact>,
}

impl Fetched {
    pub(super) fn of(offer: &Offer, platform: Option<&Platform>) -> Self {
        let (product, version) = (offer.product.clone(), offer.version.clone());
        Self { product, platform: platform.cloned(), version, files: offer.artifacts.clone() }
    }

    fn is_there(&self, dir: &Path) -> bool {
        let has = |file: &OfferedArtifact| {
            let found = std::fs::symlink_metadata(dir.join(file.target.as_str()));
            found.is_ok_and(|found| found.is_file() && found.len() == file.size)
        };
        self.files.iter().all(has)
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = &TargetName> {
        self.files.iter().map(|file| &file.target)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct AllFetched {
    fetched: Vec<Fetched>,
}

/// What a directory remembers.
#[derive(Debug, Default)]
pub(super) struct State {
    remembered: Option<Remembered>,
    fetched: BTreeMap<(ProductName, Option<Platform>), Fetched>,
}

impl State {
    /// Reads it. What cannot be read is never taken for nothing: that would forget what must not be forgotten.
    pub(super) fn read(dir: &Path) -> Result<Self, CliError> {
        let remembered = read(&path(dir, TRUST))?;
        let all: AllFetched = read(&path(dir, FETCHED))?.unwrap_or_default();
        // Whose files are gone was not fetched, as far as the next question goes.
        let there = all.fetched.into_iter().filter(|fetched| fetched.is_there(dir));
        let keyed = there.map(|fetched| ((fetched.product.clone(), fetched.platform.clone()), fetched));
        Ok(Self { remembered, fetched: keyed.collect() })
    }

    pub(super) fn remembered(&self) -> Option<&Remembered> {
        self.remembered.as_ref()
    }

    pub(super) fn fetched(&self, product: &ProductName, platform: Option<&Platform>) -> Option<&Fetched> {
        self.fetched.get(&(product.clone(), platform.cloned()))
    }
}

/// Remembers what was verified; never less than another fetch has remembered meanwhile. Returns after fsync.
pub(super) fn remember(dir: &Path, verified: &Remembered) -> Result<(), CliError> {
    let mut next = verified.clone();
    if let Some(meanwhile) = read::<Remembered>(&path(dir, TRUST))?
        && (meanwhile.sequence, meanwhile.at) > (next.sequence, next.at)
    {
        (next.sequence, next.at) = (meanwhile.sequence, meanwhile.at);
    }
    write(dir, TRUST, &next)
}

/// Notes what was fetched, in place of what was before. Returns after fsync.
pub(super) fn note_fetched(dir: &Path, fetched: Fetched) -> Result<(), CliError> {
    let mut all: AllFetched = read(&path(dir, FETCHED))?.unwrap_or_default();
    all.fetched.retain(|old| (&old.product, &old.platform) != (&fetched.product, &fetched.platform));
    all.fetched.push(fetched);
    write(dir, FETCHED, &all)
}

fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(FOLDER).join(name)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CliError> {
    let unreadable = |cause: &dyn std::fmt::Display| {
        CliError::Input(format!(
            "{}: {cause}; remove it only if this directory may forget what it has seen",
            path.display()
        ))
    };
    match std::fs::metadata(path) {
        Ok(found) if found.len() > STATE_MAX_BYTES => return Err(unreadable(&"it is too long")),
        Ok(_) => {}
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(unreadable(&cause)),
    }
    let bytes = std::fs::read(path).map_err(|cause| unreadable(&cause))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|cause| unreadable(&cause))
}

fn write(dir: &Path, name: &str, value: &impl Serialize) -> Result<(), CliError> {
    let failed = |cause: io::Error| CliError::Failed(format!("{}: {cause}", dir.join(FOLDER).display()));
    let text = serde_json::to_vec_pretty(value).map_err(|cause| failed(cause.into()))?;
    durable::create_dir_durably(&dir.join(FOLDER)).map_err(failed)?;
    durable::write_atomically(&path(dir, name), &text, 0o644).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Blake3Digest;
    use crate::signing::{SecretKey, view_of};

    fn remembered(sequence: u64) -> Remembered {
        let key = SecretKey::from_random([1; 32], [1; 8]).public();
        let at = "2026-11-21T10:00:00Z".parse().unwrap();
        Remembered { pinned: key, newest: key, view: view_of(None), sequence, at }
    }

    #[test]
    fn what_was_seen_is_never_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        assert!(State::read(dir.path()).unwrap().remembered().is_none());
        remember(dir.path(), &remembered(7)).unwrap();
        remember(dir.path(), &remembered(5)).unwrap();
        assert_eq!(State::read(dir.path()).unwrap().remembered(), Some(&remembered(7)), "another fetch saw more");
        for damaged in ["", "{}", "{\"sequence\":0}", "not json"] {
            std::fs::write(path(dir.path(), TRUST), damaged).unwrap();
            assert!(State::read(dir.path()).is_err(), "{damaged}");
            assert!(remember(dir.path(), &remembered(9)).is_err(), "{damaged}");
        }
    }

    #[test]
    fn what_was_fetched_counts_while_its_files_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = OfferedArtifact {
            target: "a/b.bin".parse().unwrap(),
            platform: Platform::any(),
            size: 3,
            blake3: Blake3Digest::of(b"abc"),
            sha256: crate::model::Sha256Digest::of(b"abc"),
        };
        let product: ProductName = "av".parse().unwrap();
        let version: Version = "1.2".parse().unwrap();
        let fetched = Fetched { product: product.clone(), platform: None, version, files: vec![file] };
        note_fetched(dir.path(), fetched.clone()).unwrap();
        note_fetched(dir.path(), fetched.clone()).unwrap();
        assert!(State::read(dir.path()).unwrap().fetched(&product, None).is_none(), "the file is not there");
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/b.bin"), b"abc").unwrap();
        let state = State::read(dir.path()).unwrap();
        assert_eq!(state.fetched(&product, None), Some(&fetched));
        assert!(state.fetched(&product, Some(&Platform::any())).is_none());
    }
}
