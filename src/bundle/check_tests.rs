use jiff::SignedDuration;
use proptest::prelude::*;

use super::testing::{Make, pack, small};
use super::*;
use crate::model::{Blake3Digest, BundleBase, BundleId, ObjectRef, ReceiptId, Sha256Digest};

/// The sentence that a changed manifest is refused with.
fn refusal(change: impl FnOnce(&mut BundleManifest)) -> String {
    let mut manifest = small().manifest;
    change(&mut manifest);
    let error = manifest.check().expect_err("a contradiction");
    assert!(matches!(error, ManifestError::Contradiction { .. }));
    let (text, _) = manifest.text();
    assert_eq!(BundleManifest::parse(&text), Err(error.clone()), "what is read is checked");
    error.to_string().strip_prefix("the bundle's manifest contradicts itself: ").unwrap().to_owned()
}

fn split(manifest: &BundleManifest) -> usize {
    manifest.objects.iter().position(|object| object.parts.len() > 1).expect("one is split")
}

fn zstd(manifest: &BundleManifest) -> usize {
    manifest.objects.iter().position(|object| object.encoding == Encoding::Zstd).expect("one is zstd")
}

fn proven() -> BundleBase {
    let digest = Blake3Digest::of(b"x");
    BundleBase::Proven { receipt: ReceiptId(digest), bundle: BundleId(digest), root: Sha256Digest::of(b"x") }
}

/// Makes an object a patch over another one of 100 bytes, in a bundle with a proven base.
fn patch(manifest: &mut BundleManifest) -> &mut Object {
    manifest.base = proven();
    let at = zstd(manifest);
    let object = &mut manifest.objects[at];
    object.encoding = Encoding::Patch;
    object.base = Some(ObjectRef { blake3: Blake3Digest::of(b"old"), sha256: Sha256Digest::of(b"old"), size: 100 });
    let half = Segment { size: object.size / 2, packed_size: object.packed.size / 2, base_offset: 0, base_size: 100 };
    let rest = Segment { size: object.size - half.size, packed_size: object.packed.size - half.packed_size, ..half };
    object.segments = vec![half, rest];
    object
}

#[test]
fn what_is_made_fits_itself() {
    for manifest in [small().manifest, Make::new(&[]).bundle().manifest, Make::new(&[b"", b""]).bundle().manifest] {
        let (text, id) = manifest.text();
        assert_eq!(BundleManifest::parse(&text), Ok((manifest, id)));
    }
    let mut increment = small().manifest;
    // The names of encodings are as long, but for that of a patch: the layout is another then.
    patch(&mut increment);
    let layout = Layout::of(&increment);
    increment.volumes = layout.volumes();
    let parts = layout.parts(increment.objects.len());
    increment.objects.iter_mut().zip(parts).for_each(|(object, parts)| object.parts = parts);
    increment.totals.volume_bytes = increment.volumes.iter().map(|volume| volume.size).sum();
    increment.held.objects += 7;
    increment.removals.insert(Blake3Digest::of(b"old"));
    assert_eq!(increment.check(), Ok(()));
}

#[test]
fn heads_that_contradict_themselves() {
    assert_eq!(refusal(|m| m.sequence = 0), "its sequence is 0, and the first bundle has 1");
    assert!(refusal(|m| m.expires = m.created).starts_with("it expires at 2026-11-21T10:00:00Z, and was made"));
    assert!(refusal(|m| m.issuer_keys.keys.clear()).contains("is not among its issuer's keys"));
    assert_eq!(refusal(|m| m.groups.clear()), "it is for no group");
    assert_eq!(refusal(|m| m.groups.push(m.groups[0].clone())), "it names group everyone twice");
    let group = |index: usize| format!("g{index}").parse().unwrap();
    assert_eq!(refusal(|m| m.groups = (0..2_001).map(group).collect()), "it has 2001 groups; at most 2000 are taken");
    let key = |m: &BundleManifest| m.issuer_keys.keys[0].clone();
    assert!(refusal(|m| m.issuer_keys.keys = vec![key(m); 65]).starts_with("it has 65 keys of the issuer"));
    let earlier = refusal(|m| m.expires = m.created - SignedDuration::from_secs(1));
    assert!(earlier.starts_with("it expires at 2026-11-21T09:59:59Z"), "{earlier}");
}

#[test]
fn objects_that_contradict_themselves() {
    assert!(refusal(|m| m.objects.swap(0, 1)).contains("is not in order, or is there twice"));
    assert!(refusal(|m| m.objects[1] = m.objects[0].clone()).contains("is not in order, or is there twice"));
    assert!(refusal(|m| m.objects.clear()).contains("is not among its objects"));
    assert!(refusal(|m| m.state = Blake3Digest::of(b"x")).contains("is not among its objects"));
    assert!(refusal(|m| m.root = Sha256Digest::of(b"x")).contains("its root is not that of its objects"));
    assert_eq!(refusal(|m| _ = m.removals.insert(Blake3Digest::of(b"x"))), "it is full, and has removals");
    let both = |m: &mut BundleManifest| _ = m.removals.insert(m.objects[0].blake3);
    assert!(refusal(both).ends_with("is to be removed, too"));
    let raw = |m: &mut BundleManifest| {
        let at = zstd(m);
        m.objects[at].encoding = Encoding::Raw;
    };
    assert!(refusal(raw).contains("what is not packed has its own length"));
    let at = |m: &mut BundleManifest| zstd(m);
    assert!(refusal(|m| _ = (at(m), m.objects[0].parts.clear())).contains("lies nowhere"));
    assert!(refusal(|m| m.objects[0].size = SIZE_MAX_BYTES + 1).contains("has more than 1099511627776 bytes"));
    let gap = |m: &mut BundleManifest| {
        _ = {
            let at = split(m);
            m.objects[at].parts.remove(1)
        }
    };
    assert!(refusal(gap).contains("packed bytes, and its parts have"));
    let many = |m: &mut BundleManifest| {
        let at = split(m);
        let part = m.objects[at].parts[0];
        m.objects[at].parts = vec![part; 10_000];
    };
    assert!(refusal(many).starts_with("it has 10000 parts of object"));
    let other = |m: &mut BundleManifest| {
        let at = zstd(m);
        m.objects[at].parts[0].sha256 = Sha256Digest::of(b"x");
    };
    assert!(refusal(other).contains("has another SHA-256 than its only part"));
}

#[test]
fn patches_that_contradict_themselves() {
    assert!(
        refusal(|m| {
            patch(m);
            m.base = BundleBase::Full;
        })
        .contains("nothing is proven")
    );
    let assumed = BundleBase::Assumed { bundle: BundleId(Blake3Digest::of(b"x")), root: Sha256Digest::of(b"x") };
    assert!(
        refusal(|m| {
            patch(m);
            m.base = assumed;
        })
        .contains("nothing is proven")
    );
    assert!(refusal(|m| patch(m).base = None).contains("a patch has a base, and nothing else has one"));
    assert!(refusal(|m| patch(m).segments.clear()).contains("the segments of a patch are as long as the whole"));
    assert!(refusal(|m| patch(m).encoding = Encoding::Zstd).contains("a patch has a base, and nothing else has one"));
    assert!(
        refusal(|m| patch(m).segments[0].base_offset = 1).contains("a segment of a patch is over a piece of its base")
    );
    assert!(
        refusal(|m| patch(m).segments[1].base_offset = u64::MAX)
            .contains("a segment of a patch is over a piece of its base")
    );
    assert!(refusal(|m| patch(m).segments[0].size += 1).contains("the segments of a patch are as long as the whole"));
    assert!(
        refusal(|m| patch(m).segments[0].packed_size = u64::MAX)
            .contains("the segments of a patch are as long as the whole")
    );
    let itself = |m: &mut BundleManifest| {
        let object = patch(m);
        object.base = Some(object.body());
    };
    assert!(refusal(itself).contains("is a patch over itself"));
}

#[test]
fn volumes_that_contradict_themselves() {
    assert_eq!(
        refusal(|m| m.volumes[1].name = "vol-0003.tar".into()),
        "volume 2 is named \"vol-0003.tar\", not vol-0002.tar"
    );
    assert!(refusal(|m| m.volumes[0].name = "../../x".into()).starts_with("volume 1 is named \"../../x\""));
    assert!(refusal(|m| m.volumes.swap(0, 1)).starts_with("volume 1 is named"));
    assert!(refusal(|m| m.volumes[0].size = SIZE_MAX_BYTES + 1).contains("at most 1099511627776 are taken"));
    assert!(refusal(|m| m.volumes[0].size -= 20_000.min(m.volumes[0].size)).contains("reaches beyond the end of"));
    assert!(refusal(|m| m.volumes[0].size += 512).contains("and what is in it takes"));
    assert!(refusal(|m| m.volumes[0].parts += 1).contains("lie in it"));
    let none = |m: &mut BundleManifest| {
        let name = volume_name(m.volumes.len() as u32 + 1);
        m.volumes.push(Volume { name, size: 3072, parts: 0 });
    };
    assert!(refusal(none).contains("has 0 parts, and 0 lie in it"));
    assert!(refusal(|m| m.objects[0].parts[0].volume = 0).contains("lies in volume 0, which there is not"));
    assert!(refusal(|m| m.objects[0].parts[0].volume = 77).contains("lies in volume 77, which there is not"));
    assert!(refusal(|m| m.objects[0].parts[0].offset = u64::MAX).contains("reaches beyond the end of"));
    let overlapping = |m: &mut BundleManifest| {
        let at = split(m);
        m.objects[at].parts[0].offset -= 1;
        m.objects[at].parts[1] = Part { size: m.objects[at].parts[1].size, ..m.objects[at].parts[1] };
    };
    assert!(refusal(overlapping).contains("where it would lie at"));
    let on_top = |m: &mut BundleManifest| {
        let at = split(m);
        let Part { volume, offset, .. } = m.objects[at].parts[0];
        let part = &mut m.objects[at].parts[2];
        (part.volume, part.offset) = (volume, offset);
    };
    assert!(refusal(on_top).contains("overlap at byte"));
}

#[test]
fn sums_that_contradict_themselves() {
    let changes: [fn(&mut BundleManifest); 4] = [
        |m| m.totals.objects += 1,
        |m| m.totals.bytes += 1,
        |m| m.totals.packed_bytes -= 1,
        |m| m.totals.volume_bytes = u64::MAX,
    ];
    for change in changes {
        assert!(refusal(change).starts_with("its totals are"));
    }
    assert!(refusal(|m| m.held.objects += 1).starts_with("the site is to hold"));
    assert!(refusal(|m| m.held.bytes -= 1).starts_with("the site is to hold"));
    assert!(refusal(|m| (m.base, m.held.bytes) = (proven(), 0)).starts_with("the site is to hold"));
}

#[test]
fn a_million_objects_are_checked_and_one_more_refused() {
    let (object, _) = pack(b"x", Encoding::Raw);
    let refusal = refusal_of_many(vec![object; OBJECTS_MAX + 1]);
    assert_eq!(refusal, "the bundle's manifest contradicts itself: it has 1000001 objects; at most 1000000 are taken");
}

fn refusal_of_many(objects: Vec<Object>) -> String {
    let mut manifest = small().manifest;
    manifest.objects = objects;
    manifest.check().unwrap_err().to_string()
}

proptest! {
    /// Whatever is in a manifest, checking it ends, and never with an overflow.
    #[test]
    fn any_numbers_are_refused_without_a_panic(
        place in 0usize..12,
        number in prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(u64::MAX / 2 + 1), any::<u64>()],
        index in any::<prop::sample::Index>(),
    ) {
        let original = small().manifest;
        let mut manifest = original.clone();
        let at = index.index(manifest.objects.len());
        let object = &mut manifest.objects[at];
        match place {
            0 => object.size = number,
            1 => object.packed.size = number,
            2 => object.parts[0].offset = number,
            3 => object.parts[0].size = number,
            4 => object.parts[0].volume = number as u32,
            5 => manifest.volumes[0].size = number,
            6 => manifest.volumes[0].parts = number,
            7 => manifest.held.bytes = number,
            8 => manifest.totals.bytes = number,
            9 => manifest.totals.volume_bytes = number,
            10 => manifest.sequence = number,
            _ => object.segments = vec![Segment { size: number, packed_size: number, base_offset: number, base_size: number }],
        }
        let is_same = manifest == original;
        let may_differ = place == 10 && number != 0;
        prop_assert!(is_same || may_differ || manifest.check().is_err());
    }
}
