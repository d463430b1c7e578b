//! What the demo publishes: real bytes from files at hand.

use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;

use crate::model::Sha256Digest;

/// Files larger than this are passed over: the demo should start within a second or two.
const FILE_MAX_BYTES: u64 = 512 * 1024;
/// How many files the newest version of the hash list covers.
const FILES_MAX: usize = 250;

/// A list of known files in ClamAV's hash signature form (`sha256:size:name`), over programs of this machine. Version
/// `step` of `steps` covers the first `step / steps` of them, so that each version extends the one before.
pub(super) struct KnownFiles {
    lines: Vec<String>,
}

impl KnownFiles {
    /// Reads and hashes the files once.
    pub(super) fn collect(dir: &Path) -> io::Result<Self> {
        let mut names: Vec<_> = fs::read_dir(dir)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
        names.sort();
        let mut lines = Vec::new();
        for path in names {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if !metadata.is_file() || metadata.len() > FILE_MAX_BYTES || lines.len() == FILES_MAX {
                continue;
            }
            let Ok(bytes) = fs::read(&path) else { continue };
            let name = path.file_name().map(|name| name.to_string_lossy().replace(':', "_")).unwrap_or_default();
            lines.push(format!("{}:{}:Known.{name}\n", Sha256Digest::of(&bytes), bytes.len()));
        }
        Ok(Self { lines })
    }

    /// The list of version `step` of `steps`.
    pub(super) fn version(&self, step: usize, steps: usize) -> Bytes {
        let count = (self.lines.len() * step / steps).max(1).min(self.lines.len());
        self.lines[..count].concat().into()
    }
}

/// The running program itself, as a platform release's payload.
pub(super) fn this_program() -> io::Result<Bytes> {
    fs::read(std::env::current_exe()?).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_extends_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        for index in 0..10 {
            fs::write(dir.path().join(format!("tool-{index}")), [index; 10]).unwrap();
        }
        let files = KnownFiles::collect(dir.path()).unwrap();
        let versions: Vec<_> = (1..=5).map(|step| files.version(step, 5)).collect();
        assert!(versions.windows(2).all(|pair| pair[1].len() > pair[0].len() && pair[1].starts_with(&pair[0])));
        assert_eq!(versions[4].iter().filter(|byte| **byte == b'\n').count(), 10);
    }
}
