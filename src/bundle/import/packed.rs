//! From an object's packed bytes to its staged body, with both digests compared.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::bundle::{Encoding, Object};
use crate::catalog::Catalog;
use crate::store::{BlobStore as _, StagedDone, StoreError};

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

/// Unpacks a body of any size into a staged file. For a blocking thread of the runtime.
pub(super) fn stage_blocking(catalog: &Catalog, object: &Object, packed: impl Read) -> Result<StagedDone, Unfit> {
    let (store, runtime) = (catalog.store(), Handle::current());
    let mut staged = store.stage(Some(object.size))?;
    let mut failed = None;
    let unpacked = unpack(catalog, object, packed, &mut |bytes| {
        runtime.block_on(staged.append(Bytes::copy_from_slice(bytes))).map_err(|error| {
            let told = io::Error::other(error.to_string());
            failed = Some(error);
            told
        })
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    unpacked?;
    check(object, runtime.block_on(staged.finish())?)
}

/// Unpacks a small body. Blocks.
pub(super) fn unpack_small(catalog: &Catalog, object: &Object, packed: &Bytes) -> Result<StagedDone, Unfit> {
    if object.encoding == Encoding::Raw {
        return check(object, StagedDone::from_bytes(packed.clone()));
    }
    let mut body = Vec::with_capacity(usize::try_from(object.size.min(SMALL_MAX_BYTES)).unwrap_or(0));
    unpack(catalog, object, &packed[..], &mut |bytes| {
        body.extend_from_slice(bytes);
        Ok(())
    })?;
    check(object, StagedDone::from_bytes(body.into()))
}

/// The staged body, if it is the one that is promised.
pub(super) fn check(object: &Object, done: StagedDone) -> Result<StagedDone, Unfit> {
    let wrong = |why: String| Err(Unfit::Damaged(why));
    if done.size() != object.size {
        return wrong(format!("it has {} bytes instead of {}", done.size(), object.size));
    }
    if *done.blake3() != object.blake3 {
        return wrong(format!("its bytes have the BLAKE3 {}", done.blake3()));
    }
    if *done.sha256() != object.sha256 {
        return wrong(format!("its bytes have the SHA-256 {}", done.sha256()));
    }
    Ok(done)
}

/// Gives the body's bytes to `out`, never more than are promised.
fn unpack(
    catalog: &Catalog,
    object: &Object,
    packed: impl Read,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Unfit> {
    let base = match object.base {
        None => None,
        Some(base) => {
            let body = catalog.body(&base.blake3, base.size)?;
            let gone = || Unfit::Damaged(format!("it is a patch over {}, which is not here", base.blake3));
            Some(body.ok_or_else(gone)?)
        }
    };
    let _ = (base, packed, out);
    Err(Unfit::Damaged("no decoder yet".into()))
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

/// What unpacks on a thread of its own.
pub(super) fn stage(
    catalog: Arc<Catalog>,
    object: Object,
    packed: impl Read + Send + 'static,
) -> tokio::task::JoinHandle<Result<StagedDone, Unfit>> {
    tokio::task::spawn_blocking(move || stage_blocking(&catalog, &object, packed))
}
