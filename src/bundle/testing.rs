//! Small signed bundles for tests and fuzzing. Panics where one cannot be made: the test is wrong then.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::{
    BundleManifest, Encoding, FORMAT, Held, Object, Packed, PackedObject, Span, Totals, VolumeOf, VolumePlan, root_of,
};
use crate::model::{Blake3Digest, BundleBase, BundleId, JournalPlace, Sha256Digest, SiteContent};
use crate::signing::{KeyEntry, KeysDocument, SecretKey};

/// A bundle in memory.
#[derive(Debug, Clone)]
pub(crate) struct TestBundle {
    /// Its manifest.
    pub(crate) manifest: BundleManifest,
    /// Its id.
    pub(crate) id: BundleId,
    /// `BUNDLE.json`.
    pub(crate) text: String,
    /// `BUNDLE.sig`.
    pub(crate) signature: String,
    /// The volumes, in order.
    pub(crate) volumes: Vec<Vec<u8>>,
}

/// What a bundle is made of; [`Make::new`] makes a full one for `plant-7`.
#[derive(Debug, Clone)]
pub(crate) struct Make {
    /// Who signs.
    pub(crate) secret: SecretKey,
    /// The keys that it tells of.
    pub(crate) keys: KeysDocument,
    /// Its site's name.
    pub(crate) site: String,
    /// Its place among the site's bundles.
    pub(crate) sequence: u64,
    /// When it is made; it expires 30 days later.
    pub(crate) created: Timestamp,
    /// The bodies besides the state's, and how each is packed: raw or zstd.
    pub(crate) bodies: Vec<(Vec<u8>, Encoding)>,
    /// The state's body.
    pub(crate) state: Vec<u8>,
    /// The largest volume.
    pub(crate) volume_bytes: u64,
}

/// The key of the origin that makes test bundles.
pub(crate) fn secret() -> SecretKey {
    SecretKey::from_random([7; 32], *b"bundles1")
}

impl Make {
    /// Bodies, the first one packed raw, the next with zstd, and so on.
    pub(crate) fn new(bodies: &[&[u8]]) -> Self {
        let secret = secret();
        let created: Timestamp = "2026-11-21T10:00:00Z".parse().expect("a time");
        let encodings = [Encoding::Raw, Encoding::Zstd].into_iter().cycle();
        let first = KeyEntry {
            key: secret.public(),
            added_at: created,
            introduced_by: None,
            introduction: None,
            retired_at: None,
        };
        Self {
            secret,
            keys: KeysDocument { keys: vec![first] },
            site: "plant-7".to_owned(),
            sequence: 1,
            created,
            bodies: bodies.iter().map(|body| body.to_vec()).zip(encodings).collect(),
            state: serde_json::to_vec(&SiteContent::default()).expect("no map has other keys than texts"),
            volume_bytes: 64 * 1024,
        }
    }

    /// The bundle.
    pub(crate) fn bundle(&self) -> TestBundle {
        let mut packed: Vec<(Object, Vec<u8>)> = self.bodies.iter().map(|(body, how)| pack(body, *how)).collect();
        packed.push(pack(&self.state, Encoding::Raw));
        packed.sort_by_key(|(object, _)| object.blake3);
        packed.dedup_by_key(|(object, _)| object.blake3);
        let (objects, packed): (Vec<Object>, Vec<Vec<u8>>) = packed.into_iter().unzip();
        TestBundle::packed(self.manifest(objects), &packed, self.volume_bytes, &self.secret)
    }

    fn manifest(&self, objects: Vec<Object>) -> BundleManifest {
        let all: BTreeSet<Blake3Digest> = objects.iter().map(|object| object.blake3).collect();
        let bytes = objects.iter().map(|object| object.size).sum();
        let count = objects.len() as u64;
        BundleManifest {
            format: FORMAT,
            site: self.site.parse().expect("a name"),
            issuer: self.secret.public().id,
            issuer_keys: self.keys.clone(),
            sequence: self.sequence,
            previous: None,
            base: BundleBase::Full,
            created: self.created,
            expires: self.created + SignedDuration::from_hours(30 * 24),
            journal: JournalPlace { sequence: 40, head: Blake3Digest::of(b"head") },
            groups: vec!["everyone".parse().expect("a name")],
            state: Blake3Digest::of(&self.state),
            root: root_of(&all),
            held: Held { objects: count, bytes },
            objects,
            removals: BTreeSet::new(),
            volumes: Vec::new(),
            totals: Totals { objects: 0, bytes: 0, packed_bytes: 0, volume_bytes: 0 },
        }
    }
}

impl TestBundle {
    /// With the objects of the manifest laid out in volumes of this length, and its totals to match.
    pub(crate) fn packed(
        mut manifest: BundleManifest,
        packed: &[Vec<u8>],
        volume_bytes: u64,
        secret: &SecretKey,
    ) -> Self {
        manifest.totals = Totals {
            objects: manifest.objects.len() as u64,
            bytes: manifest.objects.iter().map(|object| object.size).sum(),
            packed_bytes: manifest.objects.iter().map(|object| object.packed.size).sum(),
            volume_bytes: 0,
        };
        let (mut manifest, layout) = lay_out(manifest, packed, volume_bytes);
        manifest.totals.volume_bytes = manifest.volumes.iter().map(|volume| volume.size).sum();
        let volumes = (1..).zip(&manifest.volumes).map(|(number, _)| bytes_of(layout.spans(number, 0), packed));
        let volumes = volumes.collect();
        Self::signed(manifest, volumes, secret)
    }

    /// With a manifest that says something else, properly signed by `secret`.
    pub(crate) fn signed(manifest: BundleManifest, volumes: Vec<Vec<u8>>, secret: &SecretKey) -> Self {
        let (text, id) = manifest.text();
        let signature = secret.sign(text.as_bytes(), "a bundle of a test");
        Self { manifest, id, text, signature, volumes }
    }

    /// Writes all files into `dir`, which is there.
    pub(crate) fn write(&self, dir: &Path) {
        std::fs::write(dir.join("BUNDLE.json"), &self.text).expect("a directory to write to");
        std::fs::write(dir.join("BUNDLE.sig"), &self.signature).expect("a directory to write to");
        for (volume, bytes) in self.manifest.volumes.iter().zip(&self.volumes) {
            std::fs::write(dir.join(&volume.name), bytes).expect("a directory to write to");
        }
    }
}

/// Three bodies, one of which is split over several small volumes.
pub(crate) fn small() -> TestBundle {
    let noise: Vec<u8> = (0..40_000_u32).flat_map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let mut make = Make::new(&[&noise[..30_000], &b"the same again, ".repeat(400), b"short"]);
    make.volume_bytes = 16 * 1024;
    make.bundle()
}

/// Lays a manifest's objects out anew: volumes and parts.
pub(crate) fn lay_out(
    mut manifest: BundleManifest,
    packed: &[Vec<u8>],
    volume_bytes: u64,
) -> (BundleManifest, super::Layout) {
    let of = VolumeOf { site: manifest.site.clone(), sequence: manifest.sequence, created: manifest.created };
    let sized: Vec<PackedObject> = manifest
        .objects
        .iter()
        .map(|Object { blake3, encoding, packed, .. }| PackedObject {
            blake3: *blake3,
            encoding: *encoding,
            size: packed.size,
        })
        .collect();
    let plan = VolumePlan::new(of, &sized, volume_bytes).expect("objects that fit");
    let sha256 = |piece: &super::Piece| {
        let range = piece.start as usize..(piece.start + piece.size) as usize;
        Ok::<_, std::convert::Infallible>(Sha256Digest::of(&packed[piece.object][range]))
    };
    let layout = plan.layout(sha256).expect("nothing that fails");
    for (object, parts) in manifest.objects.iter_mut().zip(layout.parts(packed.len())) {
        object.parts = parts;
    }
    manifest.volumes = layout.volumes();
    (manifest, layout)
}

/// The bytes that spans stand for.
pub(crate) fn bytes_of(spans: impl Iterator<Item = Span>, packed: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for span in spans {
        match span {
            Span::Literal(literal) => bytes.extend_from_slice(&literal),
            Span::Body { object, range } => {
                bytes.extend_from_slice(&packed[object][range.start as usize..range.end as usize]);
            }
        }
    }
    bytes
}

/// An object and its packed bytes.
pub(crate) fn pack(body: &[u8], encoding: Encoding) -> (Object, Vec<u8>) {
    let packed = match encoding {
        Encoding::Raw => body.to_vec(),
        Encoding::Zstd => zstd::bulk::compress(body, 3).expect("memory to compress in"),
        Encoding::Patch => panic!("a patch needs a base"),
    };
    let object = Object {
        blake3: Blake3Digest::of(body),
        sha256: Sha256Digest::of(body),
        size: body.len() as u64,
        encoding,
        base: None,
        segments: Vec::new(),
        packed: Packed { size: packed.len() as u64, sha256: Sha256Digest::of(&packed) },
        parts: Vec::new(),
    };
    (object, packed)
}
