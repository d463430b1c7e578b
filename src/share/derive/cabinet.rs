//! Cabinets, read folder by folder.
//!
//! The `cab` crate decompresses. It opens members by name, and decompresses a folder from its start for each of them,
//! which is quadratic; and it trusts offsets. So the directory is read here, and the crate is given one folder at a
//! time, as a cabinet with a single file that spans it.

mod directory;
mod folder;

use super::body::{contain, deliver, skip_gap};
use super::listing::{Listed, check, check_count};
use super::{DeriveError, Member, UnpackLimits};
use directory::{Folder, read_directory};
use folder::Joined;

pub(super) use directory::looks_like_header;

/// The first bytes of every cabinet.
pub(super) const SIGNATURE: &[u8] = b"MSCF";

/// A cabinet whose directory makes sense.
pub(super) struct Cabinet<'c> {
    bytes: &'c [u8],
    folders: Vec<Folder>,
    /// How many bytes stand before each data block, for whoever made the cabinet.
    block_reserve_bytes: u8,
}

/// A member at its place in its folder's decompressed bytes.
struct Placed {
    start: u64,
    listed: Listed,
}

impl<'c> Cabinet<'c> {
    /// Reads the directory of the cabinet at the start of `bytes`; what follows its end is ignored.
    pub(super) fn parse(bytes: &'c [u8]) -> Result<Self, DeriveError> {
        read_directory(bytes)
    }

    pub(super) fn unpack(
        &self,
        limits: &UnpackLimits,
        sink: &mut dyn FnMut(Member<'_>) -> Result<(), DeriveError>,
    ) -> Result<(), DeriveError> {
        check_count(self.folders.iter().map(|folder| folder.files.len()).sum(), limits)?;
        let listed: Vec<&Listed> =
            self.folders.iter().flat_map(|folder| &folder.files).map(|file| &file.listed).collect();
        check(&listed, self.bytes.len() as u64, limits)?;
        self.folders.iter().filter(|folder| !folder.files.is_empty()).try_for_each(|folder| self.open(folder, sink))
    }

    /// Decompresses a folder once, and cuts its bytes into members.
    fn open(
        &self,
        folder: &Folder,
        sink: &mut dyn FnMut(Member<'_>) -> Result<(), DeriveError>,
    ) -> Result<(), DeriveError> {
        let head = folder::header(folder, self.block_reserve_bytes);
        let blocks = self.bytes.get(folder.blocks.clone()).unwrap_or_default();
        let mut single = contain(|| cab::Cabinet::new(Joined::new(&head, blocks)))?.map_err(DeriveError::damaged)?;
        let mut stream = contain(|| single.read_file(folder::NAME))?.map_err(DeriveError::damaged)?;
        let mut at = 0;
        for file in &folder.files {
            skip_gap(&mut stream, file.start - at)?;
            deliver(&file.listed, &mut stream, sink)?;
            at = file.start + file.listed.size;
        }
        Ok(())
    }
}
