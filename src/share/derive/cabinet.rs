//! Cabinets, unpacked folder by folder.

use super::body::{deliver, skip_gap};
use super::listing::{Listed, check, check_count, parse_name};
use super::{DeriveError, Member, UnpackLimits};
use crate::gate::{Cabinet as Directory, CabinetError};

pub(super) use crate::gate::{CABINET_SIGNATURE as SIGNATURE, looks_like_header};

/// A cabinet whose directory makes sense, with names that are safe everywhere.
pub(super) struct Cabinet<'c> {
    directory: Directory<'c>,
    /// The files of each folder, in order of place.
    listed: Vec<Vec<Listed>>,
}

impl From<CabinetError> for DeriveError {
    fn from(error: CabinetError) -> Self {
        match error {
            CabinetError::NotOne => Self::NotAnArchive,
            CabinetError::Damaged(why) => Self::Damaged { why },
            CabinetError::Unsupported(what) => Self::Unsupported { what },
        }
    }
}

impl<'c> Cabinet<'c> {
    /// Reads the directory of the cabinet at the start of `bytes`; what follows its end is ignored.
    pub(super) fn parse(bytes: &'c [u8]) -> Result<Self, DeriveError> {
        let directory = Directory::parse(bytes)?;
        let listed = directory.folders.iter().map(|folder| {
            let files = folder.files.iter();
            files.map(|file| Ok(Listed { name: parse_name(&file.name)?, size: file.size })).collect()
        });
        let listed = listed.collect::<Result<_, DeriveError>>()?;
        Ok(Self { directory, listed })
    }

    pub(super) fn unpack(
        &self,
        limits: &UnpackLimits,
        sink: &mut dyn FnMut(Member<'_>) -> Result<(), DeriveError>,
    ) -> Result<(), DeriveError> {
        check_count(self.listed.iter().map(Vec::len).sum(), limits)?;
        let listed: Vec<&Listed> = self.listed.iter().flatten().collect();
        check(&listed, self.directory.bytes.len() as u64, limits)?;
        for (folder, listed) in self.directory.folders.iter().zip(&self.listed) {
            if listed.is_empty() {
                continue;
            }
            // Decompressed once, and cut into members.
            self.directory.open(folder, |mut stream| -> Result<(), DeriveError> {
                let mut at = 0;
                for (file, listed) in folder.files.iter().zip(listed) {
                    skip_gap(&mut stream, file.start - at)?;
                    deliver(listed, &mut stream, sink)?;
                    at = file.start + file.size;
                }
                Ok(())
            })??;
        }
        Ok(())
    }
}
