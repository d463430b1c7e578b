//! Where the bytes of a tree's files come from.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;

use super::tree::StageFile;

/// Gives the bytes of files that the directory does not have yet.
pub trait Bodies {
    /// The body of `file`. Its size and digests are checked by the stager on what it has written. Asked from one
    /// thread only.
    ///
    /// # Errors
    /// Where the body cannot be had; the stager then leaves the directory as it was.
    fn open(&self, file: &StageFile) -> io::Result<Body>;
}

/// One body.
pub enum Body {
    /// A whole file, a store's for example: shared by reflink where the file systems can, else copied; never linked.
    File(File),
    /// Bytes in memory.
    Bytes(Bytes),
    /// Anything that can be read to its end.
    Reader(Box<dyn Read>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Body::File(_) => "File",
            Body::Bytes(_) => "Bytes",
            Body::Reader(_) => "Reader",
        })
    }
}
