//! A read-only mapping of an immutable file: the one place with `unsafe`.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::mm::{Advice, madvise};

/// Where every live mapping begins, and how long it is.
static LIVE: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

fn live() -> MutexGuard<'static, BTreeMap<usize, usize>> {
    // The map is whole between any two statements, so a panic elsewhere does not spoil it.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the memory of these bytes back, if they lie in a [`Mapping`]: whoever reads them again reads them from the file's
/// cache. For passes over long bodies, which would otherwise count as memory of this process from end to end. Anything
/// else is left alone.
pub fn release_pages(bytes: &[u8]) {
    let (start, end) = (bytes.as_ptr() as usize, bytes.as_ptr() as usize + bytes.len());
    let live = live();
    let Some((map, len)) = live.range(..=start).next_back() else { return };
    if bytes.is_empty() || end > map + len {
        return;
    }
    // A mapping begins on a page, and no page of Linux is longer than this.
    let from = start - (start - map) % (64 << 10);
    // SAFETY: the pages belong to a mapping that lives as long as the lock is held, of a file that nobody writes: dropped,
    // they come back with the same bytes. Nothing is unmapped.
    let advised = unsafe { madvise(from as *mut _, end - from, Advice::LinuxDontNeed) };
    // Only advice: what is not given back costs memory and nothing else.
    let _ = advised;
}

/// The bytes of a whole file, mapped read-only and shared. `Bytes::from_owner(mapping)` gives a body that costs no
/// copy and no heap; the mapping lives until its last slice is dropped, even after the file has lost its name.
///
/// Map only files that nobody writes any more: the store's blobs are mode 0444, never truncated and never written
/// again after they got their name. Truncating such a file from outside, or a failing disk under it, makes the kernel
/// end the process with SIGBUS when the missing page is read: wrong bytes are never handed out.
#[derive(Debug)]
pub struct Mapping {
    /// None for an empty file, which the kernel refuses to map.
    map: Option<memmap2::Mmap>,
}

impl Mapping {
    /// Maps the whole of `file`, which may be closed afterwards. Reads nothing yet.
    pub fn of_immutable(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        if length == 0 {
            return Ok(Self { map: None });
        }
        let length = usize::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        // SAFETY: a mapping is sound as long as the bytes under the shared slice do not change. Callers pass files that
        // are never written again (see the type's words); the mapping itself is read-only.
        let map = unsafe { memmap2::MmapOptions::new().len(length).map(file)? };
        live().insert(map.as_ptr() as usize, map.len());
        Ok(Self { map: Some(map) })
    }

    /// Asks the kernel to read these bytes ahead; returns before they are there. A range past the end is cut.
    pub fn read_ahead(&self, offset: usize, length: usize) -> io::Result<()> {
        let Some(map) = &self.map else { return Ok(()) };
        let length = length.min(map.len().saturating_sub(offset));
        if length == 0 {
            return Ok(());
        }
        map.advise_range(memmap2::Advice::WillNeed, offset, length)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(map) = &self.map {
            // Before the kernel may give the addresses to another.
            live().remove(&(map.as_ptr() as usize));
        }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_slice_outlives_the_file_and_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("body");
        std::fs::write(&path, vec![7; 10_000]).unwrap();
        let mapping = Mapping::of_immutable(&File::open(&path).unwrap()).unwrap();
        mapping.read_ahead(0, usize::MAX).unwrap();
        mapping.read_ahead(20_000, 1).unwrap();
        let slice = Bytes::from_owner(mapping).slice(9_999..);
        drop(dir);
        assert_eq!(slice.as_ref(), [7]);
    }

    #[test]
    fn pages_given_back_are_read_again_and_other_memory_is_left_alone() {
        let file = tempfile::tempfile().unwrap();
        let body: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
        io::Write::write_all(&mut &file, &body).unwrap();
        let mapping = Mapping::of_immutable(&file).unwrap();
        release_pages(&mapping.as_ref()[5_000..90_001]);
        release_pages(mapping.as_ref());
        assert_eq!(mapping.as_ref(), body);
        // Anonymous pages would come back as zeros.
        release_pages(&body);
        release_pages(&[]);
        assert_eq!(mapping.as_ref(), body);
        let start = mapping.as_ref().as_ptr() as usize;
        assert!(live().contains_key(&start));
        drop(mapping);
        release_pages(&body);
        assert_eq!(body[99_999], 99_999_u32 as u8);
    }

    #[test]
    fn an_empty_file_is_an_empty_slice() {
        let file = tempfile::tempfile().unwrap();
        let mapping = Mapping::of_immutable(&file).unwrap();
        mapping.read_ahead(0, 1).unwrap();
        assert!(mapping.as_ref().is_empty());
    }
}
