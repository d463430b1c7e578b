//! Cabinets, read folder by folder: for the gates, which look into them, and for shares, which unpack them.
//!
//! The `cab` crate decompresses. It opens members by name, and decompresses a folder from its start for each of them,
//! which is quadratic; and it trusts offsets. So the directory is read here, and the crate is given one folder at a
//! time, as a cabinet with a single file that spans it. Names are what the cabinet says: nothing here trusts them.

mod directory;
mod folder;

use std::io::Read;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use folder::Joined;

pub use directory::looks_like_header;

/// The first bytes of every cabinet.
pub const CABINET_SIGNATURE: &[u8] = b"MSCF";

/// Why a cabinet cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CabinetError {
    /// It does not begin like one.
    #[error("it is no cabinet")]
    NotOne,
    /// Bytes are missing or wrong.
    #[error("it is damaged or cut short: {0}")]
    Damaged(String),
    /// Something that is not read here, as the beginning of a sentence.
    #[error("{0}, which is not read here")]
    Unsupported(String),
}

impl CabinetError {
    fn damaged(why: impl ToString) -> Self {
        Self::Damaged(why.to_string())
    }
}

/// A cabinet whose directory makes sense.
pub struct Cabinet<'c> {
    /// The cabinet alone, without what follows its end.
    pub bytes: &'c [u8],
    /// Its folders.
    pub folders: Vec<Folder>,
    /// How many bytes stand before each data block, for whoever made the cabinet.
    block_reserve_bytes: u8,
}

/// A run of blocks that is compressed as one.
pub struct Folder {
    /// Where its blocks lie in the cabinet.
    blocks: Range<usize>,
    block_count: u16,
    /// The method and its parameters as the cabinet spells them.
    compression: u16,
    /// At most 2 GiB: 65,535 blocks of 32 KiB.
    unpacked_bytes: u32,
    /// Its files in order of place, none overlapping the next.
    pub files: Vec<CabinetFile>,
}

/// A member at its place in its folder's decompressed bytes.
pub struct CabinetFile {
    /// Where it begins.
    pub start: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Its name as the cabinet has it, with `/` between components. Not to be trusted.
    pub name: String,
}

impl<'c> Cabinet<'c> {
    /// Reads the directory of the cabinet at the start of `bytes`; what follows its end is ignored.
    pub fn parse(bytes: &'c [u8]) -> Result<Self, CabinetError> {
        directory::read_directory(bytes)
    }

    /// Hands all decompressed bytes of a folder to `take`, as one stream. A stream that fails may panic inside a
    /// library: read it under [`contain`].
    pub fn open<T>(&self, folder: &Folder, take: impl FnOnce(&mut dyn Read) -> T) -> Result<T, CabinetError> {
        let head = folder::header(folder, self.block_reserve_bytes);
        let blocks = self.bytes.get(folder.blocks.clone()).unwrap_or_default();
        let panicked = |_| CabinetError::damaged("its compressed bytes make no sense");
        let single = contain(|| cab::Cabinet::new(Joined::new(&head, blocks))).map_err(panicked)?;
        let mut single = single.map_err(CabinetError::damaged)?;
        let stream = contain(|| single.read_file(folder::NAME)).map_err(panicked)?;
        let mut stream = stream.map_err(CabinetError::damaged)?;
        Ok(take(&mut stream))
    }
}

/// A library panicked at hostile bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// Runs code of a library that reads hostile bytes. Some of it panics at them (an index, an overflow), and no published
/// bytes may take a thread of the server with them. What it worked on must not be used after an error.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}
