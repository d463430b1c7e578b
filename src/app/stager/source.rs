//! Where trees and bodies come from.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::model::{Blake3Digest, ShareName};
use crate::share::stage::{Bodies, Body, StageFile, StageTree};
use crate::share::{Shares, TargetReport, stage_tree};

/// A share, seen by a stager.
pub trait TreeSource: Bodies {
    /// The tree to be staged, where it is another one than the last time; the first time always.
    ///
    /// # Errors
    /// There is none, or it cannot be known now.
    fn look(&mut self) -> Result<Option<Arc<StageTree>>, Unseen>;

    /// Hands on how a target stands.
    ///
    /// # Errors
    /// A sentence: it could not be told.
    fn report(&mut self, report: TargetReport) -> Result<(), String>;
}

/// Why there is no tree; the text is a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unseen {
    /// Nothing is shown yet, or there is no such share.
    Nothing(String),
    /// The server does not answer.
    Unanswered(String),
}

/// The file of a blob in a data directory, where it can be read and has the right length. Its bytes are checked by
/// whoever copies them.
pub fn blob_file(data: &Path, blake3: &Blake3Digest, size: u64) -> Option<File> {
    let hex = blake3.to_hex();
    let path = data.join("blobs").join(hex.get(..2)?).join(hex.get(2..4)?).join(&hex);
    sized_file(&path, size)
}

fn sized_file(path: &Path, size: u64) -> Option<File> {
    let file = File::open(path).ok()?;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == size).then_some(file)
}

/// A share of this process's own catalog.
pub(super) struct CatalogSource {
    shares: Arc<Shares>,
    share: ShareName,
    grace: SignedDuration,
    /// The event and the second at which the tree was last put together: a hold may end without an event.
    seen: Option<(u64, i64)>,
    tree: Option<Arc<StageTree>>,
}

impl CatalogSource {
    pub(super) fn new(shares: Arc<Shares>, share: ShareName, grace: SignedDuration) -> Self {
        Self { shares, share, grace, seen: None, tree: None }
    }
}

impl TreeSource for CatalogSource {
    fn look(&mut self) -> Result<Option<Arc<StageTree>>, Unseen> {
        let catalog = self.shares.catalog();
        let snapshot = catalog.snapshot();
        let now = snapshot.present(catalog.clock_now());
        let seen = Some((snapshot.seq(), now.as_second()));
        if self.seen == seen && self.tree.is_some() {
            return Ok(None);
        }
        self.seen = seen;
        let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
        let found = policy.and_then(|policy| Some((policy, policy.share(&self.share)?)));
        let Some((policy, share)) = found else {
            return Err(Unseen::Nothing(format!("the policy has no share {}", self.share)));
        };
        let Some(tree) = stage_tree(&snapshot, policy, share, (now, self.grace)) else {
            let problems = self.shares.problems(&self.share);
            let why = if problems.is_empty() { String::new() } else { format!(": {}", problems.join("; ")) };
            return Err(Unseen::Nothing(format!("nothing is shown yet in share {}{why}", self.share)));
        };
        if self.tree.as_deref() == Some(&tree) {
            return Ok(None);
        }
        let tree = Arc::new(tree);
        self.tree = Some(tree.clone());
        Ok(Some(tree))
    }

    fn report(&mut self, report: TargetReport) -> Result<(), String> {
        self.shares.note_target(&self.share, report);
        Ok(())
    }
}

impl Bodies for CatalogSource {
    fn open(&self, file: &StageFile) -> io::Result<Body> {
        let catalog = self.shares.catalog();
        if let Some(stored) = sized_file(&catalog.store().path(&file.blake3), file.size) {
            return Ok(Body::File(stored));
        }
        let body = catalog.body(&file.blake3, file.size).map_err(io::Error::other)?;
        body.map(Body::Bytes).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "its blob is not in the store"))
    }
}
