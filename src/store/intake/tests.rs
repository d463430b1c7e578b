//! Both ways in take exactly what was promised.

use proptest::prelude::*;

use super::*;
use crate::model::Sha256Digest;
use crate::store::{CommitOutcome, FsBlobsOptions, Verdict};

fn store() -> (Arc<FsBlobs>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Arc::new(FsBlobs::open(dir.path(), &FsBlobsOptions::default()).unwrap()), dir)
}

fn of(body: &[u8]) -> ObjectRef {
    ObjectRef { blake3: Blake3Digest::of(body), sha256: Sha256Digest::of(body), size: body.len() as u64 }
}

/// Gives these pieces to both ways in, and asserts that they answer alike.
fn take(store: &Arc<FsBlobs>, expected: ObjectRef, pieces: &[&[u8]]) -> Result<Committed, IntakeError> {
    let blocking = || -> Result<Committed, IntakeError> {
        let mut intake = BlockingIntake::begin(store, expected)?;
        for piece in pieces {
            intake.append(piece)?;
        }
        assert_eq!(intake.len(), pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
        intake.finish()
    };
    let read = take_blocking(store, expected, io::Cursor::new(pieces.concat())).map(|committed| committed.outcome);
    let pushed = blocking().map(|committed| committed.outcome);
    assert_eq!(format!("{read:?}").replace("New", "Existed"), format!("{pushed:?}").replace("New", "Existed"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answer = runtime.block_on(async {
        let mut intake = Intake::begin(store, expected)?;
        for piece in pieces {
            intake.append(Bytes::copy_from_slice(piece)).await?;
        }
        intake.finish().await
    });
    assert_eq!(answer.is_ok(), pushed.is_ok());
    answer
}

fn is_empty(store: &FsBlobs, dir: &tempfile::TempDir) -> bool {
    let mut blobs = 0;
    let count = &mut |_, _| {
        blobs += 1;
        std::ops::ControlFlow::Continue(())
    };
    store.for_each(count).unwrap();
    blobs == 0 && dir.path().join("staging").read_dir().unwrap().count() == 0
}

#[test]
fn what_was_promised_gets_its_name() {
    let (store, _dir) = store();
    let committed = take(&store, of(b"body"), &[b"bo", b"", b"dy"]).unwrap();
    assert_eq!(*committed.protection.digest(), Blake3Digest::of(b"body"));
    assert_eq!(store.verify(&Blake3Digest::of(b"body")).unwrap(), Verdict::Intact { size: 4 });
    assert_eq!(take(&store, of(b"body"), &[b"body"]).unwrap().outcome, CommitOutcome::Existed);
}

#[test]
fn a_body_of_nothing_is_taken() {
    let (store, _dir) = store();
    let _ = take(&store, of(b""), &[]).unwrap();
    assert_eq!(store.verify(&Blake3Digest::of(b"")).unwrap(), Verdict::Intact { size: 0 });
    let too_long = take(&store, of(b""), &[b"x"]).unwrap_err();
    assert!(matches!(too_long, IntakeError::TooLong { size: 0, .. }), "{too_long}");
}

#[test]
fn anything_else_is_refused_and_leaves_nothing() {
    let (store, dir) = store();
    let body = of(b"body");
    let wrong = take(&store, body, &[b"bodi"]).unwrap_err();
    assert!(matches!(wrong, IntakeError::Mismatch { what: "BLAKE3", .. }), "{wrong}");
    let other = ObjectRef { sha256: Sha256Digest::of(b"other"), ..body };
    let wrong = take(&store, other, &[b"body"]).unwrap_err();
    assert!(matches!(wrong, IntakeError::Mismatch { what: "SHA-256", .. }), "{wrong}");
    let long = take(&store, body, &[b"body", b"s"]).unwrap_err();
    assert!(matches!(long, IntakeError::TooLong { size: 4, .. }), "{long}");
    let short = take(&store, body, &[b"bod"]).unwrap_err();
    assert!(matches!(short, IntakeError::Short { len: 3, size: 4, .. }), "{short}");
    let longer = take(&store, ObjectRef { size: 3, ..body }, &[b"bod"]).unwrap_err();
    assert!(matches!(longer, IntakeError::Mismatch { .. }), "{longer}");
    assert!(is_empty(&store, &dir));
}

#[test]
fn a_size_no_disk_has_is_refused_before_anything_is_sent() {
    let (store, dir) = store();
    let refused = take(&store, ObjectRef { size: 1 << 60, ..of(b"") }, &[]).unwrap_err();
    assert!(matches!(refused, IntakeError::Store(StoreError::NoSpace { .. })), "{refused}");
    assert!(is_empty(&store, &dir));
}

#[test]
fn a_reader_that_fails_is_named() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    let (store, dir) = store();
    let error = take_blocking(&store, of(b"body"), Failing).unwrap_err();
    assert!(error.to_string().ends_with("cannot be read: Input/output error (os error 5)"), "{error}");
    assert!(is_empty(&store, &dir));
}

#[test]
fn bodies_of_many_batches_are_taken_by_every_way() {
    let (store, _dir) = store();
    let body: Vec<u8> = (0..BATCH_BYTES * 2 + 3).map(|at| (at * at >> 7) as u8).collect();
    let pieces: Vec<&[u8]> = body.chunks(1_000_003).collect();
    let _ = take(&store, of(&body), &pieces).unwrap();
    assert_eq!(store.open(&Blake3Digest::of(&body), body.len() as u64).unwrap().unwrap().bytes, body);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn how_a_body_is_cut_does_not_matter(
        body in proptest::collection::vec(any::<u8>(), 0..100_000),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        flip in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let (store, dir) = store();
        let expected = of(&body);
        let mut given = body.clone();
        let is_changed = flip.filter(|_| !given.is_empty()).map(|at| { let at = at.index(given.len()); given[at] ^= 1; });
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(given.len() + 1)).collect();
        cuts.extend([0, given.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &given[cut[0]..cut[1]]).collect();
        let taken = take(&store, expected, &pieces);
        prop_assert_eq!(taken.is_ok(), is_changed.is_none());
        prop_assert_eq!(is_empty(&store, &dir), is_changed.is_some());
    }
}
