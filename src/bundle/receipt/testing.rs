//! An origin and one offline site of it, in two temporary directories, with receipts carried by hand.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use jiff::SignedDuration;

use super::{About, Receipt, Signer, give_receipt};
use crate::bundle::root_of;
use crate::catalog::Catalog;
use crate::catalog::testing::{STAGED, World, actor, commit, parse};
use crate::control::{advance_rollouts, apply_policy, record_reports};
use crate::model::{
    AppliedBundle, Blake3Digest, BundleBase, BundleId, Event, Export, GivenReceipt, JournalPlace, ObjectRef, Release,
    Report, ReportEvent, Sha256Digest, SiteContent, SitePolicy, SiteProduct, Snapshot,
};
use crate::publish::testing::Desk;
use crate::signing::{KeyEntry, KeysDocument, SecretKey};
use crate::store::BlobStore as _;

pub(crate) const SITE: &str = "\n[[site]]\nname = \"plant-7\"\ngroups = [\"canaries\", \"everyone\"]\n";

/// The site's key.
pub(crate) fn site_key() -> SecretKey {
    SecretKey::from_random([9; 32], [9; 8])
}

/// A key that nobody vouches for.
pub(crate) fn only(key: &SecretKey) -> KeysDocument {
    let entry = KeyEntry {
        key: key.public(),
        added_at: jiff::Timestamp::UNIX_EPOCH,
        introduced_by: None,
        introduction: None,
        retired_at: None,
    };
    KeysDocument { keys: vec![entry] }
}

pub(crate) struct Pair {
    pub(crate) origin: Desk,
    pub(crate) site: Arc<Catalog>,
    pub(crate) site_world: World,
}

impl Pair {
    pub(crate) async fn new() -> Self {
        let origin = Desk::new().await;
        apply_policy(&origin.catalog, &actor("ada"), format!("{STAGED}{SITE}"), None).await.unwrap();
        let site_world = World::new();
        let site = site_world.catalog();
        Self { origin, site, site_world }
    }

    /// Publishes a version, and lets its rollout begin.
    pub(crate) async fn publish(&self, version: &'static str) {
        self.origin.publish("ada", "intel", version, version).await.unwrap();
        advance_rollouts(&self.origin.catalog).await.unwrap();
    }

    /// Journals a full bundle of everything that the origin has.
    pub(crate) async fn export(&self) -> Export {
        let catalog = &self.origin.catalog;
        let snapshot = catalog.snapshot();
        let sequence = snapshot.site(&parse("plant-7")).map_or(0, |site| site.sequence) + 1;
        let text = serde_json::to_vec(&content(&snapshot)).unwrap();
        let (state, held) = (object(&text), held(&snapshot, &text));
        let export = Export {
            bundle: BundleId(Blake3Digest::of(format!("{sequence} {}", state.blake3).as_bytes())),
            sequence,
            base: BundleBase::Full,
            root: root_of(&held),
            state,
            groups: vec![parse("canaries"), parse("everyone")],
            created_at: catalog.now(),
            expires_at: catalog.now() + SignedDuration::from_hours(30 * 24),
            objects: held.len() as u64,
            bytes: 10_240,
        };
        let event = Event::BundleExported { site: parse("plant-7"), export: Box::new(export.clone()) };
        commit(catalog, vec![event]).await;
        export
    }

    /// Brings all bodies to the site, and applies the bundle.
    pub(crate) async fn import(&self, export: &Export) {
        self.import_without(export, None).await;
    }

    /// The same with a content that does not have this version, nor its rollouts.
    pub(crate) async fn import_without(&self, export: &Export, version: Option<&str>) {
        let snapshot = self.origin.catalog.snapshot();
        let mut content = content(&snapshot);
        put(&self.site, serde_json::to_vec(&content).unwrap().into()).await;
        for artifact in
            snapshot.products().flat_map(|product| product.releases()).flat_map(|release| &release.manifest.artifacts)
        {
            let body = self.origin.catalog.store().open(&artifact.blake3, artifact.size).unwrap().unwrap();
            put(&self.site, body.bytes).await;
        }
        let left_out = |release: &Release| version.is_some_and(|version| *release.version() == parse(version));
        for product in &mut content.products {
            product.releases.retain(|release| !left_out(release));
        }
        let known: BTreeSet<_> =
            content.products.iter().flat_map(|product| &product.releases).map(|release| release.id).collect();
        content.rollouts.retain(|rollout| known.contains(&rollout.release));
        let bundle = AppliedBundle {
            bundle: export.bundle,
            sequence: export.sequence,
            root: export.root,
            state: export.state,
            created_at: export.created_at,
            expires_at: export.expires_at,
            journal: JournalPlace { sequence: snapshot.seq(), head: snapshot.head() },
            issuer: site_key().public().id,
            keys: vec![site_key().public()],
            retired: Vec::new(),
            groups: export.groups.clone(),
        };
        let (site, bundle, content) = (parse("plant-7"), Box::new(bundle), Box::new(content));
        commit(&self.site, vec![Event::BundleApplied { site, bundle, content }]).await;
    }

    /// The site's next receipt, of what it serves.
    pub(crate) async fn give(&self) -> GivenReceipt {
        let about = About::present(&self.site.snapshot());
        self.give_about(about).await.1
    }

    pub(crate) async fn give_about(&self, about: About) -> (Receipt, GivenReceipt) {
        let (key, keys) = (site_key(), only(&site_key()));
        let signer = Signer { key: &key, keys: &keys };
        give_receipt(&self.site, &actor("operator"), &parse("plant-7"), about, signer).await.unwrap()
    }

    /// A copy of the site gives another receipt of the same number.
    pub(crate) fn copy_of_given(&self, given: &GivenReceipt) -> GivenReceipt {
        changed(given, |receipt| receipt.issued_at += SignedDuration::from_secs(1))
    }

    /// These canaries of the site are offered the version, and each reports.
    pub(crate) async fn canaries_report(&self, version: &str, numbers: std::ops::Range<u32>, event: ReportEvent) {
        self.offer(version, numbers.clone());
        for n in numbers {
            record_reports(&self.site, vec![self.report(version, n, event)]).await.unwrap();
        }
    }

    /// These canaries of the site are offered the version.
    pub(crate) fn offer(&self, version: &str, numbers: std::ops::Range<u32>) {
        let snapshot = self.site.snapshot();
        let release = snapshot.product(&parse("intel")).unwrap().by_version(&parse(version)).unwrap();
        for n in numbers {
            let device = parse(&format!("canary-{n}"));
            self.site.note_offer(&snapshot, &device, release, &parse("canary"), self.site.now());
        }
    }

    /// What a canary of the site says of a version.
    pub(crate) fn report(&self, version: &str, n: u32, event: ReportEvent) -> Report {
        Report {
            id: parse(&format!("{version}-{n}")),
            device: parse(&format!("canary-{n}")),
            product: parse("intel"),
            version: parse(version),
            event,
            received_at: self.site.now(),
            at: None,
            code: None,
            metrics: Default::default(),
        }
    }

    /// The site is started again, with or without its index.
    pub(crate) fn restart_site(self, is_index_lost: bool) -> Self {
        let Self { origin, site, site_world } = self;
        drop(site);
        if is_index_lost {
            // Another test's task may still be ending.
            drop(site_world.catalog());
            std::fs::remove_dir_all(&site_world.options.index_dir).unwrap();
        }
        let site = site_world.catalog();
        Self { origin, site, site_world }
    }
}

/// The same receipt with something else in it, signed anew by the site's key.
pub(crate) fn changed(given: &GivenReceipt, change: impl FnOnce(&mut Receipt)) -> GivenReceipt {
    let (mut receipt, _) = Receipt::parse(&given.text).unwrap();
    change(&mut receipt);
    let (text, id) = receipt.text();
    let signature = site_key().sign(text.as_bytes(), "receipt");
    GivenReceipt { receipt: id, number: receipt.number, text, signature, ..given.clone() }
}

/// Takes a body out of the site's store.
pub(crate) fn lose(site: &Catalog, blob: &Blake3Digest) {
    std::fs::remove_file(site.store().path(blob)).unwrap();
}

fn content(snapshot: &Snapshot) -> SiteContent {
    let policy = snapshot.policies().last().map(|policy| SitePolicy {
        seq: policy.seq,
        applied: policy.applied.clone(),
        digest: policy.digest,
        text: policy.text.to_string(),
    });
    let products = snapshot.products().map(|product| SiteProduct {
        product: product.product().clone(),
        releases: product.releases().iter().map(|release| release.as_ref().clone()).collect(),
        absent: BTreeSet::new(),
    });
    let rollouts = snapshot.products().flat_map(|product| product.rollouts()).map(|rollout| rollout.as_ref().clone());
    SiteContent { policy, products: products.collect(), rollouts: rollouts.collect(), ..SiteContent::default() }
}

fn held(snapshot: &Snapshot, state: &[u8]) -> BTreeSet<Blake3Digest> {
    let releases = snapshot.products().flat_map(|product| product.releases());
    let artifacts = releases.flat_map(|release| &release.manifest.artifacts).map(|artifact| artifact.blake3);
    artifacts.chain([Blake3Digest::of(state)]).collect()
}

fn object(bytes: &[u8]) -> ObjectRef {
    ObjectRef { blake3: Blake3Digest::of(bytes), sha256: Sha256Digest::of(bytes), size: bytes.len() as u64 }
}

async fn put(site: &Catalog, bytes: Bytes) {
    let mut staged = site.store().stage(None).unwrap();
    staged.append(bytes).await.unwrap();
    let done = staged.finish().await.unwrap();
    let _ = site.store().commit(done).unwrap();
}
