use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::bundle::testing::{Make, bytes_of, lay_out, pack, small};
use crate::bundle::{Encoding, Part};
use crate::model::Sha256Digest;

fn of() -> VolumeOf {
    let created = "2026-11-21T10:00:00Z".parse().unwrap();
    VolumeOf { site: "plant-7".parse().unwrap(), sequence: 12, created }
}

fn objects(sizes: &[u64]) -> Vec<PackedObject> {
    let object = |(index, size): (usize, &u64)| PackedObject {
        blake3: Blake3Digest::of(&index.to_be_bytes()),
        encoding: Encoding::Zstd,
        size: *size,
    };
    sizes.iter().enumerate().map(object).collect()
}

fn layout(sizes: &[u64], volume_bytes: u64) -> Layout {
    let plan = VolumePlan::new(of(), &objects(sizes), volume_bytes).unwrap();
    plan.layout(|_| Ok::<_, ()>(Sha256Digest::of(b"x"))).unwrap()
}

#[test]
fn names_of_volumes_have_one_spelling() {
    for number in [1, 12, 999, 9_999] {
        assert_eq!(volume_number(&volume_name(number)), Some(number));
    }
    for name in
        ["vol-0000.tar", "vol-1.tar", "vol-00001.tar", "vol-10000.tar", "VOL-0001.TAR", "vol-+001.tar", "vol-.tar"]
    {
        assert_eq!(volume_number(name), None, "{name}");
    }
}

#[test]
fn only_what_fits_no_volume_is_split_and_gaps_are_filled() {
    let layout = layout(&[9_000, 40_000, 9_000, 3_000, 0, 100], 16 * 1024);
    let parts = layout.parts(6);
    let counts: Vec<usize> = parts.iter().map(Vec::len).collect();
    assert_eq!(counts, [1, 3, 1, 1, 1, 1]);
    assert_eq!(parts[3][0].volume, 1, "what came later still fits into the first one");
    let names: Vec<String> = layout.volumes().into_iter().map(|volume| volume.name).collect();
    assert_eq!(names[0], "vol-0001.tar");
    assert!(layout.volumes().iter().all(|volume| volume.size <= 16 * 1024), "{:?}", layout.volumes());
}

#[test]
fn a_part_is_no_longer_than_a_header_can_say() {
    let size = PART_MAX_BYTES * 2 + 5;
    let parts = &layout(&[size], SIZE_MAX_BYTES).parts(1)[0];
    assert_eq!(parts.iter().map(|part| part.size).collect::<Vec<_>>(), [PART_MAX_BYTES, PART_MAX_BYTES, 5]);
    assert!(parts.iter().all(|part| part.volume == 1));
}

#[test]
fn what_cannot_be_laid_out_is_refused_with_what_to_do() {
    let plan = |sizes: &[u64], volume_bytes| VolumePlan::new(of(), &objects(sizes), volume_bytes).unwrap_err();
    assert_eq!(plan(&[1], 4096), PlanError::VolumeSize { size: 4096 });
    assert!(matches!(plan(&[1 << 40], 16 * 1024), PlanError::TooManyParts { .. } | PlanError::TooManyVolumes { .. }));
    assert!(matches!(plan(&[15_000; 10_000], 16 * 1024), PlanError::TooManyVolumes { .. }));
    let error = plan(&[(1 << 40) + 1], 1 << 32);
    assert!(matches!(error, PlanError::ObjectSize { .. }));
    assert!(error.to_string().contains("at most 1099511627776 bytes"), "{error}");
}

#[test]
fn a_volume_says_which_bundle_it_belongs_to() {
    let bundle = small();
    let mut other = Make::new(&[b"something else"]);
    other.sequence = 11;
    let other = other.bundle();
    let check = |name: &str, number, bytes: &[u8]| {
        check_list(name, number, &bytes[..bytes.len().min(LIST_HEAD_BYTES)], &bundle.manifest)
    };
    for (number, volume) in (1..).zip(&bundle.volumes) {
        assert_eq!(check(&volume_name(number), number, volume), Ok(()));
    }
    let refusal = check("vol-0002.tar", 2, &bundle.volumes[0]).unwrap_err();
    assert_eq!(refusal, NotThisVolume::OtherNumber { name: "vol-0002.tar".into(), found: 1 });
    let refusal = check("vol-0001.tar", 1, &other.volumes[0]).unwrap_err().to_string();
    assert!(refusal.starts_with("vol-0001.tar belongs to bundle 11 of site plant-7, made "), "{refusal}");
    assert!(refusal.contains("not to bundle 1 of site plant-7"), "{refusal}");
    for bytes in [&b""[..], &[0; 4096], &bundle.volumes[0][..600], &bundle.volumes[0][1..]] {
        assert!(matches!(check("vol-0001.tar", 1, bytes), Err(NotThisVolume::NoVolume { .. })));
    }
}

/// What two other implementations say is in a volume: name, size, and whether something was complained about.
#[test]
fn tar_and_python_list_volumes_without_complaint() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = small();
    bundle.write(dir.path());
    assert!(bundle.volumes.len() > 1);
    for (number, volume) in (1..).zip(&bundle.manifest.volumes) {
        let mut expected = vec!["LIST.json".to_owned()];
        let layout = Layout::of(&bundle.manifest);
        expected.extend(layout.pieces(number).iter().map(|piece| entry_name(&piece.blake3, piece.part, piece.parts)));
        let path = dir.path().join(&volume.name);
        let listed =
            Command::new("tar").arg("-tf").arg(&path).output().expect("GNU tar is on every machine that builds");
        assert!(listed.status.success() && listed.stderr.is_empty(), "{}", String::from_utf8_lossy(&listed.stderr));
        assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().collect::<Vec<_>>(), expected);
        let script = "import sys, tarfile, json\nt = tarfile.open(sys.argv[1], errorlevel=2)\nfor m in t:\n  assert (m.mode, m.uid, m.gid, m.mtime, m.isfile()) == (0o444, 0, 0, 0, True)\n  print(m.name)\njson.load(t.extractfile('LIST.json'))";
        let listed = Command::new("python3")
            .args(["-c", script])
            .arg(&path)
            .output()
            .expect("python3 is on every machine that builds");
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().collect::<Vec<_>>(), expected);
    }
}

proptest! {
    #[test]
    fn every_byte_has_one_place(
        sizes in prop::collection::vec(prop_oneof![0u64..2_000, 0u64..40_000], 1..12),
        volume_bytes in VOLUME_MIN_BYTES..40_000,
        from in 0u64..40_000,
    ) {
        let bodies: Vec<Vec<u8>> = (0u8..).zip(&sizes).map(|(byte, size)| vec![byte; *size as usize]).collect();
        let mut make = Make::new(&[]);
        make.bodies = bodies.into_iter().map(|body| (body, Encoding::Raw)).collect();
        make.volume_bytes = volume_bytes;
        let bundle = make.bundle();
        prop_assert_eq!(bundle.manifest.check(), Ok(()));
        let mut packed: Vec<_> = make.bodies.iter().map(|(body, how)| pack(body, *how)).collect();
        packed.push(pack(&make.state, Encoding::Raw));
        packed.sort_by_key(|(object, _)| object.blake3);
        packed.dedup_by_key(|(object, _)| object.blake3);
        let packed: Vec<Vec<u8>> = packed.into_iter().map(|(_, packed)| packed).collect();
        let layout = Layout::of(&bundle.manifest);
        let (_, again) = lay_out(bundle.manifest.clone(), &packed, volume_bytes);
        prop_assert_eq!(&again, &layout);
        for (number, (bytes, volume)) in (1..).zip(bundle.volumes.iter().zip(&bundle.manifest.volumes)) {
            prop_assert!(volume.size <= volume_bytes && bytes.len() as u64 == volume.size);
            let rest = bytes_of(layout.spans(number, from), &packed);
            prop_assert_eq!(&rest[..], bytes.get(from as usize..).unwrap_or_default());
        }
        for (object, packed) in bundle.manifest.objects.iter().zip(&packed) {
            let piece = |part: &Part| {
                bundle.volumes[part.volume as usize - 1][part.offset as usize..][..part.size as usize].to_vec()
            };
            prop_assert_eq!(&object.parts.iter().flat_map(piece).collect::<Vec<u8>>(), packed);
        }
    }
}
