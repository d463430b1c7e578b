//! Writing a bundle to a directory of its own: each file under a temporary name, read for damage as it comes, fsynced, and
//! only then under its own; the signature last, so that a bundle that was not finished is never taken for one that was.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Layout, MANIFEST_NAME, Piece, SIGNATURE_NAME, volume_name};
use crate::model::{Blake3Digest, Sha256Digest};
use crate::sys::{durable, fault};

/// What every file's name begins with until it is whole.
const TEMPORARY: &str = ".ringfence-";
/// What a volume may have where nothing is said.
const VOLUME_BYTES: u64 = 4 << 30;
/// What names and directory entries may take on a medium.
const SLACK_BYTES: u64 = 1 << 20;

/// Why a bundle was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something is in the directory.
    #[error("{} is not empty ({found} is in it): a bundle is written to an empty directory, so empty it or name another one", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// What was found first.
        found: String,
    },
    /// An earlier export did not end.
    #[error("{} has an export in it that was not finished ({found}): empty it, and export again", dir.display())]
    Unfinished {
        /// The directory.
        dir: PathBuf,
        /// What was found first.
        found: String,
    },
    /// It is no directory.
    #[error("{} is not a directory", dir.display())]
    NotADirectory {
        /// The path.
        dir: PathBuf,
    },
    /// The file system holds no such volumes.
    #[error(
        "{} is on a FAT file system, whose files have at most {max} bytes, and volumes of {asked} bytes were asked for: give a smaller --volume-size", dir.display()
    )]
    FatLimit {
        /// The directory.
        dir: PathBuf,
        /// The longest file.
        max: u64,
        /// What was asked for.
        asked: u64,
    },
    /// It does not fit.
    #[error("{} has {free} bytes free, and the bundle has {needed}: make room there, or use another medium", dir.display())]
    NoRoom {
        /// The directory.
        dir: PathBuf,
        /// What is free.
        free: u64,
        /// What it takes.
        needed: u64,
    },
    /// The medium is full.
    #[error("{}: no space is left on the medium; use another one, or an empty one", path.display())]
    Full {
        /// What was being written.
        path: PathBuf,
    },
    /// The medium cannot be written.
    #[error("{}: the medium is read-only; unlock it or mount it for writing", path.display())]
    ReadOnly {
        /// What was being written.
        path: PathBuf,
    },
    /// Something else went wrong.
    #[error("{}: {cause}; the medium may be damaged or gone, so export again to another one", path.display())]
    Io {
        /// What was being written.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// It may not be written.
    #[error("{}: {cause}", path.display())]
    NotAllowed {
        /// What was being written.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// What came is not what the manifest says.
    #[error(
        "object {object} is damaged at the origin: `ringfence store scrub` there finds it; publish its release again, then export again"
    )]
    Damaged {
        /// The object.
        object: Blake3Digest,
    },
    /// There were more bytes than the manifest says, or fewer.
    #[error("{name} came with {found} bytes, and has {expected}: export again")]
    Length {
        /// The volume.
        name: String,
        /// What came.
        found: u64,
        /// What the manifest says.
        expected: u64,
    },
}

impl WriteError {
    fn of(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        match cause.kind() {
            _ if durable::is_full(&cause) => Self::Full { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::PermissionDenied => Self::NotAllowed { path, cause },
            _ => Self::Io { path, cause },
        }
    }
}

/// An empty directory that a bundle is written to.
#[derive(Debug)]
pub struct BundleWriter {
    dir: PathBuf,
}

impl BundleWriter {
    /// Takes a directory that is empty, or makes it; only its last part is created.
    pub fn open(dir: &Path) -> Result<Self, WriteError> {
        match fs::create_dir(dir) {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(WriteError::of(dir, cause)),
        }
        let metadata = fs::metadata(dir).map_err(|cause| WriteError::of(dir, cause))?;
        if !metadata.is_dir() {
            return Err(WriteError::NotADirectory { dir: dir.to_owned() });
        }
        let mut entries = fs::read_dir(dir).map_err(|cause| WriteError::of(dir, cause))?;
        if let Some(entry) = entries.next() {
            let found = entry.map_err(|cause| WriteError::of(dir, cause))?.file_name().to_string_lossy().into_owned();
            let is_ours = found.starts_with(TEMPORARY) || found.starts_with("vol-") || found == MANIFEST_NAME;
            let dir = dir.to_owned();
            return Err(match is_ours && !dir.join(SIGNATURE_NAME).exists() {
                true => WriteError::Unfinished { dir, found },
                false => WriteError::NotEmpty { dir, found },
            });
        }
        // Tried before a server works for it: the medium may be read-only.
        let probe = dir.join(format!("{TEMPORARY}probe"));
        File::create_new(&probe).map_err(|cause| WriteError::of(dir, cause))?;
        durable::remove_file(&probe).map_err(|cause| WriteError::of(dir, cause))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// How long volumes may be here: as asked, or as usual.
    pub fn volume_bytes(&self, asked: Option<u64>) -> Result<u64, WriteError> {
        let max = durable::file_max_bytes(&self.dir).map_err(|cause| WriteError::of(&self.dir, cause))?;
        match (asked, max) {
            (Some(asked), Some(max)) if asked > max => Err(WriteError::FatLimit { dir: self.dir.clone(), max, asked }),
            (Some(asked), _) => Ok(asked),
            (None, max) => Ok(VOLUME_BYTES.min(max.unwrap_or(u64::MAX))),
        }
    }

    /// Whether so many bytes fit, as far as that can be told.
    pub fn check_room(&self, bytes: u64) -> Result<(), WriteError> {
        let free = durable::free_space_bytes(&self.dir).map_err(|cause| WriteError::of(&self.dir, cause))?;
        let needed = bytes.saturating_add(SLACK_BYTES);
        if free < needed { Err(WriteError::NoRoom { dir: self.dir.clone(), free, needed: bytes }) } else { Ok(()) }
    }

    /// Begins a volume.
    pub fn volume<'a>(&self, layout: &'a Layout, number: u32) -> Result<VolumeWriter<'a>, WriteError> {
        let expected = layout.size(number).unwrap_or_default();
        Ok(VolumeWriter {
            file: NewFile::create(&self.dir, &volume_name(number))?,
            pieces: layout.pieces(number),
            hasher: Sha256::new(),
            at: 0,
            expected,
        })
    }

    /// Writes the manifest and then the signature; the bundle is whole and durable on return.
    pub fn finish(self, manifest: &[u8], signature: &[u8]) -> Result<(), WriteError> {
        for (name, bytes) in [(MANIFEST_NAME, manifest), (SIGNATURE_NAME, signature)] {
            let mut file = NewFile::create(&self.dir, name)?;
            file.write(bytes)?;
            file.publish()?;
            fault::point("export.file-named");
        }
        Ok(())
    }
}

/// A file that has no name yet that anybody looks for, and vanishes if it never gets one.
#[derive(Debug)]
struct NewFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    is_whole: bool,
}

impl NewFile {
    fn create(dir: &Path, name: &str) -> Result<Self, WriteError> {
        let (path, temporary) = (dir.join(name), dir.join(format!("{TEMPORARY}{name}")));
        let file = File::options().write(true).create_new(true).open(&temporary);
        let file = file.map_err(|cause| WriteError::of(&path, cause))?;
        Ok(Self { file, temporary, path, is_whole: false })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.file.write_all(bytes).map_err(|cause| WriteError::of(&self.path, cause))
    }

    fn publish(mut self) -> Result<(), WriteError> {
        let published = self.file.sync_all().and_then(|()| durable::rename_durably(&self.temporary, &self.path));
        published.map_err(|cause| WriteError::of(&self.path, cause))?;
        self.is_whole = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_whole {
            // What cannot be removed from a medium that fails is named as unfinished by the next export.
            let _ = durable::remove_file(&self.temporary);
        }
    }
}

/// A volume that is being written.
#[derive(Debug)]
pub struct VolumeWriter<'a> {
    file: NewFile,
    /// The parts that are still to come, or to end.
    pieces: &'a [Piece],
    hasher: Sha256,
    at: u64,
    expected: u64,
}

impl VolumeWriter<'_> {
    /// How many bytes it has so far.
    pub fn len(&self) -> u64 {
        self.at
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// Adds bytes at the end, and compares the parts that end in them with their digests.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let end = self.at + bytes.len() as u64;
        if end > self.expected {
            return Err(self.wrong_length(end));
        }
        while let Some(piece) = self.pieces.first().filter(|piece| piece.offset < end || piece.size == 0) {
            let from = piece.offset.max(self.at);
            let to = (piece.offset + piece.size).min(end);
            if from < to {
                self.hasher.update(&bytes[(from - self.at) as usize..(to - self.at) as usize]);
            }
            if to < piece.offset + piece.size {
                break;
            }
            let digest = Sha256Digest::from_bytes(self.hasher.finalize_reset().into());
            if digest != piece.sha256 {
                return Err(WriteError::Damaged { object: piece.blake3 });
            }
            self.pieces = &self.pieces[1..];
        }
        self.file.write(bytes)?;
        self.at = end;
        fault::point("export.piece-written");
        Ok(())
    }

    /// Gives it its name; durable on return.
    pub fn finish(self) -> Result<(), WriteError> {
        if self.at != self.expected {
            return Err(self.wrong_length(self.at));
        }
        self.file.publish()?;
        fault::point("export.volume-named");
        Ok(())
    }

    fn wrong_length(&self, found: u64) -> WriteError {
        let name = self.file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        WriteError::Length { name, found, expected: self.expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::testing::small;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_bundle_is_written_file_by_file_the_signature_last() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = small();
        let layout = Layout::of(&bundle.manifest);
        let to = dir.path().join("new");
        let writer = BundleWriter::open(&to).unwrap();
        assert_eq!(writer.volume_bytes(None).unwrap(), 4 << 30);
        assert_eq!(writer.volume_bytes(Some(5 << 30)).unwrap(), 5 << 30);
        writer.check_room(1).unwrap();
        assert!(matches!(writer.check_room(u64::MAX), Err(WriteError::NoRoom { .. })));
        for (number, bytes) in (1..).zip(&bundle.volumes) {
            let mut volume = writer.volume(&layout, number).unwrap();
            assert_eq!(names(&to).last(), names(&to).iter().max());
            for piece in bytes.chunks(777) {
                volume.write(piece).unwrap();
            }
            volume.finish().unwrap();
            assert_eq!(fs::read(to.join(volume_name(number))).unwrap(), *bytes);
        }
        writer.finish(b"{}", b"sig").unwrap();
        assert_eq!(
            names(&to).iter().filter(|name| !name.starts_with("vol-")).collect::<Vec<_>>(),
            [MANIFEST_NAME, SIGNATURE_NAME]
        );
        let error = BundleWriter::open(&to).unwrap_err();
        assert!(matches!(error, WriteError::NotEmpty { .. }), "{error}");
    }

    #[test]
    fn damage_is_named_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = small();
        let layout = Layout::of(&bundle.manifest);
        let piece = layout.pieces(1)[0].clone();
        let writer = BundleWriter::open(dir.path()).unwrap();
        let mut bytes = bundle.volumes[0].clone();
        bytes[piece.offset as usize] ^= 1;
        let mut volume = writer.volume(&layout, 1).unwrap();
        let error = volume.write(&bytes).unwrap_err();
        assert!(matches!(error, WriteError::Damaged { object } if object == piece.blake3), "{error}");
        drop(volume);
        assert_eq!(names(dir.path()), [""; 0]);
        let mut volume = writer.volume(&layout, 1).unwrap();
        volume.write(&bundle.volumes[0][..600]).unwrap();
        assert!(matches!(volume.finish(), Err(WriteError::Length { found: 600, .. })));
        let mut volume = writer.volume(&layout, 1).unwrap();
        volume.write(&bundle.volumes[0]).unwrap();
        assert!(matches!(volume.write(b"x"), Err(WriteError::Length { .. })));
        drop(volume);
        assert_eq!(names(dir.path()), [""; 0]);
    }

    #[test]
    fn only_an_empty_directory_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("photo.jpg"), "x").unwrap();
        let error = BundleWriter::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("is not empty (photo.jpg is in it)"), "{error}");
        let error = BundleWriter::open(&dir.path().join("photo.jpg")).unwrap_err();
        assert!(matches!(error, WriteError::NotADirectory { .. }), "{error}");
        assert!(BundleWriter::open(&dir.path().join("a/b")).is_err());
        let killed = tempfile::tempdir().unwrap();
        fs::write(killed.path().join("vol-0001.tar"), "x").unwrap();
        let error = BundleWriter::open(killed.path()).unwrap_err().to_string();
        assert!(error.contains("has an export in it that was not finished (vol-0001.tar)"), "{error}");
    }
}
