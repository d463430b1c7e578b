//! What packing decides, and what it costs. That everything comes back is tested with unpacking.

use std::fs::File;
use std::io::Write as _;

use super::*;
use crate::bundle::{Object, decode};
use crate::model::{Blake3Digest, Sha256Digest};
use crate::sys::map::Mapping;

/// The length in KiB that `/proc/self/status` gives under this name.
fn status_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim_end_matches("kB").trim().parse().unwrap()
}

/// A mapped file of numbers in which every `stride`th block of 4 KiB differs with `seed`.
fn mapped(dir: &Path, mib: u64, seed: u64, stride: u64) -> Bytes {
    let path = dir.join(format!("{mib}-{seed}"));
    let mut file = File::create(&path).unwrap();
    let mut block = [0_u8; 4_096];
    for number in 0..mib * 256 {
        let seed = if number % stride == 0 { seed } else { 0 };
        for (at, word) in block.chunks_exact_mut(8).enumerate() {
            let mixed = (number * 512 + at as u64 ^ seed << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            // Half of it is noise, so that frames are worth it.
            word.copy_from_slice(&(mixed >> 32).to_be_bytes());
        }
        file.write_all(&block).unwrap();
    }
    Bytes::from_owner(Mapping::of_immutable(&File::open(&path).unwrap()).unwrap())
}

#[test]
fn a_spool_that_is_not_there_ends_the_packing() {
    let words: Bytes = (0..500_000_u32).flat_map(|n| format!("{} ", n.wrapping_mul(n)).into_bytes()).collect();
    let error = encode(&words, &[], &EncodeOptions { spool: Path::new("/nowhere") }).unwrap_err();
    assert!(matches!(error, EncodeError::Spool { .. }), "{error}");
}

#[test]
fn a_patch_that_is_not_worth_it_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options = EncodeOptions { spool: dir.path() };
    let body = mapped(dir.path(), 4, 1, 1);
    // 60 of 100 blocks are new: more than half of what the body has without a patch.
    let base: Bytes =
        body.chunks(4_096).enumerate().filter(|(at, _)| at % 5 > 2).flat_map(|(_, block)| block.to_vec()).collect();
    let object =
        |bytes: &Bytes| ObjectRef { blake3: Blake3Digest::of(bytes), sha256: Sha256Digest::of(bytes), size: 0 };
    let packed = encode(&body, &[(object(&base), base.clone())], &options).unwrap();
    assert_eq!((packed.encoding, packed.base), (Encoding::Zstd, None));
    assert_eq!(dir.path().read_dir().unwrap().count(), 1, "only the body's own file has a name");
}

/// Run alone: `cargo test --lib -- --ignored packing_and_unpacking_hold_little --test-threads 1`.
#[test]
#[ignore = "measures the memory of the whole process, so it must run alone"]
fn packing_and_unpacking_hold_little_of_long_bodies() {
    let dir = tempfile::tempdir_in(std::env::var("TMPDIR").unwrap_or("/var/tmp".into())).unwrap();
    let options = EncodeOptions { spool: dir.path() };
    let before = status_kib("VmRSS");
    let (body, base) = (mapped(dir.path(), 600, 1, 7), mapped(dir.path(), 600, 2, 7));
    let body_ref = ObjectRef {
        blake3: Blake3Digest::from_bytes([1; 32]),
        sha256: Sha256Digest::from_bytes([1; 32]),
        size: body.len() as u64,
    };
    let base_ref = ObjectRef { blake3: Blake3Digest::from_bytes([2; 32]), size: base.len() as u64, ..body_ref };
    for bases in [vec![], vec![(base_ref, base.clone())]] {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let begun = std::time::Instant::now();
        let packed = encode(&body, &bases, &options).unwrap();
        let (encoded, encode_took) = (status_kib("VmHWM"), begun.elapsed());
        let ObjectRef { blake3, sha256, size } = body_ref;
        let PackedBody { encoding, base: over, segments, packed, bytes } = packed;
        assert_eq!(encoding, if bases.is_empty() { Encoding::Zstd } else { Encoding::Patch });
        let object = Object { blake3, sha256, size, encoding, base: over, segments, packed, parts: Vec::new() };
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let (begun, mut at) = (std::time::Instant::now(), 0);
        let given = decode(&object, Some(&base), &bytes[..], |given| {
            assert!(given == &body[at..at + given.len()]);
            release_pages(&body[at..at + given.len()]);
            at += given.len();
            Ok::<_, std::convert::Infallible>(())
        });
        given.unwrap();
        let (decoded, decode_took) = (status_kib("VmHWM"), begun.elapsed());
        eprintln!(
            "{encoding:?}: {size} bytes, packed {}; {before} KiB before, at most {encoded} KiB in {encode_took:?} while packing, {decoded} KiB in {decode_took:?} while unpacking",
            object.packed.size
        );
        assert!(encoded < 128 << 10 && decoded < 128 << 10);
    }
}
