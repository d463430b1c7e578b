//! Group commit, a full disk, a disk that breaks, a process that dies.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use tokio::task::JoinSet;

use super::testing::{FaultyDisk, Shared, actor, append, event, open, segments, small_segments, time};
use super::{Journal, JournalError, JournalOptions, verify};

fn faulty(dir: &Path) -> (Arc<FaultyDisk>, Journal) {
    faulty_with(dir, small_segments())
}

fn faulty_with(dir: &Path, options: JournalOptions) -> (Arc<FaultyDisk>, Journal) {
    let disk = Arc::new(FaultyDisk::default());
    let shared = Arc::new(Shared(Arc::clone(&disk)));
    let opened = Journal::open_on(shared, dir, options, None, &mut |_| Ok(())).unwrap();
    (disk, opened.journal)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_appends_share_few_fsyncs() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, journal) = faulty_with(dir.path(), JournalOptions::default());
    let journal = Arc::new(journal);
    let held = disk.hold();
    let mut tasks = JoinSet::new();
    for number in 0..100 {
        let journal = Arc::clone(&journal);
        tasks.spawn(async move { journal.enqueue(time(1), &actor(), vec![event(number)]).unwrap()[0].seq });
    }
    let mut waiting = JoinSet::new();
    for seq in tasks.join_all().await {
        let journal = Arc::clone(&journal);
        waiting.spawn(async move {
            journal.synced(seq).await.unwrap();
            assert!(journal.head().0 >= seq);
        });
    }
    drop(held);
    waiting.join_all().await;
    let stats = journal.stats();
    assert_eq!(stats.appends, 100);
    assert_eq!(stats.syncs, disk.syncs.load(SeqCst));
    assert!(stats.syncs <= 2, "{} fsyncs: one for what came first, one for what came while it ran", stats.syncs);
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
    // Nothing can be queued once it has failed, so it has to wait for both.
    let held = disk.hold();
    journal.enqueue(time(3), &actor(), vec![event(3)]).unwrap();
    journal.enqueue(time(3), &actor(), vec![event(4)]).unwrap();
    drop(held);
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
            .args(["--exact", "journal::failure_tests::appends_until_killed", "--ignored"])
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
