//! Objects on their way into the store together: one fsync for many.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::packed::{Unfit, unpack_small};
use super::session::{Assembly, Session};
use super::take::Damaged;
use crate::bundle::Encoding;
use crate::catalog::Catalog;
use crate::store::{Checked, NamedBatch, SealedBatch, StoreError};

/// Objects of one batch: each has a file open.
const OBJECTS_MAX: usize = 512;
/// Bodies that lie in memory. Each batch costs a flush of the file system, so small batches are slow.
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

/// Collects objects. While a batch fills, the one before it is unpacked and written, and the one before that gets its
/// names.
pub(super) struct Batches {
    catalog: Arc<Catalog>,
    session: Arc<Session>,
    waiting: Vec<(usize, Waiting)>,
    memory_bytes: u64,
    bytes: u64,
    preparing: Option<JoinHandle<Result<Prepared, StoreError>>>,
    naming: Option<JoinHandle<Result<(u64, InPlace), StoreError>>>,
    in_place: InPlace,
    pub(super) done: Done,
}

/// What came of batches.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) taken: u64,
    pub(super) damaged: Vec<Damaged>,
}

/// A batch whose bodies are written.
struct Prepared {
    sealed: SealedBatch,
    members: Members,
    damaged: Vec<Damaged>,
}

/// A batch whose bodies have their names, which are not durable yet.
#[derive(Default)]
struct InPlace {
    named: NamedBatch,
    members: Members,
}

/// The objects of a batch, and the turns of those that were put together from parts.
#[derive(Default)]
struct Members {
    objects: Vec<usize>,
    assemblies: Vec<Assembly>,
}

impl Batches {
    pub(super) fn new(catalog: Arc<Catalog>, session: Arc<Session>) -> Self {
        Self {
            catalog,
            session,
            waiting: Vec::new(),
            memory_bytes: 0,
            bytes: 0,
            preparing: None,
            naming: None,
            in_place: InPlace::default(),
            done: Done::default(),
        }
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
        self.hand_over_if_full().await
    }

    /// Adds a small one that is packed as it came; `size` is the body's.
    pub(super) async fn add_packed(&mut self, object: usize, packed: Bytes, size: u64) -> Result<(), StoreError> {
        let is_raw = self.session.manifest.objects.get(object).is_some_and(|object| object.encoding == Encoding::Raw);
        // What came raw is the body itself.
        self.memory_bytes += packed.len() as u64 + if is_raw { 0 } else { size };
        self.bytes += size;
        // What came in a larger buffer would keep all of it.
        self.waiting.push((object, Waiting::Packed(Bytes::copy_from_slice(&packed))));
        self.hand_over_if_full().await
    }

    async fn hand_over_if_full(&mut self) -> Result<(), StoreError> {
        let is_full =
            self.waiting.len() >= OBJECTS_MAX || self.memory_bytes >= MEMORY_MAX_BYTES || self.bytes >= BYTES_MAX;
        if is_full { self.hand_over().await } else { Ok(()) }
    }

    async fn hand_over(&mut self) -> Result<(), StoreError> {
        self.name_prepared().await?;
        let waiting = std::mem::take(&mut self.waiting);
        (self.memory_bytes, self.bytes) = (0, 0);
        let (catalog, session) = (self.catalog.clone(), self.session.clone());
        self.preparing = Some(spawn_blocking(move || prepare(&catalog, &session, waiting)));
        Ok(())
    }

    /// Waits until the batch handed over last is written and the one before it has its names, and begins to give it its own.
    async fn name_prepared(&mut self) -> Result<(), StoreError> {
        let Some(preparing) = self.preparing.take() else { return Ok(()) };
        let Prepared { sealed, members, damaged } = joined(preparing).await?;
        self.done.damaged.extend(damaged);
        self.wait_for_names().await?;
        let (catalog, session, before) =
            (self.catalog.clone(), self.session.clone(), std::mem::take(&mut self.in_place));
        self.naming = Some(spawn_blocking(move || {
            let (durable, named) = catalog.store().name_all(before.named, sealed)?;
            before.members.mark_here(&session);
            Ok((durable.len() as u64, InPlace { named, members }))
        }));
        Ok(())
    }

    async fn wait_for_names(&mut self) -> Result<(), StoreError> {
        if let Some(naming) = self.naming.take() {
            let (durable, in_place) = joined(naming).await?;
            self.done.taken += durable;
            self.in_place = in_place;
        }
        Ok(())
    }

    /// Commits what waits, and returns once all is durable.
    pub(super) async fn finish(mut self) -> Result<Done, StoreError> {
        self.hand_over().await?;
        self.name_prepared().await?;
        self.wait_for_names().await?;
        let (catalog, session, InPlace { named, members }) = (self.catalog, self.session, self.in_place);
        let settling = spawn_blocking(move || {
            let durable = catalog.store().settle(named)?;
            members.mark_here(&session);
            Ok(durable.len() as u64)
        });
        self.done.taken += joined(settling).await?;
        Ok(self.done)
    }
}

/// What a blocking thread answers.
async fn joined<T>(thread: JoinHandle<Result<T, StoreError>>) -> Result<T, StoreError> {
    thread.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Unpacks what is packed, and writes it.
fn prepare(catalog: &Catalog, session: &Session, waiting: Vec<(usize, Waiting)>) -> Result<Prepared, StoreError> {
    let (mut checked, mut members, mut damaged) = (Vec::new(), Members::default(), Vec::new());
    for (index, waiting) in waiting {
        let Some(object) = session.manifest.objects.get(index) else { continue };
        let unpacked = match waiting {
            Waiting::Staged(one, assembly) => {
                members.assemblies.extend(assembly);
                Ok(one)
            }
            Waiting::Packed(packed) => unpack_small(catalog, object, &packed),
        };
        match unpacked {
            Ok(one) => {
                members.objects.push(index);
                checked.push(one);
            }
            Err(Unfit::Damaged(why)) => damaged.push(Damaged { blake3: object.blake3, why }),
            Err(Unfit::Store(error)) => return Err(error),
        }
    }
    let sealed = catalog.store().seal_all(checked)?;
    Ok(Prepared { sealed, members, damaged })
}

impl Members {
    /// The objects count as here from now on. The session protects all of its manifest's, so the protections of the
    /// commits may end.
    fn mark_here(self, session: &Session) {
        for index in self.objects {
            session.mark(index);
            if let Some(object) = session.manifest.objects.get(index).filter(|object| object.parts.len() > 1) {
                session.remove_parts(object);
            }
        }
    }
}
