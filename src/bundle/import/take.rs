//! Taking the bytes of a volume: what is wanted of them goes into the store, object by object.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::Imports;
use super::error::{ImportError, NAMED_MAX};
use super::layout::{Placed, is_whole};
use super::packed::{PartFiles, SMALL_MAX_BYTES, Unfit, stage};
use super::session::{Assembly, Session};
use super::small::Batches;
use super::stream::{Incoming, pipe};
use crate::bundle::{Encoding, Object, volume_name};
use crate::model::{Blake3Digest, BundleId, Sha256Digest};
use crate::store::{Checked, Intake};
use crate::sys::{durable, fault};

/// What the names of files end in that are not whole yet.
pub(super) const ARRIVING: &str = ".arriving-";

static WRITERS: AtomicU64 = AtomicU64::new(0);

/// How much of a part's file is written at once.
const PART_BUFFER_BYTES: usize = 1 << 20;

/// How long one volume waits for another's large body: less than its sender waits for an answer.
const UNPACK_WAIT: Duration = Duration::from_secs(60);

/// What came of a piece of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Objects that are in the store now and were not before.
    pub taken: u64,
    /// Objects whose bytes are not what the manifest promises; at most 1,000 are named.
    pub damaged: Vec<Damaged>,
    /// Objects of the bundle that are still not here.
    pub missing: u64,
}

/// An object that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damaged {
    /// Which.
    pub blake3: Blake3Digest,
    /// What is wrong with its bytes.
    pub why: String,
}

impl Imports {
    /// Takes the bytes of a volume's file from `offset` on, until they end; what is here already is passed over, and what
    /// is damaged is named and left out. Returns once everything that was taken is durable.
    pub async fn take<B>(&self, bundle: &BundleId, volume: u32, offset: u64, body: B) -> Result<Taken, ImportError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let session = self.session(bundle)?;
        if volume == 0 || session.manifest.volumes.len() < volume as usize {
            return Err(ImportError::NoVolume(volume));
        }
        let _permit = self.taking.clone().try_acquire_owned().map_err(|_| ImportError::Busy)?;
        let mut taking = Taking {
            imports: self,
            batches: Batches::new(self.catalog.clone(), session.clone()),
            incoming: Incoming::new(body, offset),
            session: session.clone(),
        };
        let outcome = taking.run(volume, offset).await;
        // What came before a failure is kept all the same.
        let finished = taking.batches.finish().await.map_err(ImportError::from);
        let done = outcome.and(finished)?;
        let mut damaged = done.damaged;
        damaged.truncate(NAMED_MAX);
        Ok(Taken { taken: done.taken, damaged, missing: session.missing().count() as u64 })
    }
}

impl Imports {
    /// The turn to unpack a large body. Nothing is read of whoever waits for it.
    async fn turn_to_unpack(&self) -> Result<OwnedSemaphorePermit, ImportError> {
        let turn = tokio::time::timeout(UNPACK_WAIT, self.unpacking.clone().acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or(ImportError::Busy)
    }
}

struct Taking<'a, B> {
    imports: &'a Imports,
    session: Arc<Session>,
    incoming: Incoming<B>,
    batches: Batches,
}

impl<B> Taking<'_, B>
where
    B: Body<Data = Bytes> + Unpin,
{
    async fn run(&mut self, volume: u32, offset: u64) -> Result<(), ImportError> {
        let session = self.session.clone();
        for placed in session.layout.from(volume, offset) {
            let Some(object) = session.manifest.objects.get(placed.object) else { continue };
            if session.is_here(placed.object) {
                continue;
            }
            if !is_whole(object) && session.has_part(object, placed.part) {
                // Whoever brought it may be gone: a thread ends a part whose sender went away, also after the next one was
                // told to send it again. Where it was the last, nobody else puts them together.
                self.assemble(object, placed.object).await?;
                continue;
            }
            if !self.incoming.skip_to(placed.offset).await {
                return Ok(());
            }
            self.take_part(object, placed).await?;
        }
        // Whoever sends wants all of it to be read.
        self.incoming.skip_to(u64::MAX).await;
        Ok(())
    }

    async fn take_part(&mut self, object: &Object, placed: &Placed) -> Result<(), ImportError> {
        if !is_whole(object) {
            return self.take_piece(object, placed).await;
        }
        if object.size <= SMALL_MAX_BYTES && placed.size <= SMALL_MAX_BYTES {
            if let Some(packed) = self.incoming.whole(placed.size).await {
                self.batches.add_packed(placed.object, packed, object.size).await?;
            }
            return Ok(());
        }
        let staged = match object.encoding {
            Encoding::Raw => self.stage_raw(object, placed).await,
            Encoding::Zstd | Encoding::Patch => {
                let turn = self.imports.turn_to_unpack().await?;
                self.stage_packed(object, placed, turn).await
            }
        };
        self.add(placed.object, object, staged, None).await
    }

    /// A body that lies in the volume as it is.
    async fn stage_raw(&mut self, object: &Object, placed: &Placed) -> Result<Option<Checked>, Unfit> {
        let mut intake = Intake::begin(self.imports.catalog.store(), object.body())?;
        while intake.len() < placed.size {
            let Some(bytes) = self.incoming.next(placed.size - intake.len()).await else { return Ok(None) };
            intake.append(bytes).await?;
        }
        Ok(Some(intake.check().await?))
    }

    /// A body that a thread of its own unpacks while its bytes come in.
    async fn stage_packed(
        &mut self,
        object: &Object,
        placed: &Placed,
        turn: OwnedSemaphorePermit,
    ) -> Result<Option<Checked>, Unfit> {
        let (sender, reader) = pipe();
        let unpacked = stage(self.imports.catalog.clone(), turn, object.clone(), reader);
        let end = placed.offset.saturating_add(placed.size);
        let is_whole = self.send(sender, end).await;
        let staged = unpacked.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        match staged {
            // Of what was cut off, nothing is damaged.
            Err(Unfit::Damaged(_)) if !is_whole => Ok(None),
            staged => staged.map(Some),
        }
    }

    /// Gives everything up to `end` to who reads it; false where the body ends before.
    async fn send(&mut self, sender: tokio::sync::mpsc::Sender<Bytes>, end: u64) -> bool {
        while self.incoming.position() < end {
            let Some(bytes) = self.incoming.next(end - self.incoming.position()).await else { return false };
            if sender.send(bytes).await.is_err() {
                // Whoever unpacks has found damage: the rest is of no use.
                drop(sender);
                return self.incoming.skip_to(end).await;
            }
        }
        true
    }

    async fn add(
        &mut self,
        index: usize,
        object: &Object,
        staged: Result<Option<Checked>, Unfit>,
        assembly: Option<Assembly>,
    ) -> Result<(), ImportError> {
        match staged {
            Ok(Some(staged)) => self.batches.add_staged(index, staged, assembly).await?,
            Ok(None) => {}
            Err(Unfit::Damaged(why)) => self.batches.done.damaged.push(Damaged { blake3: object.blake3, why }),
            Err(Unfit::Store(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// One of several parts: kept until the others are here.
    async fn take_piece(&mut self, object: &Object, placed: &Placed) -> Result<(), ImportError> {
        let Some(expected) = object.parts.get(placed.part).map(|part| part.sha256) else { return Ok(()) };
        let (sender, reader) = pipe();
        let path = self.session.part_path(object, placed.part);
        let written = tokio::task::spawn_blocking({
            let (path, size) = (path.clone(), placed.size);
            move || write_part(path, size, expected, reader)
        });
        let is_whole = self.send(sender, placed.offset.saturating_add(placed.size)).await;
        let written = written.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        if !written {
            if is_whole {
                let why = format!("part {} of it in {} has other bytes", placed.part + 1, volume_name(placed.volume));
                self.batches.done.damaged.push(Damaged { blake3: object.blake3, why });
            }
            return Ok(());
        }
        self.assemble(object, placed.object).await
    }

    /// Puts an object together whose parts are all here, unless another request does.
    async fn assemble(&mut self, object: &Object, index: usize) -> Result<(), ImportError> {
        let all_here = || (0..object.parts.len()).all(|part| self.session.has_part(object, part));
        if !all_here() {
            return Ok(());
        }
        let Some(assembly) = self.session.begin_assembly(index) else { return Ok(()) };
        // It may have been put together since the look.
        if self.session.is_here(index) || !all_here() {
            return Ok(());
        }
        // Last, so that nobody waits while another puts this very object together.
        let turn = self.imports.turn_to_unpack().await?;
        let paths = (0..object.parts.len()).map(|part| self.session.part_path(object, part)).collect();
        let unpacked = stage(self.imports.catalog.clone(), turn, object.clone(), PartFiles::new(paths)).await;
        let staged = unpacked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        if let Err(Unfit::Damaged(_)) = &staged {
            // Each part is as promised, and together they are not: they are asked for again.
            self.session.remove_parts(object);
        }
        self.add(index, object, staged.map(Some), Some(assembly)).await
    }
}

/// Writes a part's file, durable on return; false where the bytes are not those that are promised.
fn write_part(path: PathBuf, size: u64, expected: Sha256Digest, mut from: impl Read) -> std::io::Result<bool> {
    // Of its own, as the same part may come twice at once.
    let mut temporary = path.clone().into_os_string();
    temporary.push(format!("{ARRIVING}{}", WRITERS.fetch_add(1, Ordering::Relaxed)));
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; PART_BUFFER_BYTES];
    let mut written = 0u64;
    loop {
        let length = from.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        file.write_all(bytes)?;
        written += length as u64;
    }
    if written != size || Sha256Digest::from_bytes(hasher.finalize().into()) != expected {
        durable::remove_file(&temporary)?;
        return Ok(false);
    }
    file.sync_all()?;
    fault::point("import.part-synced");
    durable::rename_durably(&temporary, &path)?;
    Ok(true)
}
