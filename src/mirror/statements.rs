//! What the origin signed for single devices, kept until it expires: in memory, and on the disk for the next start.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::protocol::Ask;
use crate::signing::{Freshness, Signed};
use crate::sys::durable;

/// Statements kept; past that the older half goes.
const STATEMENTS_MAX: usize = 16_384;
/// The longest file that is read.
const FILE_MAX_BYTES: u64 = 256 << 20;

/// A statement, and what it says.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) said: Freshness,
    pub(super) signed: Signed,
    /// Whether this process has checked the signature; what was read from the disk it has not.
    pub(super) is_checked: bool,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    ask: Ask,
    signed: Signed,
}

/// The statements of a mirror.
#[derive(Debug)]
pub(super) struct Statements {
    path: PathBuf,
    known: Mutex<HashMap<Ask, Known>>,
    /// Whether `known` has what the file has not.
    is_changed: AtomicBool,
}

impl Statements {
    /// Reads what the last process wrote. A file that is damaged is passed over: everything in it can be asked for again.
    pub(super) fn open(path: PathBuf) -> Self {
        let known = read(&path).unwrap_or_else(|error| {
            tracing::warn!(%error, path = %path.display(), "what the origin signed for devices cannot be read and is asked for again");
            HashMap::new()
        });
        Self { path, known: Mutex::new(known), is_changed: AtomicBool::new(false) }
    }

    /// What was signed for this question, if it is still good at `now`.
    pub(super) fn get(&self, ask: &Ask, now: Timestamp) -> Option<Known> {
        self.known().get(ask).filter(|known| now < known.said.expires).cloned()
    }

    /// Keeps a statement whose signature was checked.
    pub(super) fn insert(&self, ask: Ask, said: Freshness, signed: Signed, now: Timestamp) {
        let mut known = self.known();
        if known.len() >= STATEMENTS_MAX && !known.contains_key(&ask) {
            make_room(&mut known, now);
        }
        known.insert(ask, Known { said, signed, is_checked: true });
        drop(known);
        self.is_changed.store(true, Ordering::Release);
    }

    /// Forgets a statement: whoever signed it is not believed any more.
    pub(super) fn remove(&self, ask: &Ask) {
        self.known().remove(ask);
        self.is_changed.store(true, Ordering::Release);
    }

    /// Writes what is good at `now` to the disk, if anything has changed since; one caller at a time. Blocks.
    ///
    /// # Errors
    /// It cannot be written; what is in memory counts on, and the next call tries again.
    pub(super) fn keep(&self, now: Timestamp) -> io::Result<()> {
        if !self.is_changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.write(now).inspect_err(|_| self.is_changed.store(true, Ordering::Release))
    }

    fn write(&self, now: Timestamp) -> io::Result<()> {
        // Devices are answered while the text is made.
        let good = |(ask, known): (&Ask, &Known)| {
            (now < known.said.expires).then(|| Line { ask: ask.clone(), signed: known.signed.clone() })
        };
        let lines: Vec<Line> = self.known().iter().filter_map(good).collect();
        let mut text = Vec::new();
        for line in &lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        durable::write_atomically(&self.path, &text, 0o640)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Ask, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets go of what has expired, or of the older half where that is too little.
fn make_room(known: &mut HashMap<Ask, Known>, now: Timestamp) {
    known.retain(|_, known| now < known.said.expires);
    if known.len() > STATEMENTS_MAX / 2 {
        let mut times: Vec<Timestamp> = known.values().map(|known| known.said.at).collect();
        times.sort_unstable();
        let middle = times.get(times.len() / 2).copied().unwrap_or(now);
        known.retain(|_, known| known.said.at > middle);
    }
}

fn read(path: &Path) -> io::Result<HashMap<Ask, Known>> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(error),
    };
    let damaged = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    if length > FILE_MAX_BYTES {
        return Err(damaged(format!("it has {length} bytes")));
    }
    let mut known = HashMap::new();
    for line in fs::read_to_string(path)?.lines().take(STATEMENTS_MAX) {
        let Line { ask, signed } = serde_json::from_str(line)?;
        let said = Freshness::parse(&signed.text).map_err(|error| damaged(error.to_string()))?;
        known.insert(ask, Known { said, signed, is_checked: false });
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::signing::{SecretKey, view_of};

    fn said(number: usize, expires: Timestamp) -> (Ask, Freshness, Signed) {
        let key = SecretKey::from_random([1; 32], [1; 8]);
        let device = format!("pc-{number}").parse().ok();
        let said = Freshness {
            origin: key.public().id,
            view: view_of(device.as_ref()),
            platform: None,
            sequence: 1,
            at: Timestamp::from_second(1_000 + number as i64).unwrap(),
            expires,
            offers: Vec::new(),
        };
        let text = said.text();
        let ask = Ask::Freshness { device, address: None, platform: None, product: None, current: None };
        (ask, said, Signed { signature: key.sign(text.as_bytes(), "f"), text })
    }

    #[test]
    fn they_are_there_at_the_next_start_until_they_expire() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("statements.jsonl");
        let now = Timestamp::from_second(10_000).unwrap();
        let soon = now + SignedDuration::from_secs(10);
        let statements = Statements::open(path.clone());
        statements.keep(now).unwrap();
        assert!(!path.exists(), "nothing is written where there is nothing");
        let (ask, first, signed) = said(1, soon);
        statements.insert(ask.clone(), first.clone(), signed.clone(), now);
        let (old, over, its) = said(2, now);
        statements.insert(old.clone(), over, its, now);
        statements.keep(now).unwrap();
        let again = Statements::open(path.clone());
        let known = again.get(&ask, now).unwrap();
        assert_eq!((&known.said, &known.signed, known.is_checked), (&first, &signed, false));
        assert!(again.get(&old, now).is_none() && again.get(&ask, soon).is_none());
        again.remove(&ask);
        again.keep(now).unwrap();
        assert!(Statements::open(path.clone()).get(&ask, now).is_none());
        fs::write(&path, "{\n").unwrap();
        assert!(Statements::open(path).get(&ask, now).is_none());
    }

    #[test]
    fn the_oldest_go_first_where_there_are_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let statements = Statements::open(dir.path().join("statements.jsonl"));
        let now = Timestamp::from_second(10_000).unwrap();
        let later = now + SignedDuration::from_hours(1);
        for number in 0..=STATEMENTS_MAX {
            let (ask, said, signed) = said(number, later);
            statements.insert(ask, said, signed, now);
        }
        let there = |number| statements.get(&said(number, later).0, now).is_some();
        assert!(there(STATEMENTS_MAX) && there(STATEMENTS_MAX - 1) && !there(0));
        assert!(statements.known().len() <= STATEMENTS_MAX / 2 + 1);
    }
}
