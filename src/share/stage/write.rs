//! Putting one file into the staging directory, and reading it back before anybody may see it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::error::Context;
use super::hash::{BUFFER_BYTES, Digests, digests_of};
use super::source::{Inside, Sources};
use super::tree::StageFile;
use super::{Bodies, Body, Progress, StageError};
use crate::sys::tree::{Root, forget_cached, reflink};

/// Bytes that the kernel copies at a time, between two words to the progress.
const COPY_BYTES: u64 = 8 * 1024 * 1024;

/// Writes files, and counts them.
pub(super) struct Writer<'a> {
    pub(super) root: &'a Root,
    pub(super) context: Context<'a>,
    pub(super) bodies: &'a dyn Bodies,
    pub(super) progress: &'a mut dyn FnMut(Progress),
    pub(super) sources: Sources,
    pub(super) has_links: bool,
    pub(super) written_files: u64,
    pub(super) written_bytes: u64,
    pub(super) reused_files: u64,
    /// Directories in which names were made that are not durable yet.
    pub(super) unsynced: BTreeSet<PathBuf>,
}

impl Writer<'_> {
    /// Makes `to` the file `file`, from inside the directory if its content is there, else from its body. When this
    /// returns, the file is durable, dated and, if it was written, read back; its name is not durable yet.
    pub(super) fn put(&mut self, file: &StageFile, to: &Path) -> Result<(), StageError> {
        self.make_parents(to)?;
        let inside = self.sources.take(file);
        if let Some(inside) = &inside
            && self.link(inside, file, to)?
        {
            self.reused_files += 1;
            return Ok(());
        }
        let target = self.root.create_file(to).map_err(self.context.at(to, "created"))?;
        let source = match &inside {
            Some(Inside::Link(from) | Inside::LinkAndStamp(from) | Inside::Copy(from)) => {
                Body::File(self.root.open_file(from).map_err(self.context.at(from, "opened"))?)
            }
            None => self.bodies.open(file).map_err(|source| self.no_body(file, source))?,
        };
        let is_shared = self.fill(&target, source, file)?;
        if inside.is_some() && is_shared {
            self.reused_files += 1;
        } else {
            self.written_files += 1;
            self.written_bytes += file.size;
        }
        self.finish(target, file, to)
    }

    /// A second name for the content, where the file system gives one.
    fn link(&mut self, inside: &Inside, file: &StageFile, to: &Path) -> Result<bool, StageError> {
        let (Inside::Link(from) | Inside::LinkAndStamp(from)) = inside else {
            return Ok(false);
        };
        // Too many names for one inode, or a file system that has none after all: the bytes will do.
        if !self.has_links || self.root.link(from, to).is_err() {
            return Ok(false);
        }
        if matches!(inside, Inside::LinkAndStamp(_)) {
            self.root.stamp(to, file.modified.as_second()).map_err(self.context.at(to, "dated"))?;
        }
        Ok(true)
    }

    /// A second name for a file that readers see, or its bytes where it can have none. `false` where it is gone.
    pub(super) fn double(&mut self, from: &Path, file: &StageFile, to: &Path) -> Result<bool, StageError> {
        self.make_parents(to)?;
        if self.has_links && self.root.link(from, to).is_ok() {
            return Ok(true);
        }
        let source = match self.root.open_file(from) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.context.failed(from, "opened", error)),
        };
        let target = self.root.create_file(to).map_err(self.context.at(to, "created"))?;
        if !self.fill(&target, Body::File(source), file)? {
            self.written_files += 1;
            self.written_bytes += file.size;
        }
        self.finish(target, file, to)?;
        Ok(true)
    }

    fn make_parents(&mut self, to: &Path) -> Result<(), StageError> {
        let parent = to.parent().unwrap_or(Path::new(""));
        if self.unsynced.insert(parent.to_owned()) {
            self.root.make_dirs(parent).map_err(self.context.at(parent, "created"))?;
            self.unsynced.extend(parent.ancestors().map(Path::to_owned));
        }
        Ok(())
    }

    /// Fills a new file; `true` where it shares the bytes of its source.
    fn fill(&mut self, target: &File, source: Body, file: &StageFile) -> Result<bool, StageError> {
        let told = match source {
            Body::File(source) => {
                if reflink(&source, target).map_err(|error| self.unwritten(file, error))? {
                    (self.progress)(Progress::Wrote { bytes: file.size });
                    return Ok(true);
                }
                self.copy(source, target, file)
            }
            Body::Bytes(bytes) => self.pour(&bytes[..], target, file),
            Body::Reader(reader) => self.pour(reader, target, file),
        };
        told.map(|()| false)
    }

    /// The kernel's own copying, in pieces so that it can be told how it goes on.
    fn copy(&mut self, mut source: File, mut target: &File, file: &StageFile) -> Result<(), StageError> {
        source.rewind().map_err(|error| self.no_body(file, error))?;
        let mut total = 0;
        // One byte more than there should be is enough to be found wrong.
        while total <= file.size {
            let mut piece = (&source).take(COPY_BYTES.min(file.size + 1 - total));
            let bytes = io::copy(&mut piece, &mut target).map_err(|error| self.unwritten(file, error))?;
            if bytes == 0 {
                break;
            }
            total += bytes;
            (self.progress)(Progress::Wrote { bytes });
        }
        Ok(())
    }

    fn pour(&mut self, source: impl Read, mut target: &File, file: &StageFile) -> Result<(), StageError> {
        let mut source = source.take(file.size + 1);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = match source.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.no_body(file, error)),
            };
            target.write_all(&buffer[..count]).map_err(|error| self.unwritten(file, error))?;
            (self.progress)(Progress::Wrote { bytes: count as u64 });
        }
    }

    /// Dates the file, makes it durable, and reads it back from where it lies.
    fn finish(&mut self, target: File, file: &StageFile, to: &Path) -> Result<(), StageError> {
        self.root.stamp(to, file.modified.as_second()).map_err(self.context.at(to, "dated"))?;
        self.root.sync_file(&target).map_err(self.context.at(to, "made durable"))?;
        forget_cached(&target);
        drop(target);
        let back = self.root.open_file(to).map_err(self.context.at(to, "read back"))?;
        let (bytes, digests) = digests_of(back).map_err(self.context.at(to, "read back"))?;
        let wanted = Digests { blake3: file.blake3, sha256: file.sha256 };
        if bytes == file.size && digests == wanted {
            return Ok(());
        }
        let why = if bytes == file.size {
            format!("its digest is blake3 {}, it should be {}", digests.blake3, wanted.blake3)
        } else {
            format!(
                "it has {} {bytes} bytes, it should have {}",
                if bytes > file.size { "at least" } else { "only" },
                file.size
            )
        };
        Err(StageError::WrongBytes { share: self.context.share.to_owned(), path: file.path.to_string(), why })
    }

    /// Makes the names of everything put so far durable.
    pub(super) fn sync_names(&mut self) -> Result<(), StageError> {
        for dir in std::mem::take(&mut self.unsynced) {
            self.root.sync_dir(&dir).map_err(self.context.at(&dir, "made durable"))?;
        }
        Ok(())
    }

    fn no_body(&self, file: &StageFile, source: io::Error) -> StageError {
        StageError::Body { share: self.context.share.to_owned(), path: file.path.to_string(), source }
    }

    fn unwritten(&self, file: &StageFile, source: io::Error) -> StageError {
        self.context.failed(Path::new(file.path.as_str()), "written", source)
    }
}
