//! Opening, appending, group commit, torn tails, failures.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::testing::{FaultyDisk, Shared, actor, append, event, open, segments, small_segments, time};
use super::*;
use crate::model::EventRecord;

fn faulty(dir: &Path) -> (Arc<FaultyDisk>, Journal) {
    faulty_with(dir, small_segments())
}

fn faulty_with(dir: &Path, options: JournalOptions) -> (Arc<FaultyDisk>, Journal) {
    let disk = Arc::new(FaultyDisk::default());
    let shared = Arc::new(Shared(Arc::clone(&disk)));
    let opened = Journal::open_on(shared, dir, options, None, &mut |_| Ok(())).unwrap();
    (disk, opened.journal)
}

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
    for (after, limit) in [(20, 5), (u64::MAX, 5), (0, 0)] {
        assert!(seqs(after, limit).is_empty());
    }
    // An incomplete last line is not there yet.
    let last = segments(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    bytes.pop();
    fs::write(&last, bytes).unwrap();
    assert_eq!(seqs(18, 5), [19]);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_appends_share_few_fsyncs() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, journal) = faulty_with(dir.path(), JournalOptions::default());
    disk.sync_takes_ms.store(20, SeqCst);
    let journal = Arc::new(journal);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100 {
        let journal = Arc::clone(&journal);
        tasks.spawn(async move {
            let records = journal.enqueue(time(1), &actor(), vec![event(number)]).unwrap();
            journal.synced(records[0].seq).await.unwrap();
            assert!(journal.head().0 >= records[0].seq);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let stats = journal.stats();
    assert_eq!(stats.appends, 100);
    assert_eq!(stats.syncs, disk.syncs.load(SeqCst));
    assert!(stats.syncs <= 20, "{} fsyncs", stats.syncs);
    assert_eq!(verify(dir.path(), &[journal.head()]).unwrap().bytes, stats.bytes);
}

#[tokio::test]
async fn a_full_disk_refuses_without_effect_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, journal) = faulty(dir.path());
    disk.full.store(true, SeqCst);
    let refused = journal.enqueue(time(1), &actor(), vec![event(1)]).unwrap_err();
    assert!(matches!(refused, JournalError::NoSpace { needed_bytes, .. } if needed_bytes == 1 << 20));
    assert!(matches!(journal.synced(1).await, Err(JournalError::NeverQueued { seq: 1 })));
    disk.full.store(false, SeqCst);
    append(&journal, 1..=4);
    // The same where a new segment would have to begin; the reservation of the present one is not used up.
    disk.full.store(true, SeqCst);
    let refused = (0..20).find_map(|_| journal.enqueue(time(9), &actor(), vec![event(5)]).err()).unwrap();
    assert!(matches!(refused, JournalError::NoSpace { path, .. } if path.ends_with("00000002.jsonl")));
    assert_eq!(segments(dir.path()).len(), 1);
    disk.full.store(false, SeqCst);
    let seq = journal.enqueue(time(9), &actor(), vec![event(6)]).unwrap()[0].seq;
    journal.synced(seq).await.unwrap();
    assert!(!*journal.failed().borrow());
    let head = journal.head();
    drop(journal);
    assert_eq!(open(dir.path()).unwrap().1.len() as u64, head.0);
}

#[tokio::test]
async fn a_failed_fsync_is_fatal_for_everyone_and_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, journal) = faulty(dir.path());
    append(&journal, 1..=2);
    let head = journal.head();
    let mut failed = journal.failed();
    disk.broken_sync.store(true, SeqCst);
    disk.sync_takes_ms.store(20, SeqCst);
    journal.enqueue(time(3), &actor(), vec![event(3)]).unwrap();
    journal.enqueue(time(3), &actor(), vec![event(4)]).unwrap();
    let (one, two) = tokio::join!(journal.synced(3), journal.synced(4));
    for result in [one, two, journal.synced_blocking(4)] {
        let message = result.unwrap_err().to_string();
        assert!(message.contains("00000001.jsonl: injected fsync failure"), "{message}");
    }
    failed.wait_for(|failed| *failed).await.unwrap();
    disk.broken_sync.store(false, SeqCst);
    assert!(matches!(journal.enqueue(time(5), &actor(), vec![event(5)]), Err(JournalError::Failed { .. })));
    assert!(journal.synced(2).await.is_ok());
    assert_eq!(journal.head(), head);
    let syncs = disk.syncs.load(SeqCst);
    drop(journal);
    assert_eq!(disk.syncs.load(SeqCst), syncs, "nothing is retried");
}

#[test]
fn a_write_that_stops_half_way_leaves_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, journal) = faulty(dir.path());
    append(&journal, 1..=3);
    disk.broken_write.store(true, SeqCst);
    journal.enqueue(time(4), &actor(), vec![event(4)]).unwrap();
    assert!(matches!(journal.synced_blocking(4), Err(JournalError::Failed { .. })));
    drop(journal);
    let (opened, records) = open(dir.path()).unwrap();
    assert_eq!(records.len(), 3);
    assert!(opened.torn.is_some());
}

#[test]
fn a_panic_of_the_writer_wakes_its_waiters() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, journal) = faulty(dir.path());
    disk.panics.store(true, SeqCst);
    journal.enqueue(time(1), &actor(), vec![event(1)]).unwrap();
    assert!(matches!(journal.synced_blocking(1), Err(JournalError::Failed { .. })));
    assert!(*journal.failed().borrow());
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

/// Run in a process of its own by the test below: appends and says what is acknowledged, until it is killed.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn appends_until_killed() {
    let Ok(dir) = std::env::var("RINGFENCE_TEST_JOURNAL") else { return };
    let (opened, records) = open(Path::new(&dir)).unwrap();
    for number in records.len() as u64 + 1.. {
        append(&opened.journal, number..=number);
        let (seq, hash) = opened.journal.head();
        fs::write(format!("{dir}/acknowledged"), format!("{seq} {hash}")).unwrap();
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_dies() {
    let dir = tempfile::tempdir().unwrap();
    for (round, fault) in
        [(1, "journal.written"), (2, "journal.rotated"), (3, "journal.synced"), (4, "journal.rotated")]
    {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::appends_until_killed", "--ignored"])
            .env("RINGFENCE_FAULT", format!("{fault}:{round}"))
            .env("RINGFENCE_TEST_JOURNAL", dir.path())
            .output()
            .unwrap()
            .status;
        assert!(!status.success());
        let acknowledged = fs::read_to_string(dir.path().join("acknowledged")).unwrap_or_else(|_| "0 none".to_owned());
        let (seq, hash) = acknowledged.split_once(' ').unwrap();
        let heads: Vec<_> = hash.parse().ok().map(|hash| (seq.parse().unwrap(), hash)).into_iter().collect();
        verify(dir.path(), &heads).unwrap();
        let (_, records) = open(dir.path()).unwrap();
        assert!(records.len() as u64 >= seq.parse().unwrap());
    }
    assert!(segments(dir.path()).len() > 2);
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
