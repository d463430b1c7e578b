//! What the devices of mirrors said in all: kept on the disk, counted in the catalog.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::protocol::{TALLIES_MAX, TalliesReport};
use crate::catalog::Catalog;
use crate::model::{Actor, Blake3Digest, RingTally, SiteName};
use crate::sys::durable;

/// The most mirrors that are counted.
const SOURCES_MAX: usize = 1_000;
/// The largest file that is read: ten thousand tallies have a few megabytes.
const FILE_MAX_BYTES: u64 = 16 << 20;

/// Why a mirror's word was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ElsewhereError {
    /// More than there can be.
    #[error("there are more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// It could not be written.
    #[error("what mirror {name} told cannot be kept in {}: {cause}", path.display())]
    NotKept {
        /// Which mirror.
        name: SiteName,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
}

/// What one mirror told last.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Told {
    /// Whose credential it showed: another one's word of the same name is another place.
    by: Actor,
    name: SiteName,
    at: Timestamp,
    tallies: Vec<RingTally>,
}

impl Told {
    fn place(&self) -> String {
        format!("mirror {} of {}", self.name, self.by)
    }

    fn file_name(&self) -> String {
        format!("{}.json", &Blake3Digest::of(self.place().as_bytes()).to_hex()[..32])
    }
}

/// The files, one for each mirror.
pub struct Elsewhere {
    dir: PathBuf,
    catalog: Arc<Catalog>,
    /// One writer at a time; how many files there are.
    files: Mutex<usize>,
}

impl Elsewhere {
    /// Reads what is kept in this directory, and counts it. A file that cannot be read is passed over with a word in the
    /// log: its mirror tells again within minutes.
    pub fn open(dir: PathBuf, catalog: Arc<Catalog>) -> io::Result<Self> {
        durable::create_dir_durably(&dir)?;
        let mut files = 0;
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path) {
                Ok(told) => {
                    catalog.set_elsewhere(&told.place(), &told.tallies);
                    files += 1;
                }
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "what a mirror told cannot be read; it tells again soon");
                }
            }
        }
        Ok(Self { dir, catalog, files: Mutex::new(files) })
    }

    /// Takes a mirror's word in place of its last one. Returns after fsync. Blocks.
    pub fn take(&self, by: &Actor, report: TalliesReport, now: Timestamp) -> Result<(), ElsewhereError> {
        let TalliesReport { name, tallies } = report;
        if tallies.len() > TALLIES_MAX {
            return Err(ElsewhereError::TooMany { what: "tallies", max: TALLIES_MAX });
        }
        let told = Told { by: by.clone(), name, at: now, tallies };
        let path = self.dir.join(told.file_name());
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !path.exists();
        if is_new && *files >= SOURCES_MAX {
            return Err(ElsewhereError::TooMany { what: "mirrors", max: SOURCES_MAX });
        }
        let not_kept = |cause| ElsewhereError::NotKept { name: told.name.clone(), path: path.clone(), cause };
        let text = serde_json::to_vec(&told).map_err(|error| not_kept(error.into()))?;
        durable::write_atomically(&path, &text, 0o640).map_err(not_kept)?;
        *files += usize::from(is_new);
        self.catalog.set_elsewhere(&told.place(), &told.tallies);
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Told> {
    if fs::metadata(path)?.len() > FILE_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is far too long"));
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::{World, actor};

    #[tokio::test]
    async fn a_mirror_has_one_file_that_outlives_restarts() {
        let world = World::new();
        let catalog = world.catalog();
        let dir = world.dir.path().join("elsewhere");
        let elsewhere = Elsewhere::open(dir.clone(), catalog.clone()).unwrap();
        let tally: RingTally = serde_json::from_value(serde_json::json!({
            "product": "p", "rollout": 7, "ring": "broad", "offered": 3, "fetched": 0, "installed": 0, "healthy": 2,
            "failed": 1, "rolled_back": 0, "pending": 0, "silent": 0
        }))
        .unwrap();
        let report = |name: &str, count: usize| TalliesReport {
            name: name.parse().unwrap(),
            tallies: vec![tally.clone(); count],
        };
        let now = catalog.clock_now();
        for (by, name, files) in [("ada", "m-1", 1), ("ada", "m-1", 1), ("ada", "m-2", 2), ("bo", "m-1", 3)] {
            elsewhere.take(&actor(by), report(name, 1), now).unwrap();
            assert_eq!(fs::read_dir(&dir).unwrap().count(), files, "{by} {name}");
        }
        let refused = elsewhere.take(&actor("ada"), report("m-1", TALLIES_MAX + 1), now).unwrap_err();
        assert_eq!(refused.to_string(), "there are more than 10000 tallies");
        fs::write(dir.join("damaged.json"), "{").unwrap();
        let again = Elsewhere::open(dir, catalog).unwrap();
        assert_eq!(*again.files.lock().unwrap(), 3);
    }
}
