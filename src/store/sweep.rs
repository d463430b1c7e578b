//! Removing what nothing refers to.

use std::ops::ControlFlow;

use super::{BlobStore, Removal, StoreError};
use crate::model::Blake3Digest;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct SweepReport {
    /// Blobs looked at.
    pub examined: u64,
    /// Blobs removed.
    pub removed: u64,
    /// Bytes of the removed blobs.
    pub removed_bytes: u64,
}

/// Removes every blob that is neither protected nor referenced; see [`BlobStore::remove_unless`] for what
/// `is_referenced` must be. `removed` is called after each removal, so that the index can follow. Stops at the first
/// error; what was removed until then stays removed.
pub fn sweep(
    store: &dyn BlobStore,
    is_referenced: &dyn Fn(&Blake3Digest) -> bool,
    removed: &mut dyn FnMut(&Blake3Digest),
) -> Result<SweepReport, StoreError> {
    let mut report = SweepReport::default();
    let mut outcome = Ok(());
    store.for_each(&mut |digest, _| {
        report.examined += 1;
        match store.remove_unless(&digest, is_referenced) {
            Ok(Removal::Removed(bytes)) => {
                report.removed += 1;
                report.removed_bytes += bytes;
                removed(&digest);
            }
            Ok(Removal::Kept | Removal::Missing) => {}
            Err(error) => {
                outcome = Err(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    outcome.map(|()| report)
}
