//! Bundles on a medium, as anybody may have changed them: bytes, lengths, names, files left out or there twice.
//!
//! An input is all files of a directory, one after the other, each behind a line with its name and its length. It is
//! written into a directory, and read as `bundle inspect --verify` reads it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ringfence::bundle::{
    BundleManifest, Encoding, Medium, OriginTrust, Survey, VolumeState, audit, verify, volume_name,
};
use ringfence::model::Blake3Digest;

use super::bundle::testing::{Make, TestBundle, secret};
use super::runner::{Outcome, outcome};

/// The names and bytes of a directory.
type Files = BTreeMap<String, Vec<u8>>;

/// What was sent, and where it arrives.
pub(crate) struct Carried {
    bundles: Vec<TestBundle>,
    dir: tempfile::TempDir,
}

impl Carried {
    pub(crate) fn new() -> Self {
        let noise: Vec<u8> = (0..3_000_u32).flat_map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let mut split = Make::new(&[&noise, &b"the same again, ".repeat(400), b"short"]);
        split.volume_bytes = 8 * 1024;
        let mut next = Make::new(&[b"another", b"bundle"]);
        next.sequence = 2;
        let bundles = vec![split.bundle(), next.bundle(), Make::new(&[]).bundle()];
        // In memory where that is to be had: a hundred thousand directories are written.
        let place = Some(Path::new("/dev/shm")).filter(|place| place.is_dir());
        let dir = place.map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
        Self { bundles, dir }
    }

    pub(crate) fn inputs(&self) -> Vec<Vec<u8>> {
        let mut inputs: Vec<Vec<u8>> = self.bundles.iter().map(|bundle| joined(&files_of(bundle))).collect();
        // What mutation alone would hardly find: volumes swapped, a volume of another bundle, one there twice.
        let mut mixed = files_of(&self.bundles[0]);
        let (one, two) = (mixed["vol-0001.tar"].clone(), mixed["vol-0002.tar"].clone());
        mixed.extend([("vol-0001.tar".to_owned(), two), ("vol-0002.tar".to_owned(), one.clone())]);
        inputs.push(joined(&mixed));
        mixed.insert("vol-0001.tar".to_owned(), self.bundles[1].volumes[0].clone());
        mixed.insert("VOL-0002.tar".to_owned(), one);
        inputs.push(joined(&mixed));
        inputs
    }

    /// Reads one directory. Nothing of it changes, and what is taken is what was sent.
    pub(crate) fn attempt(&self, input: &[u8]) -> Outcome {
        let files = split(input);
        let dir = self.dir.path().join("medium");
        fs::create_dir(&dir).unwrap();
        files.iter().for_each(|(name, bytes)| fs::write(dir.join(name), bytes).unwrap());
        let before = stamps(&dir);
        let as_it_is = self.read(&dir, &files);
        let resigned = self.read_resigned(&dir, &files);
        assert_eq!(stamps(&dir), before, "the medium was changed");
        fs::remove_dir_all(&dir).unwrap();
        outcome(&(as_it_is, resigned))
    }

    fn read(&self, dir: &Path, files: &Files) -> String {
        let medium = match Medium::open(dir) {
            Ok(medium) => medium,
            Err(error) => return said(&error),
        };
        let (text, signature) = match (medium.manifest(), medium.signature()) {
            (Ok(text), Ok(signature)) => (text, signature),
            (Err(error), _) | (_, Err(error)) => return said(&error),
        };
        let (manifest, id) = match verify(&text, signature.as_deref(), &OriginTrust::in_keys([secret().public()])) {
            Ok((manifest, id, _)) => (manifest, id),
            Err(refusal) => return said(&refusal),
        };
        let sent = self.bundles.iter().find(|bundle| bundle.id == id).expect("only what was sent is signed");
        assert_eq!((&text[..], &manifest), (sent.text.as_bytes(), &sent.manifest));
        let (survey, found) = looked_at(&medium, &manifest);
        let is_whole = survey.volumes.iter().all(|state| *state == VolumeState::Present);
        if is_whole && found.is_empty() {
            for (number, bytes) in (1..).zip(&sent.volumes) {
                assert_eq!(&files[&volume_name(number)], bytes, "taken, and not what was sent");
            }
        }
        format!("{:?} {}", survey.volumes, found.join(" "))
    }

    /// As a manifest that an origin signed and that says what this one says: whatever that is, nothing breaks.
    fn read_resigned(&self, dir: &Path, files: &Files) -> String {
        let Some(text) = files.get("BUNDLE.json").and_then(|bytes| resigned(bytes)) else { return String::new() };
        let signature = secret().sign(text.as_bytes(), "x");
        let trust = OriginTrust::in_keys([secret().public()]);
        match (verify(text.as_bytes(), Some(&signature), &trust), Medium::open(dir)) {
            (Ok((manifest, ..)), Ok(medium)) => {
                assert_eq!(manifest.check(), Ok(()));
                assert_eq!(BundleManifest::parse(&manifest.text().0).unwrap().0, manifest);
                let (survey, found) = looked_at(&medium, &manifest);
                format!("{:?} {}", survey.volumes, found.join(" "))
            }
            (Err(refusal), _) => said(&refusal),
            (_, Err(error)) => said(&error),
        }
    }
}

fn looked_at(medium: &Medium, manifest: &BundleManifest) -> (Survey, Vec<String>) {
    let survey = medium.survey(manifest);
    let mut read = 0;
    let seen = audit(medium, manifest, &survey.volumes, |bytes| read += bytes);
    assert_eq!(seen.bytes, read);
    assert!(read <= manifest.totals.volume_bytes, "no byte is read twice");
    let is_patch = |object: &&ringfence::bundle::Object| object.encoding == Encoding::Patch;
    assert!(seen.patches <= manifest.objects.iter().filter(is_patch).count() as u64);
    (survey, seen.findings.iter().map(said).collect())
}

/// One sentence, always.
fn said(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() < 4_096, "{text}");
    text
}

/// The text with the id that its bytes have.
fn resigned(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let body = &text[..text.rfind(",\"id\":\"")?];
    Some(format!("{body},\"id\":\"{}\"}}", Blake3Digest::of(body.as_bytes()).to_hex()))
}

fn files_of(bundle: &TestBundle) -> Files {
    let mut files = Files::new();
    files.insert("BUNDLE.json".to_owned(), bundle.text.clone().into_bytes());
    files.insert("BUNDLE.sig".to_owned(), bundle.signature.clone().into_bytes());
    files.extend((1..).map(volume_name).zip(bundle.volumes.iter().cloned()));
    files
}

fn joined(files: &Files) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in files {
        bytes.extend_from_slice(format!("{name} {}\n", content.len()).as_bytes());
        bytes.extend_from_slice(content);
    }
    bytes
}

/// The files of an input, as far as they can be files of one directory.
fn split(mut input: &[u8]) -> Files {
    let mut files = Files::new();
    while let Some(end) = input.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&input[..end]).into_owned();
        let (name, length) = line.rsplit_once(' ').unwrap_or((&line, "0"));
        let rest = &input[end + 1..];
        let (content, rest) = rest.split_at(length.parse().unwrap_or(0).min(rest.len()));
        let is_name = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']) && name.len() < 200;
        if is_name && files.len() < 32 {
            files.insert(name.to_owned(), content.to_vec());
        }
        input = rest;
    }
    files
}

/// What a write would change.
fn stamps(dir: &Path) -> Vec<(PathBuf, u64, i64, i64)> {
    let mut stamps: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            (path, found.len(), found.mtime_nsec(), found.ctime_nsec())
        })
        .collect();
    stamps.sort();
    stamps
}
