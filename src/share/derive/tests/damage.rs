//! Cut and flipped archives: an error or honest members, never a panic.

use proptest::prelude::*;

use super::build::{FILES, cab, executable, lzx_cab, raw_cab, zip};
use super::*;
use ::cab::CompressionType::{MsZip, None as Stored};

fn archives() -> Vec<Vec<u8>> {
    let packed = cab(FILES, MsZip);
    vec![zip(FILES), cab(FILES, Stored), executable(&packed), packed, lzx_cab(FILES)]
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    for (number, archive) in archives().iter().enumerate() {
        let whole = archive.len() - if archive.starts_with(b"MZ") { 100 } else { 0 };
        for length in 0..whole {
            assert!(contents(&archive[..length]).is_err(), "archive {number} cut to {length} bytes");
        }
    }
}

#[test]
fn a_wrong_byte_in_a_member_is_found_even_when_the_sink_does_not_read_it() {
    for mut archive in [zip(&[("a", &[9; 40])]), cab(&[("a", &[9; 40])], Stored)] {
        // In the zip, its checksum in the directory; in the cabinet, a byte of the member itself.
        let (pattern, offset) = if archive.starts_with(b"PK") { (&b"PK\x01\x02"[..], 16) } else { (&[9; 3][..], 0) };
        let at = offset + (0..archive.len()).find(|at| archive[*at..].starts_with(pattern)).unwrap();
        archive[at] ^= 0x40;
        let result = unpack(&archive, &UnpackLimits::default(), &mut |_| Ok(()));
        assert!(matches!(result, Err(DeriveError::Damaged { .. })), "{result:?}");
    }
}

#[test]
fn a_member_past_the_end_of_its_folder_is_refused() {
    let too_long = raw_cab(0, &[("a", b"12345")], &[(b"1234", 4)]);
    insta::assert_snapshot!(error(&too_long), @"the archive is damaged or cut short (a member reaches past the end of its folder); get it from its publisher again");
    // A block that gives less than it says.
    let short = raw_cab(0, &[("a", b"12345")], &[(b"1234", 5)]);
    insta::assert_snapshot!(error(&short), @"the archive is damaged or cut short (a member ends too early); get it from its publisher again");
}

/// A decompressor with a fault of its own.
struct Panics;

impl Read for Panics {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("as libraries do at bytes nobody thought of")
    }
}

#[test]
fn a_panic_in_a_decompressor_is_a_damaged_archive() {
    let listed = listing::Listed { name: "a".parse().unwrap(), size: 1 };
    let read = |member: Member<'_>| body::skip(member.body).map_err(DeriveError::from);
    let leave = |_: Member<'_>| Ok(());
    for result in
        [body::deliver(&listed, &mut Panics, &mut { read }), body::deliver(&listed, &mut Panics, &mut { leave })]
    {
        assert!(matches!(result, Err(DeriveError::Damaged { .. })), "{result:?}");
    }
}

proptest! {
    #[test]
    fn flipped_bits_never_panic(which in 0_usize..5, flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..6)) {
        let mut archive = archives().swap_remove(which);
        for (at, bit) in flips {
            let at = at.index(archive.len());
            archive[at] ^= 1 << bit;
        }
        // Zip has a checksum over each member's bytes: what it gives is what was packed.
        if let Ok(contents) = contents(&archive) && archive.starts_with(b"PK") {
            for (name, bytes) in contents {
                prop_assert!(FILES.iter().any(|(_, packed)| *packed == bytes), "{}", name);
            }
        }
    }

    #[test]
    fn any_bytes_behind_a_signature_never_panic(which in 0_usize..4, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let signature: &[u8] = [b"PK\x03\x04", b"MSCF", b"MZ\x90\0", b"PK\x05\x06"][which];
        let _ = contents(&[signature, &bytes].concat());
    }

    #[test]
    fn any_block_of_any_method_never_panics(method in prop_oneof![Just(1_u16), Just(0x0F03), Just(0x1503)],
        block in prop::collection::vec(any::<u8>(), 0..400), unpacked in 1_u16..=32_768) {
        let body = vec![0; usize::from(unpacked)];
        let block = if method == 1 { [b"CK", &block[..]].concat() } else { block };
        let _ = contents(&raw_cab(method, &[("a", &body)], &[(&block, unpacked), (&block, unpacked)]));
    }
}
