//! Groups in any order become the body, over restarts, and nothing else ever does.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::store::{CommitOutcome, FsBlobsOptions, IntakeError, Verdict, group_values};

const GROUP: usize = GROUP_BYTES as usize;

struct Place {
    store: Arc<FsBlobs>,
    partial: PathBuf,
    _dir: tempfile::TempDir,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(FsBlobs::open(dir.path(), &FsBlobsOptions::default()).unwrap());
    Place { store, partial: dir.path().join("partial"), _dir: dir }
}

fn body(size: usize) -> Vec<u8> {
    (0..size as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn of(body: &[u8]) -> ObjectRef {
    ObjectRef { blake3: Blake3Digest::of(body), sha256: Sha256Digest::of(body), size: body.len() as u64 }
}

fn open(place: &Place, body: &[u8]) -> Result<Sparse, SparseError> {
    Sparse::open(&place.partial, of(body), group_values(body), 8)
}

fn group(body: &[u8], index: u64) -> &[u8] {
    let range = group_range(body.len() as u64, index).unwrap();
    &body[range.start as usize..range.end as usize]
}

#[test]
fn groups_in_any_order_become_the_body() {
    let place = place();
    let body = body(3 * GROUP + 5);
    let sparse = open(&place, &body).unwrap();
    for index in [3, 0, 2] {
        sparse.put(index, group(&body, index)).unwrap();
        sparse.put(index, group(&body, index)).unwrap();
    }
    assert!(sparse.has(3) && !sparse.has(1) && !sparse.has(4) && !sparse.has(u64::MAX));
    assert_eq!((sparse.missing(), sparse.is_complete()), (vec![1], false));
    let (size, end) = (body.len() as u64, 3 * GROUP_BYTES);
    assert_eq!(sparse.read(end - 10..u64::MAX).unwrap().unwrap(), body[body.len() - 15..]);
    assert_eq!(sparse.read(GROUP_BYTES - 1..GROUP_BYTES).unwrap().unwrap(), body[GROUP - 1..GROUP]);
    assert_eq!(sparse.read(GROUP_BYTES - 1..GROUP_BYTES + 1).unwrap(), None);
    assert_eq!(sparse.read(0..size).unwrap(), None);
    assert_eq!(sparse.read(size..size + 1).unwrap().unwrap(), Bytes::new());
    let Err(SparseError::Incomplete { missing: 1, .. }) = sparse.finish_blocking(&place.store) else { panic!() };
    let sparse = open(&place, &body).unwrap();
    assert_eq!(sparse.missing(), [1]);
    sparse.put(1, group(&body, 1)).unwrap();
    let committed = sparse.finish_blocking(&place.store).unwrap();
    assert_eq!(committed.outcome, CommitOutcome::New);
    assert_eq!(place.store.open(&of(&body).blake3, size).unwrap().unwrap().bytes, body);
    let mode = place.store.path(&of(&body).blake3).metadata().unwrap();
    assert_eq!((mode.permissions().mode() & 0o777, mode.nlink()), (0o444, 1));
    assert_eq!(partials(&place.partial).unwrap(), BTreeSet::new());
}

#[test]
fn bodies_of_less_than_a_group_are_bodies_too() {
    let place = place();
    for body in [&b""[..], b"small"] {
        let sparse = open(&place, body).unwrap();
        assert_eq!(sparse.is_complete(), body.is_empty(), "nothing is there from the start");
        sparse.put(0, body).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(sparse.finish(&place.store)).unwrap();
        let size = body.len() as u64;
        assert_eq!(place.store.verify(&Blake3Digest::of(body)).unwrap(), Verdict::Intact { size });
    }
}

#[test]
fn wrong_groups_and_wrong_values_are_refused() {
    let place = place();
    let body = body(2 * GROUP);
    let sparse = open(&place, &body).unwrap();
    for (index, bytes) in [(0, group(&body, 1)), (0, &body[..GROUP - 1]), (2, group(&body, 0)), (u64::MAX, &[])] {
        let error = sparse.put(index, bytes).unwrap_err();
        assert!(matches!(error, SparseError::Group { index: named, .. } if named == index), "{error}");
    }
    assert_eq!(sparse.missing(), [0, 1]);
    let other = Sparse::open(&place.partial, of(b"other"), group_values(&body), 8).unwrap_err();
    assert!(matches!(other, SparseError::Values { .. }), "{other}");
}

#[test]
fn a_wrong_sha256_shows_at_the_end_and_nothing_is_kept() {
    let place = place();
    let (body, sha256) = (body(GROUP + 1), Sha256Digest::of(b"other"));
    let object = ObjectRef { sha256, ..of(&body) };
    let sparse = Sparse::open(&place.partial, object, group_values(&body), 8).unwrap();
    sparse.put(0, group(&body, 0)).unwrap();
    sparse.put(1, group(&body, 1)).unwrap();
    let error = sparse.finish_blocking(&place.store).unwrap_err();
    assert!(matches!(error, SparseError::Intake(IntakeError::Mismatch { what: "SHA-256", .. })), "{error}");
    assert_eq!(partials(&place.partial).unwrap(), BTreeSet::new());
    assert_eq!(place.store.size(&object.blake3).unwrap(), None);
}

#[test]
fn only_so_many_and_each_once() {
    let place = place();
    let bodies: Vec<Vec<u8>> = (1..=3).map(|n| vec![n; 10]).collect();
    let open = |n: usize| Sparse::open(&place.partial, of(&bodies[n]), group_values(&bodies[n]), 2);
    let (first, second) = (open(0).unwrap(), open(1).unwrap());
    assert!(matches!(open(0), Err(SparseError::InUse { .. })));
    assert!(matches!(open(2), Err(SparseError::TooMany { max: 2 })));
    assert!(!remove_partial(&place.partial, &of(&bodies[0]).blake3).unwrap());
    drop(first);
    assert!(matches!(open(2), Err(SparseError::TooMany { max: 2 })), "it is still there");
    drop(open(0).unwrap());
    assert_eq!(partials(&place.partial).unwrap().len(), 2);
    assert!(remove_partial(&place.partial, &of(&bodies[0]).blake3).unwrap());
    second.discard().unwrap();
    drop(open(2).unwrap());
    assert_eq!(partials(&place.partial).unwrap(), BTreeSet::from([of(&bodies[2]).blake3]));
}

#[test]
fn what_a_killed_process_left_is_checked_again() {
    let place = place();
    let body = body(4 * GROUP + 9);
    let path = place.partial.join(of(&body).blake3.to_hex());
    fs::create_dir(&place.partial).unwrap();
    // Group 2 was never written, group 1 only in part, and the file is too long.
    let mut left = body.clone();
    left[GROUP + 100..3 * GROUP].fill(0);
    left.extend([1; 100]);
    fs::write(&path, &left).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    let sparse = open(&place, &body).unwrap();
    assert_eq!(sparse.missing(), [1, 2]);
    sparse.put(1, group(&body, 1)).unwrap();
    sparse.put(2, group(&body, 2)).unwrap();
    let _ = sparse.finish_blocking(&place.store).unwrap();
    assert!(matches!(place.store.verify(&of(&body).blake3).unwrap(), Verdict::Intact { .. }));
    // Killed after it became a blob and before its other name was gone: the blob is never written again.
    fs::hard_link(place.store.path(&of(&body).blake3), &path).unwrap();
    let sparse = open(&place, &body).unwrap();
    assert_eq!(sparse.missing().len(), 5);
    sparse.discard().unwrap();
    assert!(matches!(place.store.verify(&of(&body).blake3).unwrap(), Verdict::Intact { .. }));
}

#[test]
fn bytes_changed_under_it_are_never_given_a_name() {
    let place = place();
    let body = body(2 * GROUP);
    let sparse = open(&place, &body).unwrap();
    sparse.put(0, group(&body, 0)).unwrap();
    sparse.put(1, group(&body, 1)).unwrap();
    sparse.file.write_all_at(b"!", 5).unwrap();
    let error = sparse.finish_blocking(&place.store).unwrap_err();
    assert!(matches!(error, SparseError::Intake(IntakeError::Mismatch { what: "BLAKE3", .. })), "{error}");
    assert_eq!(place.store.size(&of(&body).blake3).unwrap(), None);
}

#[test]
fn a_size_no_disk_has_is_refused() {
    let place = place();
    let file = tempfile::tempfile().unwrap();
    assert!(matches!(reserve(&file, &place.partial, 1 << 60), Err(StoreError::NoSpace { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_order_with_restarts_gives_the_body(
        size in 0..5 * GROUP,
        order in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 1..12),
    ) {
        let place = place();
        let body = body(size);
        let count = group_count(size as u64);
        let mut sparse = open(&place, &body).unwrap();
        let mut expected: BTreeSet<u64> = if size == 0 { BTreeSet::new() } else { (0..count).collect() };
        for (at, is_wrong, restarts) in order {
            let index = at.index(count as usize) as u64;
            let mut bytes = group(&body, index).to_vec();
            let is_wrong = is_wrong && !bytes.is_empty();
            if is_wrong {
                let at = at.index(bytes.len());
                bytes[at] ^= 4;
            }
            prop_assert_eq!(sparse.put(index, &bytes).is_ok(), !is_wrong);
            if !is_wrong {
                expected.remove(&index);
            }
            if restarts {
                drop(sparse);
                sparse = open(&place, &body).unwrap();
            }
            prop_assert!(sparse.missing().into_iter().eq(expected.iter().copied()));
        }
        for index in expected {
            sparse.put(index, group(&body, index)).unwrap();
        }
        prop_assert!(sparse.finish_blocking(&place.store).is_ok());
        prop_assert_eq!(place.store.verify(&of(&body).blake3).unwrap(), Verdict::Intact { size: size as u64 });
    }
}
