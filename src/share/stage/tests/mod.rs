//! The stager on real directories.

mod convergence;
mod publishing;
mod readers;
mod refusals;
mod running;
mod scale;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::*;
use crate::model::{Blake3Digest, Sha256Digest};

const OPTIONS: StageOptions =
    StageOptions { keep_previous: false, rehash: false, retry_for: Duration::ZERO, adopt: false };
const KEEPING: StageOptions = StageOptions { keep_previous: true, ..OPTIONS };

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The bodies of everything that a test's trees contain, and how often one was asked for.
#[derive(Default)]
struct Memory {
    bodies: BTreeMap<Blake3Digest, Vec<u8>>,
    asked: Cell<u64>,
}

impl Bodies for Memory {
    fn open(&self, file: &StageFile) -> io::Result<Body> {
        self.asked.set(self.asked.get() + 1);
        let body = self.bodies.get(&file.blake3).ok_or(io::ErrorKind::NotFound)?;
        Ok(Body::Bytes(Bytes::from(body.clone())))
    }
}

impl Memory {
    /// A file of the set in front of `:`; a trailing `!` makes it an index.
    fn file(&mut self, spec: &str, body: &str, at: i64) -> StageFile {
        let (set, path) = spec.split_once(':').unwrap_or(("", spec));
        let (path, last) = path.strip_suffix('!').map_or((path, false), |path| (path, true));
        let blake3 = Blake3Digest::of(body.as_bytes());
        self.bodies.insert(blake3, body.as_bytes().to_vec());
        StageFile {
            path: path.parse().unwrap(),
            size: body.len() as u64,
            blake3,
            sha256: Sha256Digest::of(body.as_bytes()),
            modified: second(at),
            set: set.to_owned(),
            last,
        }
    }

    /// The tree of these files at switch `switch`, each dated then.
    fn tree(&mut self, switch: u64, files: &[(&str, &str)]) -> StageTree {
        let at = i64::try_from(switch).unwrap();
        let mut files: Vec<StageFile> = files.iter().map(|(spec, body)| self.file(spec, body, at)).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        StageTree {
            share: "intel".parse().unwrap(),
            layout: "plain".parse().unwrap(),
            switch,
            at: second(at),
            releases: vec![StagedRelease {
                product: "feed".parse().unwrap(),
                version: format!("1.{switch}").parse().unwrap(),
                sequence: switch,
                platform: None,
            }],
            files,
            retired: Vec::new(),
        }
    }
}

/// A directory to stage to, not yet there.
struct Target {
    temporary: tempfile::TempDir,
    memory: Memory,
}

impl Target {
    /// In memory where that is possible: hundreds of switches are about their order, not about the disk's fsync.
    fn new() -> Self {
        let temporary = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { temporary, memory: Memory::default() }
    }

    fn on_disk() -> Self {
        Self { temporary: tempfile::tempdir().unwrap(), memory: Memory::default() }
    }

    fn dir(&self) -> PathBuf {
        self.temporary.path().join("share")
    }

    fn try_stage(&self, tree: &StageTree, options: &StageOptions) -> Result<Staged, StageError> {
        stage(tree, &self.dir(), &self.memory, options, second(1_000_000), &mut |_| {})
    }

    fn stage(&self, tree: &StageTree, options: &StageOptions) -> Staged {
        self.try_stage(tree, options).unwrap()
    }

    /// Stages and checks that the directory is exactly the tree, its dates and modes included.
    fn staged(&self, tree: &StageTree, options: &StageOptions) -> Staged {
        let staged = self.stage(tree, options);
        assert_eq!(staged.is_pending, None);
        self.assert_is(tree);
        staged
    }

    fn assert_is(&self, tree: &StageTree) {
        use std::os::unix::fs::PermissionsExt as _;
        let wanted: BTreeMap<String, Vec<u8>> =
            tree.files.iter().map(|file| (file.path.to_string(), self.memory.bodies[&file.blake3].clone())).collect();
        assert_eq!(contents(&self.dir()), wanted);
        for file in &tree.files {
            let metadata = std::fs::metadata(self.dir().join(file.path.as_str())).unwrap();
            let mtime = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
            assert_eq!(i64::try_from(mtime.as_secs()).unwrap(), file.modified.as_second(), "{}", file.path);
            assert_eq!(metadata.permissions().mode() & 0o777, 0o644, "{}", file.path);
        }
        let verification = verify(&self.dir()).unwrap();
        assert!(verification.is_good(), "{verification:?}");
        assert_eq!(verification.good_files as usize, tree.files.len());
        let top: Vec<String> = names(&self.dir());
        assert!(!top.iter().any(|name| name.starts_with(".staging-")), "{top:?}");
    }

    fn write(&self, path: &str, body: &str) {
        let path = self.dir().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    }

    fn manifest(&self) -> Manifest {
        serde_json::from_slice(&std::fs::read(self.dir().join(".ringfence/manifest.json")).unwrap()).unwrap()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Everything below `dir` that readers see, by path; an empty directory counts as a name that ends in `/`.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(top: &Path, dir: &Path, contents: &mut BTreeMap<String, Vec<u8>>) {
        let names = names(dir);
        let below = dir.strip_prefix(top).unwrap();
        if names.is_empty() && dir != top {
            contents.insert(format!("{}/", below.display()), Vec::new());
        }
        for name in names {
            if dir == top && (name == ".ringfence" || name.starts_with(".staging-")) {
                continue;
            }
            let path = dir.join(&name);
            if path.symlink_metadata().unwrap().is_dir() {
                walk(top, &path, contents);
            } else {
                contents.insert(below.join(name).display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(dir, dir, &mut all);
    all
}
