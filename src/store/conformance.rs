//! What every [`BlobStore`] must do: one suite, run on each implementation.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::model::Sha256Digest;

/// Replaces the stored bytes of a blob behind the store's back.
type Damage = dyn Fn(&Blake3Digest, &[u8]) + Sync;

/// A store with the means to damage it from outside.
struct Subject {
    store: Arc<dyn BlobStore>,
    damage: Box<Damage>,
    /// Holds the directory of a store on the disk.
    _dir: Option<tempfile::TempDir>,
}

fn on_disk() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(FsBlobs::open(dir.path(), &FsBlobsOptions::default()).unwrap());
    let files = Arc::clone(&store);
    let damage = move |digest: &Blake3Digest, bytes: &[u8]| {
        // A new file under the name: writing to the old one would reach live mappings.
        let path = files.path(digest);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
    };
    Subject { store, damage: Box::new(damage), _dir: Some(dir) }
}

fn in_memory() -> Subject {
    let store = Arc::new(MemoryBlobs::new());
    let bodies = Arc::clone(&store);
    let damage = move |digest: &Blake3Digest, bytes: &[u8]| bodies.damage(digest, Bytes::copy_from_slice(bytes));
    Subject { store, damage: Box::new(damage), _dir: None }
}

/// Stages these pieces as an upload does.
pub(super) fn receive(store: &dyn BlobStore, pieces: impl IntoIterator<Item = Bytes>) -> StagedDone {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut staged = store.stage(None).unwrap();
        for piece in pieces {
            staged.append(piece).await.unwrap();
        }
        staged.finish().await.unwrap()
    })
}

impl Subject {
    fn put(&self, body: &'static [u8]) -> (Blake3Digest, Committed) {
        let digest = Blake3Digest::of(body);
        (digest, self.store.commit(receive(&*self.store, [Bytes::from_static(body)])).unwrap())
    }

    fn digests(&self) -> Vec<Blake3Digest> {
        let mut digests = Vec::new();
        let each = &mut |digest, _| {
            digests.push(digest);
            ControlFlow::Continue(())
        };
        self.store.for_each(each).unwrap();
        digests
    }
}

fn a_body_comes_back(subject: &Subject) {
    let (digest, committed) = subject.put(b"body");
    assert_eq!(committed.outcome, CommitOutcome::New);
    assert_eq!(committed.protection.digest(), &digest);
    let body = subject.store.open(&digest, 4).unwrap().unwrap();
    assert_eq!(body.bytes, b"body"[..]);
    body.read_ahead(0, 4);
    assert_eq!(subject.store.cached(&digest).unwrap().bytes, b"body"[..]);
    assert_eq!(subject.store.size(&digest).unwrap(), Some(4));
    assert_eq!(subject.store.verify(&digest).unwrap(), Verdict::Intact { size: 4 });
}

fn the_empty_body_is_a_blob(subject: &Subject) {
    let (digest, _) = subject.put(b"");
    assert!(subject.store.open(&digest, 0).unwrap().unwrap().bytes.is_empty());
    assert_eq!(subject.store.verify(&digest).unwrap(), Verdict::Intact { size: 0 });
}

fn the_absent_is_absent(subject: &Subject) {
    let digest = Blake3Digest::of(b"nowhere");
    assert!(subject.store.open(&digest, 7).unwrap().is_none());
    assert!(subject.store.cached(&digest).is_none());
    assert_eq!(subject.store.size(&digest).unwrap(), None);
    assert_eq!(subject.store.verify(&digest).unwrap(), Verdict::Missing);
    assert_eq!(subject.store.quarantine(&digest).unwrap(), Verdict::Missing);
    assert_eq!(subject.store.remove(&digest).unwrap(), Removal::Missing);
}

fn committing_twice_keeps_one(subject: &Subject) {
    let (digest, _) = subject.put(b"body");
    assert_eq!(subject.put(b"body").1.outcome, CommitOutcome::Existed);
    let made_here = StagedDone::from_bytes(Bytes::from_static(b"body"));
    assert_eq!(subject.store.commit(made_here).unwrap().outcome, CommitOutcome::Existed);
    assert_eq!(subject.digests(), [digest]);
}

fn a_body_made_here_is_committed_like_any_other(subject: &Subject) {
    let staged = StagedDone::from_bytes(Bytes::from_static(b"made here"));
    let digest = *staged.blake3();
    assert_eq!(staged.bytes().unwrap(), b"made here"[..]);
    assert_eq!(subject.store.commit(staged).unwrap().outcome, CommitOutcome::New);
    assert_eq!(subject.store.open(&digest, 9).unwrap().unwrap().bytes, b"made here"[..]);
}

fn a_dropped_upload_leaves_nothing(subject: &Subject) {
    drop(receive(&*subject.store, [Bytes::from_static(b"dropped")]));
    assert_eq!(subject.digests(), []);
}

fn another_size_is_never_handed_out(subject: &Subject) {
    let (digest, _) = subject.put(b"body");
    for _ in 0..2 {
        let refused = subject.store.open(&digest, 5).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
        assert!(refused.to_string().contains("it has 4 bytes instead of 5"), "{refused}");
        // The second time from the cache.
        subject.store.open(&digest, 4).unwrap().unwrap();
    }
}

fn a_commit_replaces_what_is_damaged(subject: &Subject) {
    let (digest, _) = subject.put(b"body");
    (subject.damage)(&digest, b"bodX");
    assert!(matches!(subject.store.verify(&digest).unwrap(), Verdict::Damaged { size: 4, .. }));
    assert_eq!(subject.put(b"body").1.outcome, CommitOutcome::Replaced);
    assert_eq!(subject.store.open(&digest, 4).unwrap().unwrap().bytes, b"body"[..]);
}

fn quarantine_moves_only_what_is_damaged(subject: &Subject) {
    let (digest, _) = subject.put(b"body");
    let held = subject.store.open(&digest, 4).unwrap().unwrap();
    assert_eq!(subject.store.quarantine(&digest).unwrap(), Verdict::Intact { size: 4 });
    (subject.damage)(&digest, b"bad");
    assert!(matches!(subject.store.quarantine(&digest).unwrap(), Verdict::Damaged { size: 3, .. }));
    assert!(subject.store.cached(&digest).is_none());
    assert!(subject.store.open(&digest, 4).unwrap().is_none());
    assert_eq!(held.bytes, b"body"[..], "what was handed out stays readable");
}

fn a_scrub_finds_every_damaged_blob(subject: &Subject) {
    let (damaged, _) = subject.put(b"to be damaged");
    let (intact, _) = subject.put(b"intact");
    (subject.damage)(&damaged, b"to be damageD");
    let mut seen = 0;
    let options = ScrubOptions { bytes_per_second: std::num::NonZeroU64::new(1_000) };
    let report = scrub(&*subject.store, options, &mut |progress| seen = progress.blobs, &|| false).unwrap();
    assert_eq!((seen, report.total.bytes, report.total.damaged), (2, 19, 1));
    assert_eq!(report.quarantined.iter().map(|(digest, _)| *digest).collect::<Vec<_>>(), [damaged]);
    assert_eq!(subject.digests(), [intact]);
    let cancelled = scrub(&*subject.store, options, &mut |_| (), &|| true).unwrap();
    assert!(cancelled.cancelled && cancelled.total.blobs == 0);
}

fn a_sweep_keeps_the_referenced_and_the_protected(subject: &Subject) {
    let (referenced, _) = subject.put(b"referenced");
    let (unreferenced, _) = subject.put(b"unreferenced");
    let (in_flight, committed) = subject.put(b"in flight");
    let mut removed = Vec::new();
    let mut run = || sweep(&*subject.store, &|digest| *digest == referenced, &mut |digest| removed.push(*digest));
    assert_eq!(run().unwrap(), SweepReport { examined: 3, removed: 1, removed_bytes: 12 });
    drop(committed);
    assert_eq!(run().unwrap(), SweepReport { examined: 2, removed: 1, removed_bytes: 9 });
    assert_eq!(removed, [unreferenced, in_flight]);
    assert_eq!(subject.digests(), [referenced]);
    assert!(subject.store.cached(&unreferenced).is_none());
}

fn protection_may_begin_before_the_blob(subject: &Subject) {
    let guard = subject.store.protect(Blake3Digest::of(b"body"));
    let (digest, committed) = subject.put(b"body");
    drop(committed);
    assert_eq!(subject.store.remove(&digest).unwrap(), Removal::Kept);
    drop(guard);
    assert_eq!(subject.store.remove(&digest).unwrap(), Removal::Removed(4));
}

fn walking_is_in_order_and_may_stop(subject: &Subject) {
    let mut expected: Vec<_> = [&b"a"[..], b"b", b"c", b"d"].map(|body| subject.put(body).0).to_vec();
    expected.sort_unstable();
    assert_eq!(subject.digests(), expected);
    let mut calls = 0;
    let each = &mut |_, _| {
        calls += 1;
        ControlFlow::Break(())
    };
    subject.store.for_each(each).unwrap();
    assert_eq!(calls, 1);
}

fn commits_race_with_sweeps(subject: &Subject) {
    std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            for _ in 0..50 {
                sweep(&*subject.store, &|_| false, &mut |_| ()).unwrap();
            }
        });
        while !sweeper.is_finished() {
            let (digest, _committed) = subject.put(b"contended");
            assert_eq!(subject.store.verify(&digest).unwrap(), Verdict::Intact { size: 9 });
        }
    });
}

macro_rules! suite {
    ($($case:ident),+ $(,)?) => {
        mod fs { $(#[test] fn $case() { super::$case(&super::on_disk()); })+ }
        mod memory { $(#[test] fn $case() { super::$case(&super::in_memory()); })+ }
    };
}

suite!(
    a_body_comes_back,
    the_empty_body_is_a_blob,
    the_absent_is_absent,
    committing_twice_keeps_one,
    a_body_made_here_is_committed_like_any_other,
    a_dropped_upload_leaves_nothing,
    another_size_is_never_handed_out,
    a_commit_replaces_what_is_damaged,
    quarantine_moves_only_what_is_damaged,
    a_scrub_finds_every_damaged_blob,
    a_sweep_keeps_the_referenced_and_the_protected,
    protection_may_begin_before_the_blob,
    walking_is_in_order_and_may_stop,
    commits_race_with_sweeps,
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However a body is cut into pieces, its digests and bytes are those of the whole.
    #[test]
    fn pieces_make_the_whole(
        pieces in prop::collection::vec(prop_oneof![0..100_usize, 16_000..17_000_usize, 0..3_000_000_usize], 0..12),
        seed: u64,
    ) {
        let mut generator = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        let pieces: Vec<Bytes> = pieces.into_iter().map(|length| {
            let mut piece = vec![0; length];
            generator.fill(&mut piece);
            Bytes::from(piece)
        }).collect();
        let whole = pieces.concat();
        for subject in [on_disk(), in_memory()] {
            let staged = receive(&*subject.store, pieces.clone());
            prop_assert_eq!(*staged.blake3(), Blake3Digest::of(&whole));
            prop_assert_eq!(*staged.sha256(), Sha256Digest::of(&whole));
            prop_assert_eq!(staged.size(), whole.len() as u64);
            prop_assert_eq!(&staged.bytes().unwrap(), &whole);
            let digest = *staged.blake3();
            let committed = subject.store.commit(staged).unwrap();
            prop_assert_eq!(committed.outcome, CommitOutcome::New);
            let body = subject.store.open(&digest, whole.len() as u64).unwrap().unwrap();
            prop_assert_eq!(&body.bytes, &whole);
        }
    }
}
