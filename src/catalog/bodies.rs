//! From an artifact to its bytes, and the blob records behind it.

use std::sync::Arc;

use bytes::Bytes;

use super::commit::Catalog;
use super::error::CatalogError;
use crate::model::{Artifact, Blake3Digest, Event, EventRecord, Sha256Digest, ShareFile, Snapshot};
use crate::store::{BlobRecord, BlobStore as _, StoreError};

/// What a record of a blob is made of.
struct Blob<'a> {
    size: u64,
    sha256: &'a Sha256Digest,
    blake3: &'a Blake3Digest,
}

impl<'a> Blob<'a> {
    fn of_artifact(artifact: &'a Artifact) -> Self {
        Self { size: artifact.size, sha256: &artifact.sha256, blake3: &artifact.blake3 }
    }

    fn of_share(file: &'a ShareFile) -> Self {
        Self { size: file.size, sha256: &file.sha256, blake3: &file.blake3 }
    }
}

impl Catalog {
    /// The bytes of a blob that a release or share is known to have; `None` if its blob is missing. Small ones come from
    /// the index, large ones are a mapping of their file. May block on the disk for a body that is not cached.
    pub fn body(&self, blake3: &Blake3Digest, size: u64) -> Result<Option<Bytes>, StoreError> {
        if self.blob_index.is_inline(size)
            && let Ok(Some(BlobRecord { inline: Some(bytes), .. })) = self.blob_index.get(blake3)
            && Blake3Digest::of(&bytes) == *blake3
        {
            return Ok(Some(bytes));
        }
        let body = self.store.open(blake3, size)?.map(|body| body.bytes);
        // As small as this, hashing costs next to nothing.
        if self.blob_index.is_inline(size) && body.as_ref().is_some_and(|bytes| Blake3Digest::of(bytes) != *blake3) {
            let (digest, path) = (*blake3, self.store.path(blake3));
            return Err(StoreError::Corrupt { digest, path, why: "its bytes hash to something else".into() });
        }
        Ok(body)
    }

    /// Writes the blob records of newly journaled releases. A failure costs speed only: the files are the truth.
    pub(super) fn index_blobs(&self, records: &[Arc<EventRecord>]) {
        for record in records {
            let blobs: Vec<Blob<'_>> = match &record.event {
                Event::ReleaseAdded { manifest, .. } => manifest.artifacts.iter().map(Blob::of_artifact).collect(),
                Event::ShareSwitched { put, .. } => put.iter().map(Blob::of_share).collect(),
                Event::BundleApplied { content, .. } => {
                    let releases = content.products.iter().flat_map(|product| {
                        product.releases.iter().filter(|release| !product.absent.contains(&release.id))
                    });
                    releases.flat_map(|release| &release.manifest.artifacts).map(Blob::of_artifact).collect()
                }
                _ => continue,
            };
            for blob in blobs {
                if let Err(error) = self.index_blob(&blob) {
                    tracing::error!(%error, blob = %blob.blake3, "a blob's record cannot be written");
                }
            }
        }
    }

    /// Writes all blob records anew; returns how many.
    pub(super) fn rebuild_blob_index(&self, snapshot: &Snapshot) -> Result<usize, CatalogError> {
        self.blob_index.clear()?;
        for product in snapshot.products() {
            for release in product.releases().iter().filter(|release| !product.is_absent(&release.id)) {
                for artifact in &release.manifest.artifacts {
                    self.index_blob(&Blob::of_artifact(artifact))?;
                }
            }
        }
        for file in snapshot.shares().flat_map(|share| share.kept_files()) {
            self.index_blob(&Blob::of_share(file))?;
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

    fn index_blob(&self, blob: &Blob<'_>) -> Result<(), CatalogError> {
        let Blob { size, sha256, blake3 } = blob;
        if self.blob_index.contains(blake3)? {
            return Ok(());
        }
        let inline = if self.blob_index.is_inline(*size) {
            // A damaged or missing file is found when it is served or scrubbed; the record itself is still right.
            let body = self.store.open(blake3, *size).ok().flatten().map(|body| body.bytes);
            body.filter(|bytes| Blake3Digest::of(bytes) == **blake3)
        } else {
            None
        };
        self.blob_index.put(blake3, &BlobRecord { size: *size, sha256: **sha256, inline })?;
        Ok(())
    }
}
