use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::testing::{TestBundle, small};
use super::*;
use crate::model::Blake3Digest;

fn audited(dir: &Path, bundle: &TestBundle) -> Audit {
    let medium = Medium::open(dir).unwrap();
    let states = medium.survey(&bundle.manifest).volumes;
    let mut told = 0;
    let seen = audit(&medium, &bundle.manifest, &states, |bytes| told += bytes);
    assert_eq!(told, seen.bytes);
    seen
}

#[test]
fn a_whole_bundle_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = small();
    bundle.write(dir.path());
    let seen = audited(dir.path(), &bundle);
    let whole = bundle.manifest.objects.len() as u64;
    assert_eq!(seen, Audit { whole, bytes: bundle.manifest.totals.volume_bytes, ..Audit::default() });
}

#[test]
fn what_is_not_on_this_medium_is_counted_and_the_rest_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = small();
    bundle.write(dir.path());
    fs::remove_file(dir.path().join("vol-0002.tar")).unwrap();
    let seen = audited(dir.path(), &bundle);
    let in_second = |object: &&Object| object.parts.iter().any(|part| part.volume == 2);
    let elsewhere = bundle.manifest.objects.iter().filter(in_second).count() as u64;
    assert_eq!((seen.elsewhere, seen.findings.len()), (elsewhere, 0));
    assert_eq!(seen.whole + elsewhere, bundle.manifest.objects.len() as u64);
    let split = bundle.manifest.objects.iter().find(|object| object.parts.len() > 2).unwrap();
    let part = split.parts.iter().find(|part| part.volume != 2).unwrap();
    let path = dir.path().join(volume_name(part.volume));
    let mut bytes = fs::read(&path).unwrap();
    bytes[part.offset as usize] ^= 1;
    fs::write(&path, bytes).unwrap();
    let found = audited(dir.path(), &bundle).findings;
    assert!(matches!(&found[..], [Finding::Part { blake3, .. }] if *blake3 == split.blake3), "{found:?}");
}

#[test]
fn a_body_that_was_signed_and_is_not_the_promised_one() {
    let (noise, evil) = (b"the same again, ".repeat(400), b"something else, ".repeat(400));
    for encoding in [Encoding::Raw, Encoding::Zstd] {
        let mut make = testing::Make::new(&[]);
        make.bodies = vec![(noise.clone(), encoding)];
        let mut bundle = make.bundle();
        let (_, packed) = testing::pack(&evil, encoding);
        let at = bundle.manifest.objects.iter().position(|object| object.blake3 == Blake3Digest::of(&noise)).unwrap();
        let object = &mut bundle.manifest.objects[at];
        // The same length, so that everything else stays as it is.
        assert_eq!(packed.len() as u64, object.packed.size);
        let sha256 = crate::model::Sha256Digest::of(&packed);
        (object.packed.sha256, object.parts[0].sha256) = (sha256, sha256);
        if encoding == Encoding::Raw {
            object.sha256 = sha256;
        }
        let offset = object.parts[0].offset as usize;
        bundle.volumes[0][offset..offset + packed.len()].copy_from_slice(&packed);
        let lists = Layout::of(&bundle.manifest);
        let Some(Span::Literal(list)) = lists.spans(1, 0).next() else { panic!("a list comes first") };
        bundle.volumes[0][..list.len()].copy_from_slice(&list);
        let bundle = TestBundle::signed(bundle.manifest, bundle.volumes, &testing::secret());
        let dir = tempfile::tempdir().unwrap();
        bundle.write(dir.path());
        let found = audited(dir.path(), &bundle).findings;
        assert!(matches!(&found[..], [Finding::Body { why, .. }] if why == "its BLAKE3 is another"), "{found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_changed_byte_is_found(place in any::<prop::sample::Index>(), change in 1u8..=255) {
        let bundle = small();
        let dir = tempfile::tempdir().unwrap();
        bundle.write(dir.path());
        let lengths: Vec<usize> = bundle.volumes.iter().map(Vec::len).collect();
        let mut place = place.index(lengths.iter().sum());
        let volume = lengths.iter().position(|length| match place.checked_sub(*length) {
            Some(rest) => { place = rest; false }
            None => true,
        }).unwrap();
        let mut bytes = bundle.volumes[volume].clone();
        bytes[place] ^= change;
        fs::write(dir.path().join(volume_name(volume as u32 + 1)), bytes).unwrap();
        let medium = Medium::open(dir.path()).unwrap();
        let states = medium.survey(&bundle.manifest).volumes;
        let is_seen = states[volume] != VolumeState::Present;
        let found = audit(&medium, &bundle.manifest, &states, |_| {}).findings;
        prop_assert!(is_seen || found.len() == 1, "{:?} {:?}", states, found);
    }
}
