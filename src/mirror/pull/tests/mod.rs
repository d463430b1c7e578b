//! Pulling from a source that is honest, slow, away or lying.

mod lies;
mod pulling;
pub(crate) mod source;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::model::ObjectRef;
use crate::store::{FsBlobs, FsBlobsOptions};
use crate::sys::clock::SystemClock;
use source::TestSource;

/// A store that pulls from a source.
pub(crate) struct Mirror {
    pub(crate) source: Arc<TestSource>,
    pub(crate) store: Arc<FsBlobs>,
    pub(crate) pulls: Pulls,
    pub(crate) stop: CancellationToken,
    pub(crate) dir: tempfile::TempDir,
}

impl Mirror {
    pub(crate) fn of(source: TestSource, options: PullOptions) -> Self {
        Self::at(tempfile::tempdir().unwrap(), source, options)
    }

    pub(crate) fn at(dir: tempfile::TempDir, source: TestSource, options: PullOptions) -> Self {
        let (source, stop) = (Arc::new(source), CancellationToken::new());
        let store = Arc::new(FsBlobs::open(dir.path(), &FsBlobsOptions::default()).unwrap());
        let places = (store.clone(), dir.path().join("partial"));
        let pulls = Pulls::new(source.clone(), places, options, Arc::new(SystemClock), stop.clone());
        Self { source, store, pulls, stop, dir }
    }

    /// What a reader of the range gets: the bytes up to the end or an error.
    pub(crate) async fn read(&self, object: ObjectRef, range: std::ops::Range<u64>) -> (Vec<u8>, Option<PullError>) {
        let pull = match self.pulls.pull(object, Urgency::OnDemand) {
            Ok(pull) => pull,
            Err(error) => return (Vec::new(), Some(error)),
        };
        let (mut reading, mut bytes) = (self.pulls.read(&pull, range).unwrap(), Vec::new());
        while let Some(piece) = reading.next().await {
            match piece {
                Ok(piece) => {
                    assert!(!piece.is_empty());
                    bytes.extend_from_slice(&piece);
                }
                Err(error) => return (bytes, Some(error)),
            }
        }
        (bytes, None)
    }

    /// How many files lie in the directory of partial files.
    pub(crate) fn partials(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("partial")).map_or(0, |files| files.flatten().count())
    }
}
