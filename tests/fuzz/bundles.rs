//! Bundles on a medium, as anybody may have changed them: bytes, lengths, names, files left out or there twice.
//!
//! An input is all files of a directory, one after the other, each behind a mark and a line with its name. It is written
//! into a directory, read as `bundle inspect --verify` reads it, and imported into two sites as `bundle import` does it: an
//! empty one, and one that serves from a bundle already. Then again with the manifest signed as it is now, and with one that
//! was twisted and signed, every second of these from volumes that nobody changed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ringfence::bundle::{
    Brought, BundleManifest, Encoding, Medium, OriginTrust, Survey, VolumeState, audit, verify, volume_name,
};
use ringfence::model::Blake3Digest;
use ringfence::signing::Signature;

use super::bundle::testing::{TestBundle, secret};
use super::memory::Peak;
use super::mutate::Random;
use super::runner::{Outcome, outcome};
use super::sent;
use super::site::{Site, names};
use super::twist::twist;

/// What reading and taking a bundle may take of memory, whatever it says of itself.
const MEMORY_MAX_BYTES: u64 = 128 << 20;

/// What stands before the name of a file.
const MARK: &[u8] = b"\n--file: ";

/// The names and bytes of a directory.
type Files = BTreeMap<String, Vec<u8>>;

/// What was sent, and where it arrives.
pub(crate) struct Carried {
    bundles: Vec<TestBundle>,
    /// Each as it was sent.
    whole: Vec<Medium>,
    dir: tempfile::TempDir,
    sites: [Site; 2],
    /// How many were applied by each site: as they came, and signed anew.
    applied: [Cell<u64>; 4],
    peak_bytes: Cell<u64>,
}

impl Carried {
    pub(crate) fn new() -> Self {
        let bundles = sent::bundles();
        // In memory where that is to be had: a hundred thousand directories are written.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let at = |name: &str| dir.path().join(name);
        let sites = [Site::new(at("empty"), None), Site::new(at("serving"), Some(&bundles[0]))];
        let whole = (0..).zip(&bundles).map(|(number, bundle)| {
            let dir = at(&format!("whole-{number}"));
            fs::create_dir(&dir).unwrap();
            bundle.write(&dir);
            Medium::open(&dir).unwrap()
        });
        let whole = whole.collect();
        Self { bundles, whole, dir, sites, applied: Default::default(), peak_bytes: Cell::new(0) }
    }

    pub(crate) fn inputs(&self) -> Vec<Vec<u8>> {
        let mut inputs: Vec<Vec<u8>> = self.bundles.iter().map(|bundle| joined(&files_of(bundle))).collect();
        // What mutation alone would hardly find: volumes swapped, a volume of another bundle, one there twice.
        let mut mixed = files_of(&self.bundles[0]);
        let (one, two) = (mixed["vol-0001.tar"].clone(), mixed["vol-0002.tar"].clone());
        mixed.extend([("vol-0001.tar".to_owned(), two), ("vol-0002.tar".to_owned(), one.clone())]);
        inputs.push(joined(&mixed));
        mixed.insert("vol-0001.tar".to_owned(), self.bundles[2].volumes[0].clone());
        mixed.insert("VOL-0002.tar".to_owned(), one);
        inputs.push(joined(&mixed));
        inputs
    }

    /// Reads and imports one directory. Nothing of it changes, and what is taken is what was sent.
    pub(crate) fn attempt(&self, input: &[u8]) -> Outcome {
        let files = split(input);
        let dir = self.dir.path().join("medium");
        fs::create_dir(&dir).unwrap();
        files.iter().for_each(|(name, bytes)| fs::write(dir.join(name), bytes).unwrap());
        let before = stamps(&dir);
        let peak = Peak::begin();
        let mut seen = outcome(&(self.read(&dir, &files), self.read_resigned(&dir, &files)));
        for said in self.import(&dir, &files) {
            seen = seen.wrapping_mul(31).wrapping_add(outcome(&said));
        }
        let peak_bytes = peak.map_or(0, |peak| peak.bytes());
        assert!(peak_bytes <= MEMORY_MAX_BYTES, "{peak_bytes} bytes of memory were taken");
        self.peak_bytes.set(self.peak_bytes.get().max(peak_bytes));
        assert_eq!(stamps(&dir), before, "the medium was changed");
        fs::remove_dir_all(&dir).unwrap();
        assert!(
            names(self.dir.path())
                .iter()
                .all(|name| name == "empty" || name == "serving" || name.starts_with("whole-"))
        );
        seen
    }

    /// Whether each site has applied some as they came, and some signed anew.
    pub(crate) fn has_applied_each(&self) -> bool {
        self.applied.iter().all(|count| count.get() > 0)
    }

    /// Whether all that can be applied was, and says how often.
    pub(crate) fn end(&self) {
        let applied = self.applied.each_ref().map(Cell::get);
        eprintln!(
            "bundles: {applied:?} were applied by the empty site, signed anew, by the serving one, signed anew; at most {} KiB \
             of memory for one",
            self.peak_bytes.get() / 1024
        );
        assert!(self.has_applied_each(), "an import that nothing ends proves little");
    }

    /// What both sites say of it, as it is and signed anew.
    fn import(&self, dir: &Path, files: &Files) -> Vec<String> {
        let Ok(medium) = Medium::open(dir) else { return Vec::new() };
        let (Ok(text), Ok(signature)) = (medium.manifest(), medium.signature()) else { return Vec::new() };
        let manifest = String::from_utf8_lossy(&text).into_owned();
        let as_it_is = Brought { manifest, signature: signature.unwrap_or_default(), ..Brought::default() };
        let signed = |manifest: String| {
            let signature = secret().sign(manifest.as_bytes(), "x");
            Brought { manifest, signature, ..Brought::default() }
        };
        // What was sent is not signed anew: that would be the same once more.
        let resigned = files.get("BUNDLE.json").and_then(|bytes| resigned(bytes)).map(signed);
        let resigned = resigned.filter(|brought| self.sent(brought).is_none());
        // A hand that signs and knows what it does: as seeded by the input as all else.
        let mut random =
            Random(Blake3Digest::of(&text).as_bytes()[..8].iter().fold(0, |all, byte| all << 8 | u64::from(*byte)));
        random.0 ^= files.values().map(|bytes| bytes.len() as u64).sum::<u64>();
        let index = self.bundles.iter().position(|bundle| bundle.text == as_it_is.manifest);
        let index = index.unwrap_or_else(|| random.below(self.bundles.len()));
        let twisted = signed(twist(&mut random, &self.bundles[index].manifest).text().0);
        let whole = if random.below(2) == 0 { &self.whole[index] } else { &medium };
        let mut all = vec![(&medium, &as_it_is, 0), (whole, &twisted, 1)];
        all.extend(resigned.as_ref().map(|brought| (&medium, brought, 1)));
        let mut said = Vec::new();
        for (medium, brought, of) in all {
            // What cannot be read is refused before anything of the site is looked at: one site is enough for it.
            let sites = match BundleManifest::parse(&brought.manifest) {
                Ok(_) => 0..2,
                Err(_) => 1..2,
            };
            for index in sites {
                let imported = self.sites[index].import(medium, brought);
                assert!(of == 1 || !imported.was_begun || self.is_sent(brought), "begun, and not what was sent");
                let applied = &self.applied[2 * index + of];
                applied.set(applied.get() + u64::from(imported.was_applied));
                said.push(imported.said);
            }
        }
        said
    }

    fn sent(&self, brought: &Brought) -> Option<&TestBundle> {
        self.bundles.iter().find(|bundle| bundle.text == brought.manifest)
    }

    /// Whether manifest and signature are those of one bundle; the signature's comment that nobody signs may be another.
    fn is_sent(&self, brought: &Brought) -> bool {
        let Some(sent) = self.sent(brought) else { return false };
        let [one, other] = [&sent.signature, &brought.signature].map(|text| Signature::parse(text).unwrap());
        one.trusted_comment() == other.trusted_comment()
            && last_lines(&sent.signature) == last_lines(&brought.signature)
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

/// What is signed of a signature, and the signatures: without the white space around its lines, which means nothing.
fn last_lines(signature: &str) -> Vec<&str> {
    signature.lines().skip(1).take(3).map(str::trim).collect()
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
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(content);
    }
    bytes
}

/// The files of an input, as far as they can be files of one directory. What is changed in one leaves the others alone.
fn split(input: &[u8]) -> Files {
    let ends = input.iter().enumerate().filter(|(_, byte)| **byte == MARK[0]).map(|(at, _)| at);
    let mut marks: Vec<usize> = ends.filter(|at| input[*at..].starts_with(MARK)).collect();
    marks.push(input.len());
    let mut files = Files::new();
    for pair in marks.windows(2) {
        let file = &input[pair[0] + MARK.len()..pair[1]];
        let (name, content) = file.split_at(file.iter().position(|byte| *byte == b'\n').unwrap_or(file.len()));
        let name = String::from_utf8_lossy(name).into_owned();
        let is_name = !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', '\0']) && name.len() < 200;
        if is_name && files.len() < 32 {
            files.insert(name, content.get(1..).unwrap_or_default().to_vec());
        }
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
