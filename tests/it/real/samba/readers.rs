//! What readers of a share may find while it is switched, and the threads that look.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use super::smbd::Reader;
use crate::support::{random_bytes, sha256_hex, wait_until};

const MANIFEST: &str = ".ringfence/manifest.json";

/// The files of the Windows tree: two sets of two.
pub(super) const WINDOWS: [&str; 4] = ["x64/mpam-fe.exe", "x64/nis_full.exe", "x86/mpam-fe.exe", "x86/nis_full.exe"];
/// The flat pair: what is asked for first, and what it is the digest of.
pub(super) const PAIR: [&str; 2] = ["emerging.rules.tar.gz.md5", "emerging.rules.tar.gz"];

/// The bytes of a file in one version.
pub(super) fn body(path: &str, number: u64) -> Vec<u8> {
    let length = match path {
        "x64/mpam-fe.exe" => 1_200_000,
        "x86/mpam-fe.exe" => 600_000,
        "x64/nis_full.exe" => 40_000,
        "x86/nis_full.exe" => 1_000,
        path if path == PAIR[1] => 200_000,
        path if path == PAIR[0] => return md5_hex(&body(PAIR[1], number)).into_bytes(),
        _ => panic!("{path} is no file of the shares"),
    };
    random_bytes(number * 1_000 + path.len() as u64 * 7 + u64::from(path.as_bytes()[1]), length)
}

fn md5_hex(bytes: &[u8]) -> String {
    use md5::Digest as _;
    md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// See [`Findings::end_when_dropped`].
pub(super) struct Ends<'a>(&'a Findings);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Release);
    }
}

/// What readers have found so far, and which bytes are which version.
#[derive(Default)]
pub(super) struct Findings {
    versions: Mutex<HashMap<(String, String), u64>>,
    stop: AtomicBool,
    faults: Mutex<Vec<String>>,
    pub(super) files: AtomicU64,
    /// Names that were not there when they were opened, and were there when they were opened again.
    pub(super) missed: AtomicU64,
    pub(super) whole_sets: AtomicU64,
    pub(super) unsettled: AtomicU64,
    pub(super) pairs: AtomicU64,
    pub(super) split_pairs: AtomicU64,
}

impl Findings {
    /// From now on these files may be found in this version.
    pub(super) fn expect(&self, paths: &[&str], number: u64) {
        for path in paths {
            let key = ((*path).to_owned(), sha256_hex(&body(path, number)));
            self.versions.lock().unwrap().insert(key, number);
        }
    }

    pub(super) fn version(&self, path: &str, bytes: &[u8]) -> Option<u64> {
        self.versions.lock().unwrap().get(&(path.to_owned(), sha256_hex(bytes))).copied()
    }

    /// Fails the test if any reader has found what must not be.
    #[track_caller]
    pub(super) fn check(&self) {
        let faults = std::mem::take(&mut *self.faults.lock().unwrap());
        if !faults.is_empty() {
            panic!("{} faults, the first:\n{}", faults.len(), faults[..faults.len().min(5)].join("\n"));
        }
    }

    /// Readers end when this is dropped, by a panic too.
    pub(super) fn end_when_dropped(&self) -> Ends<'_> {
        Ends(self)
    }

    fn goes_on(&self) -> bool {
        // A crowd of readers on two cores is no test of anything else.
        std::thread::sleep(std::time::Duration::from_millis(2));
        !self.stop.load(Ordering::Acquire)
    }

    fn fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }

    /// Whether a name was not there. smbd looks a name up and opens it in two steps, and says that there is none if a
    /// rename comes between (seen in about one of 10,000 reads; readers on the machine itself see none, which a unit test
    /// of the stager holds). A client then opens it again: that has to find it.
    fn was_missed(&self, reader: &mut impl Reader, paths: &[&str], read: &[Result<Vec<u8>, String>]) -> bool {
        let is_missing = |read: &Result<_, String>| {
            read.as_ref().is_err_and(|said| said.contains("NT_STATUS_OBJECT_NAME_NOT_FOUND"))
        };
        let missing: Vec<&str> =
            paths.iter().zip(read).filter(|(_, read)| is_missing(read)).map(|(path, _)| *path).collect();
        for path in &missing {
            self.missed.fetch_add(1, Ordering::Relaxed);
            // The next switch may come just then.
            if (0..2).all(|_| is_missing(&reader.read(&[path])[0])) {
                self.fault(format!("{path} is not there, nor the second and the third time"));
            }
        }
        !missing.is_empty()
    }

    /// The version of what was read; a fault where it is none.
    fn known(&self, path: &str, read: &Result<Vec<u8>, String>) -> Option<u64> {
        self.files.fetch_add(1, Ordering::Relaxed);
        match read {
            Ok(bytes) => {
                let version = self.version(path, bytes);
                if version.is_none() {
                    self.fault(format!("{path}: {} bytes that are no version of it", bytes.len()));
                }
                version
            }
            Err(said) => {
                self.fault(format!("{path} was not there: {said}"));
                None
            }
        }
    }

    /// Reads the manifest, all files and the manifest again, until the end. Where both manifests are one and settled,
    /// the files must be its.
    pub(super) fn read_sets(&self, mut reader: impl Reader) {
        let all: Vec<&str> = [MANIFEST].into_iter().chain(WINDOWS).chain([MANIFEST]).collect();
        while self.goes_on() {
            let read = reader.read(&all);
            if self.was_missed(&mut reader, &all, &read) {
                continue;
            }
            let versions: Vec<_> = WINDOWS.iter().zip(&read[1..]).map(|(path, read)| self.known(path, read)).collect();
            let (Ok(before), Ok(after)) = (&read[0], &read[WINDOWS.len() + 1]) else {
                self.fault(format!("the manifest was not there: {:?}", read[0].as_ref().err()));
                continue;
            };
            let manifest: Value = match serde_json::from_slice(before) {
                Ok(manifest) => manifest,
                Err(error) => {
                    self.fault(format!("a manifest of {} bytes: {error}", before.len()));
                    continue;
                }
            };
            if before != after || manifest["state"] != "settled" {
                self.unsettled.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            for (path, read) in WINDOWS.iter().zip(&read[1..]) {
                let mut files = manifest["files"].as_array().unwrap().iter();
                let said = files.find(|file| file["path"] == *path).map(|file| file["sha256"].as_str().unwrap());
                let found = read.as_ref().map(|bytes| sha256_hex(bytes)).unwrap_or_default();
                if said != Some(&found) {
                    self.fault(format!("switch {}: {path} is not the manifest's; {versions:?}", manifest["switch"]));
                }
            }
            self.whole_sets.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reads the digest, then its payload, as suricata-update does, until the end. Versions here only go forward: the
    /// payload must not be older than the digest.
    pub(super) fn read_pairs(&self, mut reader: impl Reader) {
        while self.goes_on() {
            let read = reader.read(&PAIR);
            if self.was_missed(&mut reader, &PAIR, &read) {
                continue;
            }
            let (digest, payload) = (self.known(PAIR[0], &read[0]), self.known(PAIR[1], &read[1]));
            let (Some(digest), Some(payload)) = (digest, payload) else { continue };
            if payload < digest {
                self.fault(format!("the digest is that of version {digest}, the payload after it is {payload}"));
            }
            let counter = if payload == digest { &self.pairs } else { &self.split_pairs };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, while nothing is switched, until a whole set and a whole pair have been read: between two switches of a
    /// storm a slow machine may read none.
    pub(super) fn wait_for_whole_reads(&self) {
        for counter in [&self.whole_sets, &self.pairs] {
            let before = counter.load(Ordering::Relaxed);
            wait_until("something whole is read", || (counter.load(Ordering::Relaxed) > before).then_some(()));
        }
    }

    /// What was read, in a line.
    pub(super) fn told(&self) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "{} files read, {} names missed once; {} times all of a settled manifest, {} times during a switch; {} pairs of one version, {} \
             across a switch",
            count(&self.files),
            count(&self.missed),
            count(&self.whole_sets),
            count(&self.unsettled),
            count(&self.pairs),
            count(&self.split_pairs)
        )
    }
}
