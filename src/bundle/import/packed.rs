//! From an object's packed bytes to its staged body, with both digests compared.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::bundle::{DecodeError, Encoding, Object, decode};
use crate::catalog::Catalog;
use crate::store::{BlockingIntake, Checked, IntakeError, StoreError};

/// A body that is no larger than this is unpacked in memory.
pub(super) const SMALL_MAX_BYTES: u64 = 256 << 10;

/// Why an object was not taken.
#[derive(Debug)]
pub(super) enum Unfit {
    /// Its bytes are not what the manifest promises.
    Damaged(String),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Unfit {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<IntakeError> for Unfit {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Store(error) => Self::Store(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl<E: Into<Unfit> + std::error::Error + 'static> From<DecodeError<E>> for Unfit {
    fn from(error: DecodeError<E>) -> Self {
        match error {
            DecodeError::Taken(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<Infallible> for Unfit {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Unpacks a body of any size into a staged file. Blocks.
pub(super) fn stage_blocking(catalog: &Catalog, object: &Object, packed: impl Read) -> Result<Checked, Unfit> {
    let mut intake = BlockingIntake::begin(catalog.store(), object.body())?;
    decode(object, base(catalog, object)?.as_deref(), packed, |bytes| intake.append(bytes))?;
    Ok(intake.check()?)
}

/// Unpacks a small body. Blocks.
pub(super) fn unpack_small(catalog: &Catalog, object: &Object, packed: &Bytes) -> Result<Checked, Unfit> {
    if object.encoding == Encoding::Raw {
        return Ok(Checked::of_bytes(&object.body(), packed.clone())?);
    }
    let mut body = Vec::with_capacity(usize::try_from(object.size.min(SMALL_MAX_BYTES)).unwrap_or(0));
    decode::<Infallible>(object, base(catalog, object)?.as_deref(), &packed[..], |bytes| {
        body.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(Checked::of_bytes(&object.body(), body.into())?)
}

/// The body that a patch is over: a mapping, so that it takes no memory.
fn base(catalog: &Catalog, object: &Object) -> Result<Option<Bytes>, Unfit> {
    let Some(base) = object.base else { return Ok(None) };
    let body = catalog.body(&base.blake3, base.size)?;
    body.map(Some).ok_or_else(|| Unfit::Damaged(format!("it is a patch over {}, which is not here", base.blake3)))
}

/// The parts of an object, one after the other.
pub(super) struct PartFiles {
    left: std::vec::IntoIter<std::path::PathBuf>,
    open: Option<File>,
}

impl PartFiles {
    pub(super) fn new(paths: Vec<std::path::PathBuf>) -> Self {
        Self { left: paths.into_iter(), open: None }
    }
}

impl Read for PartFiles {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(file) = &mut self.open {
                match file.read(into)? {
                    0 => self.open = None,
                    length => return Ok(length),
                }
            }
            match self.left.next() {
                Some(path) => self.open = Some(File::open(path)?),
                None => return Ok(0),
            }
        }
    }
}

/// What unpacks on a thread of its own. The turn ends with the thread, also where nobody waits for it any more.
pub(super) fn stage(
    catalog: Arc<Catalog>,
    turn: OwnedSemaphorePermit,
    object: Object,
    packed: impl Read + Send + 'static,
) -> tokio::task::JoinHandle<Result<Checked, Unfit>> {
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        stage_blocking(&catalog, &object, packed)
    })
}
