//! From an artifact to its bytes, and the blob records behind it.

use std::sync::Arc;

use bytes::Bytes;

use super::commit::Catalog;
use super::error::CatalogError;
use crate::model::{Artifact, Blake3Digest, Event, EventRecord, Snapshot};
use crate::store::{BlobRecord, BlobStore as _, StoreError};

impl Catalog {
    /// The bytes of an artifact of a release that is known to exist; `None` if its blob is missing. Small ones come from
    /// the index, large ones are a mapping of their file. May block on the disk for a body that is not cached.
    pub fn body(&self, artifact: &Artifact) -> Result<Option<Bytes>, StoreError> {
        if self.blob_index.is_inline(artifact.size)
            && let Ok(Some(BlobRecord { inline: Some(bytes), .. })) = self.blob_index.get(&artifact.blake3)
            && Blake3Digest::of(&bytes) == artifact.blake3
        {
            return Ok(Some(bytes));
        }
        let body = self.store.open(&artifact.blake3, artifact.size)?.map(|body| body.bytes);
        // As small as this, hashing costs next to nothing.
        if self.blob_index.is_inline(artifact.size)
            && body.as_ref().is_some_and(|bytes| Blake3Digest::of(bytes) != artifact.blake3)
        {
            let (digest, path) = (artifact.blake3, self.store.path(&artifact.blake3));
            return Err(StoreError::Corrupt { digest, path, why: "its bytes hash to something else".into() });
        }
        Ok(body)
    }

    /// Writes the blob records of newly journaled releases. A failure costs speed only: the files are the truth.
    pub(super) fn index_blobs(&self, records: &[Arc<EventRecord>]) {
        for record in records {
            let Event::ReleaseAdded { manifest, .. } = &record.event else { continue };
            for artifact in &manifest.artifacts {
                if let Err(error) = self.index_blob(artifact) {
                    tracing::error!(%error, blob = %artifact.blake3, "a blob's record cannot be written");
                }
            }
        }
    }

    /// Writes all blob records anew; returns how many.
    pub(super) fn rebuild_blob_index(&self, snapshot: &Snapshot) -> Result<usize, CatalogError> {
        self.blob_index.clear()?;
        for product in snapshot.products() {
            for release in product.releases() {
                for artifact in &release.manifest.artifacts {
                    self.index_blob(artifact)?;
                }
            }
        }
        Ok(self.blob_index.len()?)
    }

    /// Removes the record of a blob that was swept.
    pub fn forget_blob(&self, blob: &Blake3Digest) {
        if let Err(error) = self.blob_index.remove(blob) {
            tracing::error!(%error, %blob, "the record of a removed blob stays");
        }
    }

    /// How many blob records there are.
    pub fn indexed_blobs(&self) -> Result<usize, CatalogError> {
        Ok(self.blob_index.len()?)
    }

    fn index_blob(&self, artifact: &Artifact) -> Result<(), CatalogError> {
        let Artifact { size, sha256, blake3, .. } = artifact;
        if self.blob_index.contains(blake3)? {
            return Ok(());
        }
        let inline = if self.blob_index.is_inline(*size) {
            // A damaged or missing file is found when it is served or scrubbed; the record itself is still right.
            let body = self.store.open(blake3, *size).ok().flatten().map(|body| body.bytes);
            body.filter(|bytes| Blake3Digest::of(bytes) == *blake3)
        } else {
            None
        };
        self.blob_index.put(blake3, &BlobRecord { size: *size, sha256: *sha256, inline })?;
        Ok(())
    }
}
