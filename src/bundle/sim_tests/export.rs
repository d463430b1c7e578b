//! Writing a bundle: the parts of the room put together as the exporter does it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::SignedDuration;

use super::carrier::Medium;
use super::origin::{Exported, Origin};
use super::place::temp_dir;
use crate::bundle::testing::{bytes_of, lay_out};
use crate::bundle::{
    BundleManifest, EncodeOptions, FORMAT, Held, Object, PackedBody, Terms, Totals, encode, root_of, scope,
};
use crate::catalog::testing::commit;
use crate::model::{
    Blake3Digest, BundleBase, BundleId, Event, Export, JournalPlace, ObjectRef, SiteContent, SiteName, SiteRecord,
};

/// What an export starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// What is proven.
    Auto,
    /// Whatever the newest bundle would have brought.
    Last,
}

/// What the site is taken to hold.
struct Base {
    base: BundleBase,
    /// What is sure to be there: whichever of the bundles since the proven one the site has taken.
    sure: BTreeSet<Blake3Digest>,
    /// What the proven one brought.
    proven: BTreeSet<Blake3Digest>,
    /// Bodies that patches may be over.
    bodies: BTreeMap<String, ObjectRef>,
}

impl Origin {
    /// Writes a bundle for a site, in volumes of at most this size.
    pub(super) async fn export(&mut self, site: &SiteName, since: Since, volume_bytes: u64) -> Medium {
        let (snapshot, now) = (self.catalog.snapshot(), self.now());
        let policy = snapshot.policies().last().unwrap().policy().unwrap();
        let rule = policy.site(site).unwrap();
        let record = snapshot.site(site).cloned().unwrap_or_else(|| Arc::new(SiteRecord::new(site.clone())));
        let before: Vec<SiteContent> = self.since_proven(&record).map(|export| export.content.clone()).collect();
        let grace = SignedDuration::from_hours(3);
        let terms = Terms { groups: rule.groups(), now, grace, preload: rule.preload(), before: &before };
        let scope = scope(&snapshot, terms).unwrap();
        let state_bytes = Bytes::from(serde_json::to_vec(&scope.content).unwrap());
        let state = self.keep(state_bytes).await;
        let held: BTreeMap<_, _> = scope.carried.iter().chain([&state]).map(|body| (body.blake3, *body)).collect();
        let base = self.base(&record, since);
        let is_brought = |body: &&ObjectRef| **body == state || !base.sure.contains(&body.blake3);
        let brought: Vec<ObjectRef> = held.values().filter(is_brought).copied().collect();
        let names: BTreeMap<Blake3Digest, String> =
            names(&scope.content, state).into_iter().map(|(name, body)| (body.blake3, name)).collect();
        let spool = temp_dir();
        let packed = brought.iter().map(|body| {
            let over = base.bodies.get(&names[&body.blake3]).filter(|over| over.blake3 != body.blake3);
            let over: Vec<_> = over.map(|over| (*over, self.body(over))).into_iter().collect();
            object(body, encode(&self.body(body), &over, &EncodeOptions { spool: spool.path() }).unwrap())
        });
        let (objects, packed): (Vec<Object>, Vec<Vec<u8>>) = packed.unzip();
        let all: BTreeSet<Blake3Digest> = held.keys().copied().collect();
        let sum = |bodies: &mut dyn Iterator<Item = u64>| bodies.sum::<u64>();
        let (head, count) = (snapshot.head(), objects.len() as u64);
        let manifest = BundleManifest {
            format: FORMAT,
            site: site.clone(),
            issuer: self.key.public().id,
            issuer_keys: self.keys(),
            sequence: record.sequence + 1,
            previous: record.exports.last().map(|export| export.bundle),
            base: base.base,
            created: now,
            expires: rule.valid_for().ends_at(now),
            journal: JournalPlace { sequence: snapshot.seq(), head },
            groups: rule.groups().to_vec(),
            state: state.blake3,
            root: root_of(&all),
            held: Held { objects: held.len() as u64, bytes: sum(&mut held.values().map(|body| body.size)) },
            removals: base.proven.difference(&all).copied().collect(),
            volumes: Vec::new(),
            totals: Totals {
                objects: count,
                bytes: sum(&mut objects.iter().map(|object| object.size)),
                packed_bytes: sum(&mut objects.iter().map(|object| object.packed.size)),
                volume_bytes: 0,
            },
            objects,
        };
        let (mut manifest, layout) = lay_out(manifest, &packed, volume_bytes);
        manifest.totals.volume_bytes = manifest.volumes.iter().map(|volume| volume.size).sum();
        let volumes = (1..).zip(&manifest.volumes).map(|(number, _)| bytes_of(layout.spans(number, 0), &packed));
        let volumes: Vec<Option<Bytes>> = volumes.map(|bytes| Some(bytes.into())).collect();
        let (text, id) = manifest.text();
        let export = Export {
            bundle: id,
            sequence: manifest.sequence,
            base: manifest.base,
            root: manifest.root,
            state,
            groups: manifest.groups.clone(),
            created_at: now,
            expires_at: manifest.expires,
            objects: count,
            bytes: manifest.totals.volume_bytes,
        };
        commit(&self.catalog, vec![Event::BundleExported { site: site.clone(), export: Box::new(export) }]).await;
        let signature = self.key.sign(text.as_bytes(), "a bundle");
        self.remember(id, Exported { at: now, snapshot, manifest, content: scope.content, held });
        Medium { bundle: id, text, signature, volumes, harm: Vec::new() }
    }

    fn remember(&mut self, id: BundleId, exported: Exported) {
        self.exports.insert(id, exported);
    }

    fn since_proven<'a>(&'a self, record: &'a SiteRecord) -> impl Iterator<Item = &'a Exported> {
        let after = record.proven_export().map_or(0, |(export, _)| export.sequence);
        let exports = record.exports.iter().filter(move |export| export.sequence >= after);
        exports.map(|export| &self.exports[&export.bundle])
    }

    fn base(&self, record: &SiteRecord, since: Since) -> Base {
        let held = |exported: &Exported| exported.held.keys().copied().collect::<BTreeSet<_>>();
        let full =
            Base { base: BundleBase::Full, sure: BTreeSet::new(), proven: BTreeSet::new(), bodies: BTreeMap::new() };
        if record.astray.is_some() {
            return full;
        }
        if let (Since::Last, Some(last)) = (since, record.exports.last()) {
            let sure = held(&self.exports[&last.bundle]);
            let base = BundleBase::Assumed { bundle: last.bundle, root: last.root };
            return Base { base, proven: sure.clone(), sure, ..full };
        }
        let Some((export, receipt)) = record.proven_export() else { return full };
        let exported = &self.exports[&export.bundle];
        let proven = held(exported);
        let sure = self.since_proven(record).fold(proven.clone(), |sure, next| &sure & &held(next));
        let state = exported.held[&exported.manifest.state];
        let bodies = names(&exported.content, state).into_iter().filter(|(_, body)| sure.contains(&body.blake3));
        let base = BundleBase::Proven { receipt, bundle: export.bundle, root: export.root };
        Base { base, bodies: bodies.collect(), sure, proven }
    }

    async fn keep(&self, bytes: Bytes) -> ObjectRef {
        use crate::store::BlobStore as _;
        let mut staged = self.catalog.store().stage(None).unwrap();
        staged.append(bytes).await.unwrap();
        let done = staged.finish().await.unwrap();
        let body = ObjectRef { blake3: *done.blake3(), sha256: *done.sha256(), size: done.size() };
        let _ = self.catalog.store().commit(done).unwrap();
        body
    }

    fn body(&self, body: &ObjectRef) -> Bytes {
        self.catalog.body(&body.blake3, body.size).unwrap().unwrap()
    }
}

/// The bodies of a content by what they are, those of newer releases later.
fn names(content: &SiteContent, state: ObjectRef) -> Vec<(String, ObjectRef)> {
    let mut names = vec![("state".to_owned(), state)];
    for product in &content.products {
        let brought = product.releases.iter().filter(|release| !product.absent.contains(&release.id));
        for artifact in brought.flat_map(|release| &release.manifest.artifacts) {
            let body = ObjectRef { blake3: artifact.blake3, sha256: artifact.sha256, size: artifact.size };
            names.push((format!("{}/{}", product.product.name, artifact.target), body));
        }
    }
    names
}

fn object(body: &ObjectRef, packed: PackedBody) -> (Object, Vec<u8>) {
    let PackedBody { encoding, base, segments, packed, bytes } = packed;
    let ObjectRef { blake3, sha256, size } = *body;
    (Object { blake3, sha256, size, encoding, base, segments, packed, parts: Vec::new() }, bytes.to_vec())
}
