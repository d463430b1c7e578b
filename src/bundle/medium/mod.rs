//! A directory that holds a bundle, on whatever was carried here.
//!
//! What this module deliberately does not do: it never opens anything to write, and follows nothing. A symbolic link or
//! a special file under the name of a bundle's file is refused; what else lies there is named and left alone.

mod error;
mod file;
#[cfg(test)]
mod tests;

pub use error::MediumError;
pub use file::MediumFile;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::manifest::{BundleManifest, MANIFEST_MAX_BYTES};
use super::volume::{LIST_HEAD_BYTES, NotThisVolume, check_list, volume_name, volume_number};
use crate::signing::SIGNATURE_MAX_BYTES;
use crate::sys::tree::{Kind, Root, Seen};

/// The manifest's file.
pub const MANIFEST_NAME: &str = "BUNDLE.json";
/// Its signature's file.
pub const SIGNATURE_NAME: &str = "BUNDLE.sig";
/// The most names in a directory that is looked at.
const NAMES_MAX: usize = 20_000;

/// What is there of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeState {
    /// The whole file; what is in it was not looked at yet.
    Present,
    /// It is not on this medium.
    Missing,
    /// It is too short or too long.
    WrongSize {
        /// How long it is.
        found: u64,
    },
    /// It is another volume, or none.
    Other(NotThisVolume),
    /// It cannot be read.
    Unreadable(MediumError),
}

impl VolumeState {
    /// The word in JSON and on the terminal.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Missing => "missing",
            Self::WrongSize { .. } => "wrong_size",
            Self::Other(_) => "other",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// What of a bundle is on a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The volumes, in order.
    pub volumes: Vec<VolumeState>,
    /// Names of what is there and not of this bundle; it was not looked at.
    pub ignored: Vec<String>,
}

/// A directory that holds a bundle.
#[derive(Debug)]
pub struct Medium {
    root: Root,
    names: BTreeMap<String, Seen>,
    others: Vec<String>,
}

impl Medium {
    /// Looks at the names in a directory. Nothing is opened yet.
    ///
    /// # Errors
    /// No directory, no bundle in it, or names that a bundle's cannot be told from.
    pub fn open(dir: &Path) -> Result<Self, MediumError> {
        let dir_error = |cause: &io::Error| match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => MediumError::NoDirectory { dir: dir.to_owned() },
            _ => MediumError::of(dir.display().to_string(), cause),
        };
        let root = Root::open(dir).map_err(|cause| dir_error(&cause))?;
        let found = root.list_at_most(Path::new(""), NAMES_MAX).map_err(|cause| dir_error(&cause))?;
        let found = found.ok_or_else(|| MediumError::TooManyNames { dir: dir.to_owned() })?;
        if found.is_empty() {
            return Err(MediumError::Empty { dir: dir.to_owned() });
        }
        let found = found.into_iter().map(|(name, seen)| (name.to_string_lossy().into_owned(), seen));
        let (names, others) = sort_names(found)?;
        if !names.contains_key(MANIFEST_NAME) {
            return Err(MediumError::NoBundle { dir: dir.to_owned() });
        }
        Ok(Self { root, names, others })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.root.path()
    }

    /// The bytes of `BUNDLE.json`.
    ///
    /// # Errors
    /// It cannot be read, or is longer than any.
    pub fn manifest(&self) -> Result<Vec<u8>, MediumError> {
        self.small_file(MANIFEST_NAME, MANIFEST_MAX_BYTES as u64)
    }

    /// The text of `BUNDLE.sig`; none where there is none.
    ///
    /// # Errors
    /// It cannot be read, or is longer than any.
    pub fn signature(&self) -> Result<Option<String>, MediumError> {
        if !self.names.contains_key(SIGNATURE_NAME) {
            return Ok(None);
        }
        let bytes = self.small_file(SIGNATURE_NAME, SIGNATURE_MAX_BYTES as u64)?;
        // What is no text is no signature; whoever reads it says so.
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// What is there of the volumes of a bundle. Of each only the first bytes are read.
    pub fn survey(&self, manifest: &BundleManifest) -> Survey {
        let states = (1..).zip(&manifest.volumes).map(|(number, volume)| {
            if !self.names.contains_key(&volume.name) {
                return VolumeState::Missing;
            }
            let file = match self.file(&volume.name) {
                Ok(file) => file,
                Err(error) => return VolumeState::Unreadable(error),
            };
            let mut head = vec![0; LIST_HEAD_BYTES];
            let read = match file.read_at(&mut head, 0) {
                Ok(read) => read,
                Err(error) => return VolumeState::Unreadable(error),
            };
            // Which bundle it is of says more than that its length is another.
            match check_list(&volume.name, number, &head[..read], manifest) {
                Err(other) => VolumeState::Other(other),
                Ok(()) if file.size() != volume.size => VolumeState::WrongSize { found: file.size() },
                Ok(()) => VolumeState::Present,
            }
        });
        let volumes = states.collect();
        let beyond =
            |name: &&String| volume_number(name).is_some_and(|number| number as usize > manifest.volumes.len());
        let beyond = self.names.keys().filter(beyond).cloned();
        Survey { volumes, ignored: self.others.iter().cloned().chain(beyond).collect() }
    }

    /// Opens volume `number`, from 1, of a bundle.
    ///
    /// # Errors
    /// It is not there, is no file, or has another length than it should.
    pub fn volume(&self, manifest: &BundleManifest, number: u32) -> Result<MediumFile, MediumError> {
        let unknown = || MediumError::Unreadable {
            place: self.dir().display().to_string(),
            why: format!("the bundle has no volume {number}"),
        };
        let volume = manifest.volume(number).ok_or_else(unknown)?;
        let file = self.file(&volume.name)?;
        match file.size() {
            size if size < volume.size => Err(MediumError::Short { name: volume.name.clone(), end: size }),
            size if size > volume.size => {
                Err(MediumError::TooLong { name: volume.name.clone(), bytes: size, most: volume.size })
            }
            _ => Ok(file),
        }
    }

    /// Opens a volume by its number, from 1, whatever its length: of one that was cut short, the rest is good.
    ///
    /// # Errors
    /// It is not there, or is no file.
    pub fn any_volume(&self, number: u32) -> Result<MediumFile, MediumError> {
        self.file(&volume_name(number))
    }

    fn file(&self, name: &str) -> Result<MediumFile, MediumError> {
        let name = name.to_owned();
        let place = self.dir().join(&name).display().to_string();
        match self.names.get(&name).map(|seen| seen.kind) {
            None => return Err(MediumError::Unreadable { place, why: "it is not there".to_owned() }),
            Some(Kind::Symlink) => return Err(MediumError::Link { name }),
            Some(Kind::Directory | Kind::Other) => return Err(MediumError::NoFile { name }),
            Some(Kind::File) => {}
        }
        let file = match self.root.open_file(Path::new(&name)) {
            Ok(file) => file,
            Err(cause) if Errno::from_io_error(&cause) == Some(Errno::LOOP) => return Err(MediumError::Link { name }),
            Err(cause) => return Err(MediumError::of(place, &cause)),
        };
        let found = file.metadata().map_err(|cause| MediumError::of(&*place, &cause))?;
        match found.is_file() {
            true => Ok(MediumFile::new(file, name, place, found.len())),
            false => Err(MediumError::NoFile { name }),
        }
    }

    fn small_file(&self, name: &str, most: u64) -> Result<Vec<u8>, MediumError> {
        let file = self.file(name)?;
        if file.size() > most {
            return Err(MediumError::TooLong { name: name.to_owned(), bytes: file.size(), most });
        }
        let mut bytes = vec![0; usize::try_from(file.size()).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

type Names = (BTreeMap<String, Seen>, Vec<String>);

/// The bundle's names, and the others.
fn sort_names(found: impl Iterator<Item = (String, Seen)>) -> Result<Names, MediumError> {
    let (mut names, mut others, mut misspelt) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (found, seen) in found {
        let lower = found.to_ascii_lowercase();
        let right = match lower.as_str() {
            "bundle.json" => Some(MANIFEST_NAME.to_owned()),
            "bundle.sig" => Some(SIGNATURE_NAME.to_owned()),
            _ => volume_number(&lower).map(|_| lower),
        };
        match right {
            None => others.push(found),
            Some(name) if name != found => misspelt.push((name, found)),
            Some(name) => {
                if names.insert(name.clone(), seen).is_some() {
                    return Err(MediumError::Doubled { name });
                }
            }
        }
    }
    let Some((name, found)) = misspelt.into_iter().next() else { return Ok((names, others)) };
    Err(match names.contains_key(&name) {
        true => MediumError::Collision { name, found },
        false => MediumError::OtherSpelling { name, found },
    })
}

#[cfg(test)]
impl Medium {
    /// A medium that is any directory with a file of a name in it.
    pub(super) fn for_test(dir: &Path, name: &str) -> Self {
        let root = Root::open(dir).unwrap();
        let seen = root.look(Path::new(name)).unwrap().unwrap();
        Self { root, names: BTreeMap::from([(name.to_owned(), seen)]), others: Vec::new() }
    }

    /// A file by its name.
    pub(super) fn file_for_test(&self, name: &str) -> MediumFile {
        self.file(name).unwrap()
    }
}
