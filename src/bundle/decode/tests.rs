//! What was packed comes back; what was not is refused, without ever giving more than was promised.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::bundle::{EncodeOptions, Packed, PackedBody, encode};
use crate::model::{Blake3Digest, ObjectRef, Sha256Digest};
use crate::store::{BlockingIntake, FsBlobs, FsBlobsOptions, IntakeError};

fn of(body: &[u8]) -> ObjectRef {
    ObjectRef { blake3: Blake3Digest::of(body), sha256: Sha256Digest::of(body), size: body.len() as u64 }
}

fn object(body: ObjectRef, packed: &PackedBody) -> Object {
    let ObjectRef { blake3, sha256, size } = body;
    let PackedBody { encoding, base, segments, packed, .. } = packed.clone();
    Object { blake3, sha256, size, encoding, base, segments, packed, parts: Vec::new() }
}

fn pack(body: &[u8], base: Option<&[u8]>) -> (Object, Bytes) {
    let dir = tempfile::tempdir().unwrap();
    let bases: Vec<_> = base.iter().map(|base| (of(base), Bytes::copy_from_slice(base))).collect();
    let packed = encode(&Bytes::copy_from_slice(body), &bases, &EncodeOptions { spool: dir.path() }).unwrap();
    (object(of(body), &packed), packed.bytes)
}

fn unpack(object: &Object, base: Option<&[u8]>, packed: &[u8]) -> Result<Vec<u8>, DecodeError<Infallible>> {
    let mut body = Vec::new();
    let outcome = decode(object, base, packed, |bytes| {
        body.extend_from_slice(bytes);
        Ok(())
    });
    assert!(body.len() as u64 <= object.size, "more was given than was promised");
    outcome.map(|()| body)
}

/// An object of one frame that promises `size` bytes.
fn promising(size: u64, frame: &[u8]) -> Object {
    let packed = Packed { size: frame.len() as u64, sha256: Sha256Digest::of(frame) };
    let packed = PackedBody { encoding: Encoding::Zstd, base: None, segments: Vec::new(), packed, bytes: Bytes::new() };
    object(ObjectRef { size, ..of(b"") }, &packed)
}

/// The same bytes for the same numbers, and fast where nothing of this crate is optimised.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn text(lines: usize) -> Vec<u8> {
    (0..lines).flat_map(|n| format!("{n}: the quick entry {} of the feed\n", n * 7_919 % 1_009).into_bytes()).collect()
}

#[test]
fn each_body_is_packed_as_is_best_and_comes_back() {
    let (words, noisy) = (text(20_000), noise(300_000, 1));
    let mut edited = noisy.clone();
    edited[150_000] ^= 1;
    for (body, base, encoding) in [
        (&b""[..], None, Encoding::Raw),
        (b"x", None, Encoding::Raw),
        (&noisy, None, Encoding::Raw),
        (&words, None, Encoding::Zstd),
        (&edited, Some(&noisy[..]), Encoding::Patch),
        (&edited, Some(&words), Encoding::Raw),
        (&words, Some(&noisy), Encoding::Zstd),
        (&words, Some(b""), Encoding::Zstd),
        (b"", Some(&words), Encoding::Raw),
        (&noisy, Some(&noisy), Encoding::Patch),
    ] {
        let (object, packed) = pack(body, base);
        assert_eq!(object.encoding, encoding, "{} bytes over {:?}", body.len(), base.map(<[u8]>::len));
        assert_eq!(object.packed, Packed { size: packed.len() as u64, sha256: Sha256Digest::of(&packed) });
        assert_eq!(object.base, base.filter(|_| encoding == Encoding::Patch).map(of));
        assert_eq!(unpack(&object, base, &packed).unwrap(), body);
    }
}

#[test]
fn of_several_bases_the_one_with_the_smallest_patch_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let body = noise(200_000, 1);
    let half = [&body[..100_000], &noise(100_000, 2)[..]].concat();
    let bases: Vec<_> = [noise(200_000, 3), half, body[..199_000].to_vec(), body[..160_000].to_vec()]
        .into_iter()
        .map(|base| (of(&base), Bytes::from(base)))
        .collect();
    let packed = encode(&body.clone().into(), &bases, &EncodeOptions { spool: dir.path() }).unwrap();
    assert_eq!(packed.base, Some(bases[2].0));
}

#[test]
fn long_bodies_over_long_bases_are_patches_of_many_segments() {
    let base = noise(40 << 20, 1);
    // What was in front is at the end, and 5 MiB are new.
    let body = [&base[30 << 20..], &noise(5 << 20, 2), &base[..30 << 20]].concat();
    let (object, packed) = pack(&body, Some(&base));
    assert_eq!((object.encoding, object.segments.len()), (Encoding::Patch, 4));
    // A segment may have content of both ends of the base, of which a piece holds one: at most 1 MiB is given again.
    assert!(packed.len() < (6 << 20) + 10_000, "{} bytes", packed.len());
    assert!(unpack(&object, Some(&base), &packed).unwrap() == body);
    // A base that fits as a whole is given as a whole to each segment.
    let body = [&base[5 << 20..20 << 20], &noise(5 << 20, 2), &base[..20 << 20]].concat();
    let (object, packed) = pack(&body, Some(&base[..20 << 20]));
    assert_eq!((object.encoding, object.segments.len()), (Encoding::Patch, 4));
    assert!(object.segments.iter().all(|segment| segment.base_size == 20 << 20));
    assert!(unpack(&object, Some(&base[..20 << 20]), &packed).unwrap() == body);
}

#[test]
fn what_is_smaller_than_any_promise_is_left_as_it_is() {
    let zeros = vec![0; 200 << 20];
    let (object, packed) = pack(&zeros, None);
    assert_eq!((object.encoding, packed.len()), (Encoding::Raw, zeros.len()));
    let (object, packed) = pack(&zeros[..1 << 20], None);
    assert_eq!(object.encoding, Encoding::Zstd);
    assert!(unpack(&object, None, &packed).unwrap() == zeros[..1 << 20]);
}

#[test]
fn bombs_stop_at_what_was_promised() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
    for size in [0, 1, 1_000_000] {
        let error = unpack(&promising(size, &bomb), None, &bomb).unwrap_err();
        assert!(matches!(&error, DecodeError::Damaged { why } if why == "they give more than was promised"), "{error}");
    }
    let lie = unpack(&promising(64 << 20, &bomb), None, &bomb).unwrap_err();
    assert!(matches!(lie, DecodeError::Contradiction { .. }), "{lie}");
    // A window of 2 GiB is refused before any memory is taken for it.
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
    let error = unpack(&promising(10, &header), None, &header).unwrap_err();
    assert!(error.to_string().contains("requires too much memory"), "{error}");
}

#[test]
fn frames_that_end_early_or_late_are_damaged() {
    let (object, packed) = pack(&text(10_000), None);
    let cut = &packed[..packed.len() - 1];
    assert!(matches!(unpack(&object, None, cut), Err(DecodeError::Damaged { .. })));
    let of_cut = promising(object.size, cut);
    assert!(matches!(unpack(&of_cut, None, cut), Err(DecodeError::Damaged { why }) if why == "a frame ends too early"));
    let long = [&packed[..], b"more"].concat();
    assert_eq!(unpack(&object, None, &long).unwrap(), text(10_000), "what follows is not this object's");
    let of_long = promising(object.size, &long);
    assert!(
        matches!(unpack(&of_long, None, &long), Err(DecodeError::Damaged { why }) if why == "something comes after a frame")
    );
    let more = promising(object.size + 1, &packed);
    assert!(
        matches!(unpack(&more, None, &packed), Err(DecodeError::Damaged { why }) if why == "they give less than was promised")
    );
    let nothing = promising(0, b"");
    assert!(matches!(unpack(&nothing, None, b""), Err(DecodeError::Damaged { .. })));
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_read() {
    let (base, body) = (noise(100_000, 1), [&noise(100_000, 1)[..], b"end"].concat());
    let (good, packed) = pack(&body, Some(&base));
    assert_eq!(check_packing(&good), Ok(()));
    type Spoil = fn(&mut Object);
    let spoils: [Spoil; 11] = [
        |object| object.base = None,
        |object| object.segments.clear(),
        |object| object.encoding = Encoding::Raw,
        |object| object.encoding = Encoding::Zstd,
        |object| object.size += 1,
        |object| object.packed.size += 1,
        |object| object.segments[0].base_offset = 1,
        |object| object.segments[0].base_offset = u64::MAX,
        |object| object.segments[0].base_size += 1,
        |object| object.segments.push(Segment { size: u64::MAX, packed_size: u64::MAX, base_offset: 0, base_size: 0 }),
        |object| (object.size, object.segments[0].size) = (33 << 20, 33 << 20),
    ];
    for (number, spoil) in spoils.iter().enumerate() {
        let mut object = good.clone();
        spoil(&mut object);
        assert!(check_packing(&object).is_err(), "spoil {number}");
        assert!(matches!(unpack(&object, Some(&base), &packed), Err(DecodeError::Contradiction { .. })));
    }
    let mut raw = promising(3, b"abc");
    raw.encoding = Encoding::Raw;
    assert_eq!(unpack(&raw, None, b"abc").unwrap(), b"abc");
    raw.size = 4;
    assert!(check_packing(&raw).is_err());
    assert!(matches!(unpack(&good, None, &packed), Err(DecodeError::Base { .. })));
    assert!(matches!(unpack(&good, Some(&base[..99_999]), &packed), Err(DecodeError::Base { .. })));
}

#[test]
fn whoever_takes_or_gives_may_refuse() {
    let (object, packed) = pack(&text(1_000), None);
    let refused = decode(&object, None, &packed[..], |_| Err(io::Error::from_raw_os_error(28)));
    assert!(matches!(refused, Err(DecodeError::Taken(_))));
    struct Pulled;
    impl Read for Pulled {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    let pulled = decode(&object, None, Pulled, |_| Ok::<(), Infallible>(()));
    assert!(matches!(pulled, Err(DecodeError::Read(_))));
}

/// As an import does: unpacks into the store, by both digests.
fn import(store: &FsBlobs, object: &Object, base: &[u8], packed: &[u8]) -> bool {
    let Ok(mut intake) = BlockingIntake::begin(store, object.body()) else { return false };
    let base = object.base.is_some().then_some(base);
    match decode(object, base, packed, |bytes| intake.append(bytes)) {
        Ok(()) => intake.finish().is_ok(),
        Err(DecodeError::Taken(IntakeError::Store(error))) => panic!("{error}"),
        Err(_) => false,
    }
}

/// A body and a base that have something in common.
fn related() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let start = prop_oneof![
        (0..60_000_usize, any::<u64>()).prop_map(|(len, seed)| noise(len, seed)),
        (0..3_000_usize).prop_map(text),
        (0..200_000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ];
    let edit = (any::<prop::sample::Index>(), 0..500_usize, proptest::collection::vec(any::<u8>(), 0..300));
    (start, proptest::collection::vec(edit, 0..8)).prop_map(|(base, edits)| {
        let mut body = base.clone();
        for (at, removed, added) in edits {
            let at = at.index(body.len() + 1);
            let end = body.len().min(at + removed);
            body.splice(at..end, added);
        }
        (body, base)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_packed_comes_back((body, base) in related()) {
        for base in [None, Some(&base[..])] {
            let (object, packed) = pack(&body, base);
            prop_assert_eq!(check_packing(&object), Ok(()));
            prop_assert!(unpack(&object, base, &packed).unwrap() == body);
        }
    }

    #[test]
    fn damaged_packed_bytes_never_become_another_body(
        (body, base) in related(),
        at in any::<prop::sample::Index>(),
        damage in prop_oneof![(1..=255u8).prop_map(Some), Just(None)],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(FsBlobs::open(dir.path(), &FsBlobsOptions::default()).unwrap());
        let (object, packed) = pack(&body, Some(&base));
        prop_assume!(!packed.is_empty());
        let at = at.index(packed.len());
        let damaged = match damage {
            Some(bits) => { let mut damaged = packed.to_vec(); damaged[at] ^= bits; damaged }
            None => packed[..at].to_vec(),
        };
        let _ = unpack(&object, Some(&base), &damaged);
        // Some bits of a frame's header say nothing about its content.
        let is_same = unpack(&object, Some(&base), &damaged).is_ok_and(|given| given == body);
        prop_assert_eq!(import(&store, &object, &base, &damaged), is_same);
        prop_assert!(import(&store, &object, &base, &packed));
    }

    #[test]
    fn any_bytes_at_all_are_refused_or_give_what_was_promised(
        bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
        is_framed in any::<bool>(),
        size in 0..100_000_u64,
    ) {
        let frame = if is_framed { [&[0x28, 0xb5, 0x2f, 0xfd], &bytes[..]].concat() } else { bytes };
        if let Ok(given) = unpack(&promising(size, &frame), None, &frame) {
            prop_assert_eq!(given.len() as u64, size);
        }
    }
}
