//! The index against damage to its files.

use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;

use super::super::{BlobIndex, BlobRecord};
use super::*;
use crate::model::{Blake3Digest, Sha256Digest};

/// Opening takes milliseconds here; a minute means that it hangs.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// Enough for several levels and segments.
const RECORDS: u32 = 1_500;

fn body(number: u32) -> Bytes {
    let length = if number.is_multiple_of(50) { 20_000 } else { 100 };
    Bytes::from(number.to_le_bytes().repeat(length / 4))
}

/// Opens once the one before has given its lock back; an opener alone waits for a few seconds only.
fn open(dir: &Path) -> (Index, IndexOrigin) {
    let started = Instant::now();
    loop {
        match Index::open(dir, 8 << 20) {
            Err(StoreError::IndexLocked { .. }) if started.elapsed() < HANGS_AFTER / 2 => {}
            opened => return opened.unwrap(),
        }
    }
}

/// An index of some hundred records, closed.
fn fill(dir: &Path, records: u32) {
    let (index, origin) = open(dir);
    assert_eq!(origin, IndexOrigin::New);
    let blobs = BlobIndex::open(&index, 32 << 10).unwrap();
    for number in 0..records {
        let body = body(number);
        let (size, sha256) = (body.len() as u64, Sha256Digest::of(&body));
        blobs.put(&Blake3Digest::of(&body), &BlobRecord { size, sha256, inline: Some(body) }).unwrap();
    }
    index.flush().unwrap();
}

/// Opens in a thread of its own and reads everything; what is found must be right, or have been set aside.
fn open_without_hanging(dir: &Path) -> (IndexOrigin, usize) {
    let dir = dir.to_owned();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (index, origin) = open(&dir);
        let blobs = BlobIndex::open(&index, 32 << 10).unwrap();
        let mut count = 0;
        for entry in blobs.iter() {
            let (digest, record) = entry.unwrap();
            assert_eq!(Blake3Digest::of(&record.inline.unwrap()), digest);
            count += 1;
        }
        // It must be usable, too.
        let body = Bytes::from_static(b"new");
        let record = BlobRecord { size: 3, sha256: Sha256Digest::of(&body), inline: Some(body.clone()) };
        blobs.put(&Blake3Digest::of(&body), &record).unwrap();
        index.flush().unwrap();
        drop((blobs, index));
        sender.send((origin, count)).unwrap();
    });
    receiver.recv_timeout(HANGS_AFTER).expect("opening, reading or closing hung or panicked")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Numbers that depend on the seed only. A hash, because neighbouring seeds must not give related numbers.
struct Dice(blake3::OutputReader);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound.max(1)
    }
}

/// Truncates a file, or flips bits, zeroes or randomises a run in it.
fn damage(dir: &Path, dice: &mut Dice) -> String {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    // The two small files seldom: most of what can go wrong is in the data.
    let small = dice.below(4) == 0;
    files.retain(|path| path.ends_with("db") != small);
    let path = &files[dice.below(files.len() as u64) as usize];
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len() as u64;
    let place = dice.below(length) as usize;
    let run = (1 + dice.below(4_096) as usize).min(bytes.len() - place.min(bytes.len()));
    let kind = dice.below(4);
    match kind {
        0 => bytes.truncate(place),
        1 if !bytes.is_empty() => bytes[place] ^= 1 << dice.below(8),
        2 => bytes[place..place + run].fill(0),
        _ => bytes[place..place + run].iter_mut().for_each(|byte| *byte = dice.below(256) as u8),
    }
    fs::write(path, bytes).unwrap();
    format!("kind {kind} at {place} of {length} in {}", path.display())
}

#[test]
fn what_was_written_is_there_after_closing() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("index");
    fill(&index, 300);
    assert_eq!(open_without_hanging(&index), (IndexOrigin::Existing, 300));
}

#[test]
fn a_second_opener_is_told_so_and_nothing_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let _first = Index::open(&path, 8 << 20).unwrap();
    assert!(matches!(Index::open(&path, 8 << 20), Err(StoreError::IndexLocked { .. })));
    assert_eq!(names(dir.path()).unwrap(), ["index"]);
}

#[test]
fn half_written_snapshots_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    fill(&path, 300);
    let half = path.join("snap.FFFFFFFFFFFFFFF0.generating");
    fs::write(&half, b"half").unwrap();
    assert_eq!(open_without_hanging(&path), (IndexOrigin::Existing, 300));
    assert!(!half.exists());
}

#[test]
fn broken_directories_do_not_pile_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    for number in 1..=4 {
        fs::create_dir_all(&path).unwrap();
        let moved_to = set_aside(&path).unwrap();
        assert_eq!(moved_to, dir.path().join(format!("index.broken-{number}")));
    }
    let mut left = names(dir.path()).unwrap();
    left.sort();
    assert_eq!(left, ["index.broken-3", "index.broken-4"]);
}

#[test]
fn a_cleared_index_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    fill(&path, 10);
    let (index, _) = open(&path);
    index.clear().unwrap();
    assert!(BlobIndex::open(&index, 0).unwrap().is_empty().unwrap());
}

/// `RINGFENCE_DAMAGE_ROUNDS` raises the number of rounds; a failure prints its round, which is its seed.
#[test]
fn damaged_files_never_panic_or_hang_the_opener() {
    let rounds = std::env::var("RINGFENCE_DAMAGE_ROUNDS").map_or(40, |rounds| rounds.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let pristine = dir.path().join("pristine");
    fill(&pristine, RECORDS);
    // Opening once more makes sled write a snapshot, so that there is one to damage.
    assert_eq!(open_without_hanging(&pristine), (IndexOrigin::Existing, RECORDS as usize));
    assert!(names(&pristine).unwrap().iter().any(|name| name.starts_with("snap.")), "there is no snapshot to damage");
    let (mut set_aside, mut incomplete) = (0, 0);
    for round in 0..rounds {
        let subject = dir.path().join("subject/index");
        copy(&pristine, &subject);
        let what = damage(&subject, &mut Dice::new(round));
        eprintln!("round {round}: {what}");
        let (origin, count) = open_without_hanging(&subject);
        // The pristine one holds the record that tried it, too.
        let whole = RECORDS as usize + 1;
        assert!(count <= whole, "round {round}");
        incomplete += u32::from(origin == IndexOrigin::Existing && count < whole);
        if let IndexOrigin::SetAside { moved_to, .. } = origin {
            assert!(moved_to.is_dir() && count == 0);
            set_aside += 1;
        }
        fs::remove_dir_all(dir.path().join("subject")).unwrap();
    }
    eprintln!("{set_aside} of {rounds} were set aside, {incomplete} opened with records missing");
    assert!(set_aside > 0, "the damage never reached anything that matters");
}
