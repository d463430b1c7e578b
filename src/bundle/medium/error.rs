//! Why a medium cannot be read, in sentences for whoever holds it.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use super::{MANIFEST_NAME, NAMES_MAX};

/// Why a medium cannot be read. Nothing was changed then, on the medium or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediumError {
    /// There is no such directory.
    #[error("{}: there is no such directory; is the medium mounted?", dir.display())]
    NoDirectory {
        /// What was asked for.
        dir: PathBuf,
    },
    /// There is no bundle in it.
    #[error("{} holds no bundle: there is no {MANIFEST_NAME} in it", dir.display())]
    NoBundle {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no bundle in it, because nothing is.
    #[error("{} is empty: is the medium mounted?", dir.display())]
    Empty {
        /// The directory.
        dir: PathBuf,
    },
    /// There is more in it than a bundle can have.
    #[error("{} has more than {NAMES_MAX} names: give the directory that holds the bundle", dir.display())]
    TooManyNames {
        /// The directory.
        dir: PathBuf,
    },
    /// A name is there in two spellings.
    #[error(
        "{found} and {name} differ only in case: one of them is not of the bundle, so copy the right one elsewhere"
    )]
    Collision {
        /// As it should be.
        name: String,
        /// What is there beside it.
        found: String,
    },
    /// A name is there in another spelling.
    #[error("{found} is {name} in another spelling: copy the bundle to a directory, and give it its own names there")]
    OtherSpelling {
        /// As it should be.
        name: String,
        /// As it is.
        found: String,
    },
    /// A name is there twice.
    #[error("{name} is there twice: the medium's file system is damaged, so check it, or export again")]
    Doubled {
        /// The name.
        name: String,
    },
    /// A name leads elsewhere.
    #[error("{name} is a symbolic link, and none is followed: copy the file itself")]
    Link {
        /// The name.
        name: String,
    },
    /// A name is no file.
    #[error("{name} is no regular file, so it is nothing of a bundle's")]
    NoFile {
        /// The name.
        name: String,
    },
    /// A file is longer than any that is read.
    #[error("{name} has {bytes} bytes, and at most {most} are read: it is nothing of a bundle's")]
    TooLong {
        /// The file.
        name: String,
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        most: u64,
    },
    /// A file ends before it should.
    #[error("{name} ends at byte {end}, before what the bundle has in it: it was cut off, so copy it again")]
    Short {
        /// The file.
        name: String,
        /// Where it ends.
        end: u64,
    },
    /// The medium does not answer.
    #[error("the medium cannot be read at {place}: it may have been pulled or be damaged ({why}); nothing was changed")]
    Gone {
        /// Where.
        place: String,
        /// What the system says.
        why: String,
    },
    /// It cannot be read for another reason.
    #[error("{place}: {why}")]
    Unreadable {
        /// Where.
        place: String,
        /// What the system says.
        why: String,
    },
}

impl MediumError {
    /// What the system said of a place.
    pub(super) fn of(place: impl Into<String>, cause: &io::Error) -> Self {
        let (place, why) = (place.into(), cause.to_string());
        let gone =
            [Errno::IO, Errno::NXIO, Errno::NODEV, Errno::STALE, Errno::NOMEDIUM, Errno::REMOTEIO, Errno::NOTCONN];
        match Errno::from_io_error(cause) {
            Some(errno) if gone.contains(&errno) => Self::Gone { place, why },
            _ => Self::Unreadable { place, why },
        }
    }
}
