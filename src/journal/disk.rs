//! What the writer asks of the disk, behind a trait so that tests can fill it or break it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

pub(super) trait Disk: Send + Sync + 'static {
    /// Makes sure that the bytes `from..to` of `file` can be written without running out of space. The file's length
    /// does not change, so what is only reserved is never read as zeros.
    fn reserve(&self, file: &File, from: u64, to: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns once what was written, and the length needed to read it, is on stable storage.
    fn sync(&self, file: &File) -> io::Result<()>;
}

pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn reserve(&self, file: &File, from: u64, to: u64) -> io::Result<()> {
        let bytes = to.saturating_sub(from);
        let result = rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, bytes));
        match result {
            // A file system that cannot reserve can still be asked what it has left: an answer that another writer
            // may outdate, but better than none.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                let stat = rustix::fs::fstatvfs(file)?;
                let free = stat.f_bavail.saturating_mul(stat.f_frsize);
                if free < bytes { Err(Errno::NOSPC.into()) } else { Ok(()) }
            }
            other => Ok(other?),
        }
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        // fdatasync(2) also flushes the metadata that reading the data back needs, above all the file's length.
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserving_does_not_lengthen_the_file() {
        let file = tempfile::tempfile().unwrap();
        RealDisk.write(&file, b"abc", 0).unwrap();
        RealDisk.reserve(&file, 3, 1 << 20).unwrap();
        RealDisk.sync(&file).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 3);
        assert_eq!(std::io::read_to_string(&file).unwrap_or_default().len(), 3);
    }

    #[test]
    fn an_impossible_reservation_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        assert!(RealDisk.reserve(&file, 0, 1 << 60).is_err());
    }
}
