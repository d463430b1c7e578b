//! What a mirror must not forget: whom it believes, and the newest word of the origin that it has seen.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Blake3Digest, PublicKey};
use crate::signing::{JournalStatement, KeysDocument, Signed};
use crate::sys::durable;

/// The version of the file.
const FORMAT: u32 = 1;
/// Keys of the origin whose signatures were believed; the oldest goes first.
const LEARNED_MAX: usize = 8;

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    format: u32,
    /// The keys of the configuration when this was written: with other ones, what was learned counts no more.
    pinned: Vec<PublicKey>,
    /// Keys that those vouched for and that have signed; without pinned ones, the first that was met.
    pub(super) learned: Vec<PublicKey>,
    /// The origin's keys, as the upstream last told of them.
    pub(super) keys: KeysDocument,
    /// How many mirrors the upstream itself is from the origin; none before the first contact.
    pub(super) hops: Option<u32>,
    /// The highest sequence that the origin has signed and that this mirror has followed, and its hash.
    pub(super) seen: Option<(u64, Blake3Digest)>,
    /// The statement up to which the journal was followed.
    pub(super) statement: Option<Signed>,
}

impl Kept {
    /// The keys from which trust starts.
    pub(super) fn anchors(&self) -> Vec<PublicKey> {
        self.pinned.iter().chain(&self.learned).copied().collect()
    }

    /// Whether nothing was pinned, and nobody was met yet.
    pub(super) fn has_met_nobody(&self) -> bool {
        self.pinned.is_empty() && self.learned.is_empty()
    }

    /// A signature of this key was believed.
    pub(super) fn learn(&mut self, key: PublicKey) {
        if self.pinned.contains(&key) || self.learned.contains(&key) {
            return;
        }
        self.learned.push(key);
        if self.learned.len() > LEARNED_MAX {
            self.learned.remove(0);
        }
    }

    /// The statement up to which the journal was followed, read.
    pub(super) fn followed(&self) -> Option<JournalStatement> {
        JournalStatement::parse(&self.statement.as_ref()?.text).ok()
    }
}

/// The file, and its content.
#[derive(Debug)]
pub(super) struct KeptFile {
    path: PathBuf,
    kept: Mutex<Kept>,
    /// The content as it is on the disk, and one writer at a time.
    written: Mutex<Kept>,
}

impl KeptFile {
    /// Reads the file, if it is there.
    pub(super) fn open(path: PathBuf, pinned: &[PublicKey]) -> io::Result<Self> {
        let nothing = || Kept {
            format: FORMAT,
            pinned: pinned.to_vec(),
            learned: Vec::new(),
            keys: KeysDocument::default(),
            hops: None,
            seen: None,
            statement: None,
        };
        let mut kept = read(&path)?.unwrap_or_else(nothing);
        let written = kept.clone();
        if kept.pinned != pinned {
            kept.pinned = pinned.to_vec();
            kept.learned.clear();
        }
        Ok(Self { path, kept: Mutex::new(kept), written: Mutex::new(written) })
    }

    pub(super) fn get(&self) -> Kept {
        lock(&self.kept).clone()
    }

    /// Changes what is kept. Returns once it is on the disk; where it is not, it counts all the same. Blocks.
    pub(super) fn change(&self, change: impl FnOnce(&mut Kept)) -> io::Result<()> {
        let mut written = lock(&self.written);
        let next = {
            let mut kept = lock(&self.kept);
            change(&mut kept);
            kept.clone()
        };
        if !is_worth_writing(&written, &next) {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(&next)?;
        durable::write_atomically(&self.path, &text, 0o640)?;
        *written = next;
        Ok(())
    }
}

/// A statement that says nothing new but a later time is written once a minute.
fn is_worth_writing(written: &Kept, next: &Kept) -> bool {
    let quiet = |kept: &Kept| Kept { statement: None, ..kept.clone() };
    if quiet(written) != quiet(next) {
        return true;
    }
    match (written.followed(), next.followed()) {
        (Some(old), Some(new)) => old.sequence != new.sequence || minute(new.at) != minute(old.at),
        (old, new) => old != new,
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

fn read(path: &Path) -> io::Result<Option<Kept>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged = |what: String| {
        let why = format!("{what}; put it back from a backup, or remove it to meet the upstream anew");
        io::Error::new(io::ErrorKind::InvalidData, why)
    };
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| damaged(format!("it cannot be read ({error})")))?;
    if kept.format == FORMAT { Ok(Some(kept)) } else { Err(damaged(format!("its format is {}", kept.format))) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SecretKey;

    fn key(number: u8) -> PublicKey {
        SecretKey::from_random([number; 32], [number; 8]).public()
    }

    #[test]
    fn it_is_there_after_a_restart_and_forgets_what_other_pins_learned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.json");
        let file = KeptFile::open(path.clone(), &[key(1)]).unwrap();
        assert!(!file.get().has_met_nobody());
        let seen = Some((7, Blake3Digest::of(b"x")));
        file.change(|kept| {
            kept.learn(key(1));
            kept.learn(key(2));
            kept.seen = seen;
        })
        .unwrap();
        let again = KeptFile::open(path.clone(), &[key(1)]).unwrap().get();
        assert_eq!((again.anchors(), again.seen), (vec![key(1), key(2)], seen));
        let other = KeptFile::open(path.clone(), &[key(3)]).unwrap().get();
        assert_eq!((other.anchors(), other.seen), (vec![key(3)], seen));
        fs::write(&path, "{").unwrap();
        let error = KeptFile::open(path, &[]).unwrap_err().to_string();
        assert!(error.contains("remove it to meet the upstream anew"), "{error}");
    }

    #[test]
    fn learned_keys_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let file = KeptFile::open(dir.path().join("trust.json"), &[]).unwrap();
        assert!(file.get().has_met_nobody());
        for number in 1..=20 {
            file.change(|kept| kept.learn(key(number))).unwrap();
        }
        let learned = file.get().learned;
        assert_eq!((learned.len(), learned.last()), (LEARNED_MAX, Some(&key(20))));
    }
}
