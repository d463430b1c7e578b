//! Opening, appending, snapshots, torn tails, damage.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::testing::{actor, append, event, open, segments, small_segments, time};
use super::*;
use crate::model::EventRecord;

/// Opens from a snapshot and returns what came after it.
fn open_from(dir: &Path, from: (u64, Blake3Digest)) -> Result<Vec<u64>, JournalError> {
    let mut seqs = Vec::new();
    Journal::open(dir, small_segments(), Some(from), &mut |record| {
        seqs.push(record.seq);
        Ok(())
    })?;
    Ok(seqs)
}

#[test]
fn what_was_appended_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("data/journal");
    let (opened, records) = open(&below).unwrap();
    assert!(records.is_empty() && opened.torn.is_none());
    assert_eq!(opened.journal.head(), (0, chain::NO_HASH));
    let first = opened.journal.enqueue(time(1), &actor(), vec![event(1), event(2)]).unwrap();
    assert!(opened.journal.enqueue(time(1), &actor(), vec![]).unwrap().is_empty());
    opened.journal.synced_blocking(2).unwrap();
    assert_eq!(opened.journal.head(), (2, first[1].hash));
    append(&opened.journal, 3..=20);
    let head = opened.journal.head();
    drop(opened);
    assert!(segments(&below).len() > 2);
    let (opened, records) = open(&below).unwrap();
    assert_eq!(records.len(), 20);
    assert_eq!(&records[..2], &[(*first[0]).clone(), (*first[1]).clone()]);
    assert_eq!(opened.journal.head(), head);
    append(&opened.journal, 21..=21);
    assert_eq!(verify(&below, &[head, opened.journal.head(), (0, chain::NO_HASH)]).unwrap().seq, 21);
}

#[test]
fn dropping_writes_what_is_queued_and_space_is_not_seen_as_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let (opened, _) = open(dir.path()).unwrap();
    let records = opened.journal.enqueue(time(1), &actor(), vec![event(1)]).unwrap();
    drop(opened);
    let path = &segments(dir.path())[0];
    let expected = format!("{}\n", serde_json::to_string(&*records[0]).unwrap());
    assert_eq!(fs::read_to_string(path).unwrap(), expected);
    // The reservation is there (where the file system of the tests supports it) and outside the file's length.
    let metadata = fs::metadata(path).unwrap();
    assert!(metadata.blocks() * 512 >= metadata.len());
}

#[test]
fn a_snapshot_skips_what_it_holds_and_must_belong() {
    let dir = tempfile::tempdir().unwrap();
    let (opened, _) = open(dir.path()).unwrap();
    append(&opened.journal, 1..=20);
    drop(opened);
    let (_, records) = open(dir.path()).unwrap();
    let hash = |seq: u64| records[seq as usize - 1].hash;
    for seq in 1..=20 {
        assert_eq!(open_from(dir.path(), (seq, hash(seq))).unwrap(), (seq + 1..=20).collect::<Vec<_>>());
    }
    assert_eq!(open_from(dir.path(), (0, chain::NO_HASH)).unwrap().len(), 20);
    let other = open_from(dir.path(), (5, hash(6))).unwrap_err();
    assert!(matches!(other, JournalError::SnapshotMismatch { seq: 5, found: Some(found), .. } if found == hash(5)));
    for seq in [21, 1000, u64::MAX] {
        let gone = open_from(dir.path(), (seq, hash(6))).unwrap_err();
        assert!(matches!(gone, JournalError::SnapshotMismatch { found: None, .. }), "{gone}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(open_from(empty.path(), (1, hash(1))), Err(JournalError::SnapshotMismatch { found: None, .. })));
    // Damage before the snapshot's segment is not looked for, damage after it is found.
    let paths = segments(dir.path());
    flip(&paths[0], 200);
    assert!(open_from(dir.path(), (20, hash(20))).unwrap().is_empty());
    flip(paths.last().unwrap(), 200);
    assert!(matches!(open_from(dir.path(), (12, hash(12))), Err(JournalError::Broken { .. })));
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_stretch_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (opened, _) = open(dir.path()).unwrap();
    append(&opened.journal, 1..=20);
    let seqs = |after, limit| read(dir.path(), after, limit).unwrap().iter().map(|r| r.seq).collect::<Vec<_>>();
    assert_eq!(seqs(0, 3), [1, 2, 3]);
    assert_eq!(seqs(7, 100), (8..=20).collect::<Vec<_>>());
    let newest = |limit| read_newest(dir.path(), limit).unwrap().iter().map(|r| r.seq).collect::<Vec<_>>();
    for limit in 0..=25_usize {
        assert_eq!(newest(limit), (21 - limit.min(20) as u64..=20).collect::<Vec<_>>(), "{limit}");
    }
    for (after, limit) in [(20, 5), (u64::MAX, 5), (0, 0)] {
        assert!(seqs(after, limit).is_empty());
    }
    // An incomplete last line is not there yet.
    let last = segments(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    bytes.pop();
    fs::write(&last, bytes).unwrap();
    assert_eq!(seqs(18, 5), [19]);
    assert_eq!(newest(2), [18, 19]);
    assert!(verify(dir.path(), &[]).unwrap().incomplete_bytes > 0);
}

#[test]
fn a_tail_torn_at_any_byte_is_set_aside_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (opened, _) = open(dir.path()).unwrap();
    append(&opened.journal, 1..=6);
    let head = opened.journal.head();
    append(&opened.journal, 7..=7);
    drop(opened);
    let last = segments(dir.path()).pop().unwrap();
    let whole = fs::read(&last).unwrap();
    let line_start = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    for cut in line_start..whole.len() {
        fs::write(&last, &whole[..cut]).unwrap();
        let (opened, records) = open(dir.path()).unwrap();
        assert_eq!((records.len(), opened.journal.head()), (6, head));
        let Some(torn) = opened.torn else {
            assert_eq!(cut, line_start);
            continue;
        };
        let aside = torn.set_aside.unwrap();
        assert!(aside.file_name().unwrap().to_str().unwrap().starts_with("torn-7-"));
        assert_eq!(fs::read(&aside).unwrap(), &whole[line_start..cut]);
        assert_eq!((torn.segment, torn.bytes), (last.clone(), (cut - line_start) as u64));
        fs::remove_file(aside).unwrap();
    }
    let (opened, _) = open(dir.path()).unwrap();
    append(&opened.journal, 7..=8);
    assert_eq!(verify(dir.path(), &[head]).unwrap().seq, 8);
}

#[test]
fn damage_is_refused_with_its_place_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (opened, _) = open(dir.path()).unwrap();
    append(&opened.journal, 1..=20);
    drop(opened);
    let paths = segments(dir.path());
    let first = fs::read(&paths[0]).unwrap();
    let second_line = first.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    flip(&paths[0], second_line + 10);
    let error = open(dir.path()).unwrap_err();
    let place = format!("00000001.jsonl is damaged at line 2 (byte {second_line}): the line's bytes do not match");
    assert!(error.to_string().contains(&place), "{error}");
    // A cut line is only a torn tail in the last segment.
    fs::write(&paths[0], &first[..first.len() - 1]).unwrap();
    assert!(matches!(open(dir.path()), Err(JournalError::Broken { fault: Fault::Cut, .. })));
    fs::write(&paths[0], "").unwrap();
    assert!(matches!(open(dir.path()), Err(JournalError::EmptySegment { path }) if path == paths[0]));
    fs::remove_file(&paths[0]).unwrap();
    assert!(matches!(open(dir.path()), Err(JournalError::MissingSegment { path }) if path == paths[0]));
    assert_eq!(segments(dir.path()), paths[1..]);
    fs::write(&paths[0], &first).unwrap();
    let refused = Journal::open(dir.path(), small_segments(), None, &mut |_| Err("no such product".to_owned()));
    assert!(matches!(refused, Err(JournalError::Rejected { line: 1, .. })));
    assert!(open(dir.path()).is_ok());
}

#[test]
fn a_rewritten_or_shortened_journal_is_known_by_an_external_head() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (opened, _) = open(one.path()).unwrap();
    append(&opened.journal, 1..=5);
    let head = opened.journal.head();
    let (rewritten, _) = open(two.path()).unwrap();
    rewritten.journal.enqueue(time(1), &actor(), vec![event(99)]).unwrap();
    rewritten.journal.synced_blocking(1).unwrap();
    assert!(matches!(verify(two.path(), &[head]), Err(JournalError::HeadMismatch { found: None, .. })));
    append(&rewritten.journal, 2..=6);
    assert!(matches!(verify(two.path(), &[head]), Err(JournalError::HeadMismatch { found: Some(_), .. })));
    assert!(verify(two.path(), &[(0, head.1)]).is_err());
    assert!(verify(one.path(), &[head, head]).is_ok());
}

#[test]
fn a_line_may_be_long_but_not_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let (opened, _) = open(dir.path()).unwrap();
    let policy = |bytes| crate::model::Event::PolicyApplied { digest: chain::NO_HASH, text: "x".repeat(bytes) };
    let refused = opened.journal.enqueue(time(1), &actor(), vec![event(1), policy(MAX_LINE_BYTES)]);
    assert!(matches!(refused, Err(JournalError::TooLong { .. })));
    opened.journal.enqueue(time(1), &actor(), vec![policy(MAX_LINE_BYTES - 1000)]).unwrap();
    opened.journal.enqueue(time(1), &actor(), vec![event(2)]).unwrap();
    drop(opened);
    let (_, records) = open(dir.path()).unwrap();
    assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2]);
}

#[test]
#[ignore = "a measurement: prints how long 100,000 events of about 500 bytes take to verify and parse"]
fn reading_speed() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Journal::open(dir.path(), JournalOptions::default(), None, &mut |_| Ok(())).unwrap();
    let text = "x".repeat(180);
    for _ in 0..100 {
        let event = crate::model::Event::PolicyApplied { digest: chain::NO_HASH, text: text.clone() };
        opened.journal.enqueue(time(1), &actor(), vec![event; 1000]).unwrap();
    }
    drop(opened);
    let started = std::time::Instant::now();
    let mut records: Vec<EventRecord> = Vec::new();
    Journal::open(dir.path(), JournalOptions::default(), None, &mut |record| {
        records.push(record);
        Ok(())
    })
    .unwrap();
    let bytes = verify(dir.path(), &[]).unwrap().bytes;
    println!("{} events, {bytes} bytes, opened and verified twice in {:?}", records.len(), started.elapsed());
}
