//! Any edit, deletion, reorder or truncation of the journal is detected, against a head that was kept elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use super::chain::Chain;
use super::testing::{actor, append, event, open, segments, time};
use super::verify;

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): enough for tests,
/// and a failing seed can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).unwrap()
    }
}

type Contents = Vec<Vec<u8>>;

fn lines(segment: &[u8]) -> Vec<Vec<u8>> {
    segment.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Changes the contents of a journal's segments in one of many ways and says how. Emptied vectors stay as empty
/// files; `None` removes the file.
fn mutate(dice: &mut Dice, contents: &Contents) -> (String, Vec<Option<Vec<u8>>>) {
    let mut changed: Vec<Option<Vec<u8>>> = contents.iter().cloned().map(Some).collect();
    let which = dice.below(contents.len());
    let bytes = &contents[which];
    let mut rows = lines(bytes);
    let (at, row, other) = (dice.below(bytes.len()), dice.below(rows.len()), dice.below(rows.len()));
    let kind = dice.below(14);
    let mut edited = bytes.clone();
    let result = match kind {
        0 => {
            edited[at] ^= 1 << dice.below(8);
            Some(edited)
        }
        1 => {
            edited[at] = dice.roll() as u8;
            Some(edited)
        }
        2 => {
            edited.truncate(at);
            Some(edited)
        }
        3 => {
            edited.insert(at, dice.roll() as u8);
            Some(edited)
        }
        4 => {
            let end = (at + 1 + dice.below(40)).min(edited.len());
            edited.drain(at..end);
            Some(edited)
        }
        5 => {
            rows.remove(row);
            Some(rows.concat())
        }
        6 => {
            rows.swap(row, other);
            Some(rows.concat())
        }
        7 => {
            rows.insert(other, rows[row].clone());
            Some(rows.concat())
        }
        8 => {
            rows.truncate(row);
            Some(rows.concat())
        }
        9 => None,
        10 => {
            changed.swap(which, dice.below(contents.len()));
            changed[which].clone()
        }
        11 => {
            edited.extend((0..=dice.below(300)).map(|_| dice.roll() as u8));
            Some(edited)
        }
        12 => {
            edited.extend(vec![0; 1 + dice.below(5000)]);
            Some(edited)
        }
        _ => {
            rows[row] = forge(&rows[row]);
            Some(rows.concat())
        }
    };
    changed[which] = result;
    (format!("kind {kind}, segment {which}, byte {at}, line {row} and {other}"), changed)
}

/// Another event in the place of this line, with a hash that fits it.
fn forge(line: &[u8]) -> Vec<u8> {
    let record: crate::model::EventRecord = serde_json::from_slice(line).unwrap();
    let mut out = Vec::new();
    Chain::forged(&record).append(record.time, &actor(), event(999), &mut out).unwrap();
    out
}

fn write(dir: &Path, paths: &[PathBuf], contents: &[Option<Vec<u8>>]) {
    for (path, bytes) in paths.iter().zip(contents) {
        match bytes {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => drop(fs::remove_file(path)),
        }
    }
    assert!(dir.is_dir());
}

#[test]
fn every_mutation_is_detected() {
    let full = std::env::var("RINGFENCE_TIER").is_ok_and(|tier| tier == "full");
    let count = if full { 10_000 } else { 1_000 };
    let seed = 0x52_69_6e_67 ^ u64::from(std::process::id());
    let dir = tempfile::tempdir().unwrap();
    let (opened, _) = open(dir.path()).unwrap();
    append(&opened.journal, 1..=24);
    let head = opened.journal.head();
    drop(opened);
    let paths = segments(dir.path());
    let contents: Contents = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let intact: Vec<Option<Vec<u8>>> = contents.iter().cloned().map(Some).collect();
    assert!(paths.len() > 2);
    let mut dice = Dice(seed);
    let mut tried = 0;
    while tried < count {
        let (what, changed) = mutate(&mut dice, &contents);
        if changed == intact {
            continue;
        }
        tried += 1;
        write(dir.path(), &paths, &changed);
        // Bytes after the last whole line are no record: they are reported, and the next start sets them aside.
        let detected = verify(dir.path(), &[head]).map_or(true, |verified| verified.incomplete_bytes > 0);
        assert!(detected, "seed {seed}: not detected: {what}");
    }
    write(dir.path(), &paths, &intact);
    assert_eq!(verify(dir.path(), &[head, (1, first_hash(&contents))]).unwrap().seq, 24);
}

fn first_hash(contents: &Contents) -> crate::model::Blake3Digest {
    let record: crate::model::EventRecord = serde_json::from_slice(&lines(&contents[0])[0]).unwrap();
    assert!(record.time >= time(0));
    record.hash
}
