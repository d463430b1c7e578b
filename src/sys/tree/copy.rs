//! Sharing and forgetting a file's bytes.

use std::fs::File;
use std::io;

use rustix::fs::Advice;
use rustix::io::Errno;

/// Makes `to` share all bytes of `from` without copying them. `false` where the two cannot share: another file system,
/// or one without reflinks.
///
/// # Errors
/// As ioctl_ficlone(2), where the reason is not that the file system cannot.
pub fn reflink(from: &File, to: &File) -> io::Result<bool> {
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        Err(
            Errno::OPNOTSUPP
            | Errno::XDEV
            | Errno::INVAL
            | Errno::NOTTY
            | Errno::NOSYS
            | Errno::PERM
            | Errno::BADF
            | Errno::TXTBSY
            | Errno::ISDIR,
        ) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Asks the kernel to drop its cached pages of a file, so that the next read comes from the disk or the server. Only a
/// wish: dirty pages stay, so fsync first.
pub fn forget_cached(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
}
