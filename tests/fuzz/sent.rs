//! What the origin sends to its site: bundles with states that the site can take over, so that an import comes to its end.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ringfence::bundle::{EncodeOptions, Encoding, Held, Object, encode, root_of};
use ringfence::model::{
    ApprovalRule, Artifact, Blake3Digest, BundleBase, Class, ObjectRef, Platform, Product, ReceiptId, Release,
    ReleaseManifest, Sha256Digest, SiteContent, SiteProduct, Stamp,
};

use super::bundle::testing::{Make, TestBundle, pack};

/// A full bundle in several volumes, an increment over it with a patch, another full one that comes after it, and one
/// without any release.
pub(crate) fn bundles() -> Vec<TestBundle> {
    let again = b"the same again, ".repeat(400);
    let noise = noise();
    let mut split = made(1, &[&noise, &again, b"short"]);
    split.volume_bytes = 8 * 1024;
    let split = split.bundle();
    let next = made(2, &[b"another", b"bundle", &vec![b'x'; 300 * 1024]]).bundle();
    let increment = increment(&split, &noise);
    vec![split, increment, next, made(1, &[]).bundle()]
}

fn noise() -> Vec<u8> {
    (0..3_000_u32).flat_map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
}

fn made(sequence: u64, bodies: &[&[u8]]) -> Make {
    let mut make = Make::new(bodies);
    make.sequence = sequence;
    make.state = state(bodies);
    // Large ones packed, so that an input stays small.
    let large = make.bodies.iter_mut().filter(|(body, _)| body.len() > 64 * 1024);
    large.for_each(|(_, encoding)| *encoding = Encoding::Zstd);
    make
}

/// The body that stays, one as a patch over it, and one that is new; the others go.
fn increment(first: &TestBundle, base: &[u8]) -> TestBundle {
    let mut changed = base.to_vec();
    changed.splice(5_000..5_100, b"what was changed since ".repeat(9));
    let bodies: [&[u8]; 3] = [base, &changed, &b"new, and packed, ".repeat(300)];
    let state = state(&bodies);
    let sent = [patch(&changed, base), pack(bodies[2], Encoding::Zstd), pack(&state, Encoding::Raw)];
    let mut packed: Vec<(Object, Vec<u8>)> = sent.into();
    packed.sort_by_key(|(object, _)| object.blake3);
    let (objects, packed): (Vec<Object>, Vec<Vec<u8>>) = packed.into_iter().unzip();
    let held: BTreeMap<Blake3Digest, u64> =
        bodies.into_iter().chain([&state[..]]).map(|body| (Blake3Digest::of(body), body.len() as u64)).collect();
    let mut manifest = made(2, &[]).bundle().manifest;
    manifest.previous = Some(first.id);
    manifest.base = BundleBase::Proven {
        receipt: ReceiptId(Blake3Digest::of(b"a receipt")),
        bundle: first.id,
        root: first.manifest.root,
    };
    manifest.state = Blake3Digest::of(&state);
    manifest.root = root_of(&held.keys().copied().collect());
    manifest.held = Held { objects: held.len() as u64, bytes: held.values().sum() };
    let before = first.manifest.objects.iter().map(|object| object.blake3);
    manifest.removals = before.filter(|object| !held.contains_key(object)).collect();
    manifest.objects = objects;
    let make = made(2, &[]);
    TestBundle::packed(manifest, &packed, make.volume_bytes, &make.secret)
}

fn patch(body: &[u8], base: &[u8]) -> (Object, Vec<u8>) {
    let over = ObjectRef { blake3: Blake3Digest::of(base), sha256: Sha256Digest::of(base), size: base.len() as u64 };
    let spool = tempfile::tempdir().unwrap();
    let bases = [(over, Bytes::copy_from_slice(base))];
    let packed = encode(&Bytes::copy_from_slice(body), &bases, &EncodeOptions { spool: spool.path() }).unwrap();
    assert_eq!(packed.encoding, Encoding::Patch);
    let (mut object, _) = pack(body, Encoding::Raw);
    (object.encoding, object.base, object.segments) = (packed.encoding, packed.base, packed.segments);
    object.packed = packed.packed;
    (object, packed.bytes.to_vec())
}

/// A site's state: a product whose releases have these bodies, one each.
fn state(bodies: &[&[u8]]) -> Vec<u8> {
    let stamp = Stamp { at: "2026-11-20T10:00:00Z".parse().unwrap(), by: "origin".parse().unwrap() };
    let release = |(index, body): (usize, &&[u8])| {
        let artifact = Artifact {
            target: "file".parse().unwrap(),
            platform: Platform::any(),
            size: body.len() as u64,
            blake3: Blake3Digest::of(body),
            sha256: Sha256Digest::of(body),
            media_type: "application/octet-stream".into(),
        };
        let manifest = ReleaseManifest {
            product: "intel".parse().unwrap(),
            version: format!("1.{index}").parse().unwrap(),
            barrier: false,
            artifacts: vec![artifact],
        };
        Release {
            id: manifest.id(),
            manifest,
            sequence: index as u64 + 1,
            added: stamp.clone(),
            approval: ApprovalRule::Auto,
            approved: Some(stamp.clone()),
            published_at: Some(stamp.at),
            withdrawn: None,
            inspection: None,
        }
    };
    let releases = bodies.iter().enumerate().map(release).collect();
    let (added_at, added_by) = (stamp.at, stamp.by.clone());
    let product = Product { name: "intel".parse().unwrap(), class: Class::Intelligence, added_at, added_by };
    let products = vec![SiteProduct { product, releases, absent: BTreeSet::new() }];
    serde_json::to_vec(&SiteContent { products, ..SiteContent::default() }).unwrap()
}
