//! A site to import into, and bundles to import.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};

use crate::bundle::import::{Begun, Brought, Finished, ImportError, ImportOptions, Imports, Needed, NeededSpan, Taken};
use crate::bundle::testing::{Make, TestBundle, pack, secret};
use crate::bundle::{Encoding, Held, Object, root_of};
use crate::catalog::Catalog;
use crate::catalog::testing::{START, World, actor, parse};
use crate::model::{
    ApprovalRule, Artifact, Blake3Digest, BundleBase, BundleId, Class, Platform, Product, Release, ReleaseManifest,
    Sha256Digest, SiteContent, SiteProduct, Stamp,
};

/// A site with its catalog, opened and closed as often as a test likes.
pub(super) struct Site {
    pub(super) world: World,
    pub(super) options: ImportOptions,
}

/// One start of it.
pub(super) struct Running {
    pub(super) catalog: Arc<Catalog>,
    pub(super) imports: Arc<Imports>,
}

impl Site {
    pub(super) fn new() -> Self {
        Self::in_world(World::new())
    }

    /// For what is not about the disk, and would wait for it a thousand times.
    pub(super) fn in_memory() -> Self {
        Self::in_world(World::in_memory())
    }

    fn in_world(world: World) -> Self {
        let dir = world.dir.path().join("imports");
        let options = ImportOptions { site: Some(parse("plant-7")), keys: vec![secret().public()], dir };
        Self { world, options }
    }

    pub(super) fn start(&self) -> Running {
        let catalog = self.world.catalog();
        let imports = Arc::new(Imports::open(catalog.clone(), self.options.clone()).unwrap());
        Running { catalog, imports }
    }
}

pub(super) fn start() -> Timestamp {
    Timestamp::from_second(START).unwrap()
}

/// What an origin gives the site: every body is one release.
pub(super) struct Given {
    pub(super) bodies: Vec<Vec<u8>>,
    pub(super) sequence: u64,
    /// Bodies that are left out, as those of a base.
    pub(super) base: Vec<Vec<u8>>,
    pub(super) make: Make,
    /// How many events the origin's journal has, and a word that its head stands for.
    pub(super) journal: (u64, &'static str),
}

impl Given {
    pub(super) fn new(sequence: u64, bodies: &[&[u8]]) -> Self {
        let mut make = Make::new(&[]);
        make.created = start() + SignedDuration::from_secs(i64::try_from(sequence).unwrap());
        make.volume_bytes = 16 * 1024;
        let bodies = bodies.iter().map(|body| body.to_vec()).collect();
        Self { bodies, sequence, base: Vec::new(), make, journal: (40 + sequence, "head") }
    }

    pub(super) fn over(mut self, base: &[&[u8]]) -> Self {
        self.base = base.iter().map(|body| body.to_vec()).collect();
        self
    }

    pub(super) fn bundle(&self) -> TestBundle {
        let state = serde_json::to_vec(&content(&self.bodies)).unwrap();
        let encodings = [Encoding::Raw, Encoding::Zstd].into_iter().cycle();
        let sent = self.bodies.iter().zip(encodings).filter(|(body, _)| !self.base.contains(body));
        let mut packed: Vec<(Object, Vec<u8>)> = sent.map(|(body, how)| pack(body, how)).collect();
        packed.push(pack(&state, Encoding::Raw));
        packed.sort_by_key(|(object, _)| object.blake3);
        packed.dedup_by_key(|(object, _)| object.blake3);
        let (objects, packed): (Vec<Object>, Vec<Vec<u8>>) = packed.into_iter().unzip();
        let all: BTreeSet<&[u8]> = self.bodies.iter().chain([&state]).map(Vec::as_slice).collect();
        // The pattern of a full bundle of the same origin.
        let mut manifest = Make { state: state.clone(), ..self.make.clone() }.bundle().manifest;
        manifest.sequence = self.sequence;
        (manifest.journal.sequence, manifest.journal.head) =
            (self.journal.0, Blake3Digest::of(self.journal.1.as_bytes()));
        if !self.base.is_empty() {
            let nothing = root_of(&BTreeSet::new());
            manifest.base = BundleBase::Assumed { bundle: BundleId(Blake3Digest::of(b"before")), root: nothing };
        }
        manifest.root = root_of(&all.iter().map(|body| Blake3Digest::of(body)).collect());
        manifest.held = Held { objects: all.len() as u64, bytes: all.iter().map(|body| body.len() as u64).sum() };
        manifest.objects = objects;
        TestBundle::packed(manifest, &packed, self.make.volume_bytes, &self.make.secret)
    }
}

/// A product whose releases are these bodies.
pub(super) fn content(bodies: &[Vec<u8>]) -> SiteContent {
    let stamp = Stamp { at: start(), by: actor("origin") };
    let product: crate::model::ProductName = parse("intel");
    let release = |(index, body): (usize, &Vec<u8>)| {
        let artifact = Artifact {
            target: parse("file"),
            platform: Platform::any(),
            size: body.len() as u64,
            blake3: Blake3Digest::of(body),
            sha256: Sha256Digest::of(body),
            media_type: "application/octet-stream".into(),
        };
        let version = parse(&format!("1.{index}"));
        let manifest = ReleaseManifest { product: product.clone(), version, barrier: false, artifacts: vec![artifact] };
        Release {
            id: manifest.id(),
            manifest,
            sequence: index as u64 + 1,
            added: stamp.clone(),
            approval: ApprovalRule::Auto,
            approved: Some(stamp.clone()),
            published_at: Some(start()),
            withdrawn: None,
            inspection: None,
        }
    };
    let releases = bodies.iter().enumerate().map(release).collect();
    let product =
        Product { name: product.clone(), class: Class::Intelligence, added_at: start(), added_by: actor("origin") };
    let product = SiteProduct { product, releases, absent: BTreeSet::new() };
    SiteContent { products: vec![product], ..SiteContent::default() }
}

pub(super) fn brought(bundle: &TestBundle) -> Brought {
    Brought { manifest: bundle.text.clone(), signature: bundle.signature.clone(), may_bind: true, ..Brought::default() }
}

impl Running {
    pub(super) async fn begin(&self, bundle: &TestBundle) -> Result<Begun, ImportError> {
        Ok(self.imports.begin(brought(bundle)).await?)
    }

    pub(super) async fn needed(&self, bundle: &TestBundle) -> Needed {
        match self.begin(bundle).await.unwrap() {
            Begun::Needed(needed) => needed,
            Begun::Applied(finished) => panic!("{finished:?}"),
        }
    }

    pub(super) async fn send(&self, bundle: &TestBundle, span: NeededSpan) -> Taken {
        let NeededSpan { volume, offset, size } = span;
        let bytes = &bundle.volumes[volume as usize - 1][offset as usize..(offset + size) as usize];
        self.take(bundle, volume, offset, bytes).await.unwrap()
    }

    pub(super) async fn take(
        &self,
        bundle: &TestBundle,
        volume: u32,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Taken, ImportError> {
        self.imports.take(&bundle.id, volume, offset, Full::new(Bytes::copy_from_slice(bytes))).await
    }

    pub(super) async fn finish(&self, bundle: &TestBundle) -> Result<Finished, ImportError> {
        self.imports.finish(&bundle.id, &actor("ada")).await
    }

    /// The whole of it.
    pub(super) async fn import(&self, bundle: &TestBundle) -> Result<Finished, ImportError> {
        let Begun::Needed(needed) = self.begin(bundle).await? else { return self.finish(bundle).await };
        for span in needed.spans {
            self.send(bundle, span).await;
        }
        self.begin(bundle).await?;
        self.finish(bundle).await
    }

    /// Whether the site shows exactly these bodies, and has them.
    pub(super) fn shows(&self, bodies: &[Vec<u8>]) -> bool {
        let snapshot = self.catalog.snapshot();
        let shown: BTreeSet<Blake3Digest> = snapshot
            .products()
            .flat_map(|product| product.releases().to_vec())
            .flat_map(|release| release.manifest.artifacts.iter().map(|artifact| artifact.blake3).collect::<Vec<_>>())
            .collect();
        let has = |body: &Vec<u8>| {
            let found = self.catalog.body(&Blake3Digest::of(body), body.len() as u64).unwrap();
            found.is_some_and(|found| found == *body)
        };
        shown == bodies.iter().map(|body| Blake3Digest::of(body)).collect() && bodies.iter().all(has)
    }
}

/// Bytes that no packing makes smaller, another series for each seed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}
