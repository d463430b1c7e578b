//! Objects on their way into the store together: one fsync for many.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::packed::{Unfit, unpack_small};
use super::session::{Assembly, Session};
use super::take::Damaged;
use crate::bundle::Encoding;
use crate::catalog::Catalog;
use crate::store::{Checked, Committed, StoreError};

/// Objects of one batch: each has a file open.
const OBJECTS_MAX: usize = 512;
/// Bodies that lie in memory. Each batch costs two flushes of the file system, so small batches are slow.
const MEMORY_MAX_BYTES: u64 = 16 << 20;
/// Bytes that wait for one fsync.
const BYTES_MAX: u64 = 256 << 20;

/// One object of a batch.
enum Waiting {
    /// Whole, in a file; with the turn of what was put together from parts, which ends once it is durable.
    Staged(Checked, Option<Assembly>),
    /// Still packed, in memory.
    Packed(Bytes),
}

/// Collects objects, and commits the batch before while the next one fills.
pub(super) struct Batch {
    catalog: Arc<Catalog>,
    session: Arc<Session>,
    waiting: Vec<(usize, Waiting)>,
    memory_bytes: u64,
    bytes: u64,
    running: Option<JoinHandle<Result<Done, StoreError>>>,
    pub(super) done: Done,
}

/// What came of batches.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) taken: u64,
    pub(super) damaged: Vec<Damaged>,
}

impl Batch {
    pub(super) fn new(catalog: Arc<Catalog>, session: Arc<Session>) -> Self {
        Self { catalog, session, waiting: Vec::new(), memory_bytes: 0, bytes: 0, running: None, done: Done::default() }
    }

    /// Adds a body that is staged and checked.
    pub(super) async fn add_staged(
        &mut self,
        object: usize,
        staged: Checked,
        assembly: Option<Assembly>,
    ) -> Result<(), StoreError> {
        self.bytes += staged.size();
        self.waiting.push((object, Waiting::Staged(staged, assembly)));
        self.commit_if_full().await
    }

    /// Adds a small one that is packed as it came; `size` is the body's.
    pub(super) async fn add_packed(&mut self, object: usize, packed: Bytes, size: u64) -> Result<(), StoreError> {
        let is_raw = self.session.manifest.objects.get(object).is_some_and(|object| object.encoding == Encoding::Raw);
        // What came raw is the body itself.
        self.memory_bytes += packed.len() as u64 + if is_raw { 0 } else { size };
        self.bytes += size;
        // What came in a larger buffer would keep all of it.
        self.waiting.push((object, Waiting::Packed(Bytes::copy_from_slice(&packed))));
        self.commit_if_full().await
    }

    async fn commit_if_full(&mut self) -> Result<(), StoreError> {
        let is_full =
            self.waiting.len() >= OBJECTS_MAX || self.memory_bytes >= MEMORY_MAX_BYTES || self.bytes >= BYTES_MAX;
        if is_full { self.hand_over().await } else { Ok(()) }
    }

    async fn hand_over(&mut self) -> Result<(), StoreError> {
        self.rest().await?;
        let waiting = std::mem::take(&mut self.waiting);
        (self.memory_bytes, self.bytes) = (0, 0);
        let (catalog, session) = (self.catalog.clone(), self.session.clone());
        self.running = Some(tokio::task::spawn_blocking(move || commit(&catalog, &session, waiting)));
        Ok(())
    }

    async fn rest(&mut self) -> Result<(), StoreError> {
        if let Some(running) = self.running.take() {
            let done = running.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
            self.done.taken += done.taken;
            self.done.damaged.extend(done.damaged);
        }
        Ok(())
    }

    /// Commits what waits, and returns once all is durable.
    pub(super) async fn finish(mut self) -> Result<Done, StoreError> {
        self.hand_over().await?;
        self.rest().await?;
        Ok(self.done)
    }
}

fn commit(catalog: &Catalog, session: &Session, waiting: Vec<(usize, Waiting)>) -> Result<Done, StoreError> {
    let mut done = Done::default();
    let (mut indices, mut staged, mut assemblies) = (Vec::new(), Vec::new(), Vec::new());
    for (index, waiting) in waiting {
        let Some(object) = session.manifest.objects.get(index) else { continue };
        let unpacked = match waiting {
            Waiting::Staged(one, assembly) => {
                assemblies.extend(assembly);
                Ok(one)
            }
            Waiting::Packed(packed) => unpack_small(catalog, object, &packed),
        };
        match unpacked {
            Ok(one) => {
                indices.push(index);
                staged.push(one);
            }
            Err(Unfit::Damaged(why)) => done.damaged.push(Damaged { blake3: object.blake3, why }),
            Err(Unfit::Store(error)) => return Err(error),
        }
    }
    // The session protects all objects of its manifest, so these protections may end here.
    let committed: Vec<Committed> = catalog.store().commit_all(staged)?;
    done.taken = committed.len() as u64;
    for index in indices {
        session.mark(index);
        if let Some(object) = session.manifest.objects.get(index).filter(|object| object.parts.len() > 1) {
            session.remove_parts(object);
        }
    }
    Ok(done)
}
