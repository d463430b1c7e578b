//! An offline site: a catalog, imports, devices, and receipts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use jiff::Timestamp;
use tempfile::TempDir;

use super::carrier::{Letter, Medium, Truth};
use super::origin::keys_of;
use super::place::{close, copy_tree, empty, world};
use super::random::Dice;
use crate::bundle::receipt::{About, Signer, give_receipt};
use crate::bundle::{Begun, Brought, Finished, ImportError, ImportOptions, Imports, Needed, NeededSpan};
use crate::catalog::Catalog;
use crate::catalog::testing::{World, actor, commit, memory_dir, parse};
use crate::model::{
    Blake3Digest, BundleId, Event, GroupName, ProductName, PublicKey, ReceiptOutcome, Report, ReportEvent, RingName,
    RingTally, RolloutId, RolloutKind, SiteName, Snapshot,
};
use crate::signing::SecretKey;
use crate::store::{BlobStore as _, sweep};
use crate::sys::clock::ManualClock;

/// What devices said of one rollout in one ring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) offered: u64,
    pub(super) healthy: u64,
    pub(super) failed: u64,
}

/// What is true of a site, kept beside it; it is put back with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// What each group was last seen to get: the release's sequence, and by which bundle.
    pub(super) seen: BTreeMap<(ProductName, GroupName), (u64, BundleId)>,
    pub(super) said: BTreeMap<(RolloutId, RingName), Said>,
    /// Devices that were offered a release and are yet to say how it went: rollout, ring, device, product, version.
    waiting: Vec<(RolloutId, RingName, Report)>,
    /// Of imports that did not end: the parts that came whole, by object and part.
    pub(super) parts: BTreeMap<BundleId, BTreeSet<(usize, usize)>>,
    /// How many receipts were given.
    pub(super) receipts: u64,
}

pub(super) struct Site {
    pub(super) name: SiteName,
    world: World,
    catalog: Option<Arc<Catalog>>,
    imports: Option<Arc<Imports>>,
    key: SecretKey,
    anchor: PublicKey,
    pub(super) known: Known,
    copy: Option<(TempDir, Known)>,
    pub(super) life: u64,
    cut: u64,
    /// When it was last put back.
    pub(super) put_back_at: Option<Timestamp>,
}

/// How far an import came.
#[derive(Debug)]
pub(super) enum Outcome {
    Ended(Finished),
    Refused(ImportError),
}

impl Site {
    pub(super) async fn new(name: &str, clock: &Arc<ManualClock>, anchor: PublicKey, dice: &mut Dice) -> Self {
        let key = SecretKey::from_random(dice.bytes(), dice.bytes());
        let mut site = Self {
            name: parse(name),
            world: world(clock),
            catalog: None,
            imports: None,
            key,
            anchor,
            known: Known::default(),
            copy: None,
            life: 0,
            cut: 0,
            put_back_at: None,
        };
        site.start();
        let key = Event::OriginKeyAdded { key: site.key.public(), introduced_by: None, introduction: None };
        commit(site.catalog(), vec![key]).await;
        site
    }

    pub(super) fn catalog(&self) -> &Arc<Catalog> {
        self.catalog.as_ref().unwrap()
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog().snapshot()
    }

    pub(super) fn has(&self, blob: &Blake3Digest) -> bool {
        self.catalog().store().size(blob).unwrap().is_some()
    }

    fn start(&mut self) {
        let catalog = self.world.catalog();
        let dir = self.world.dir.path().join("imports");
        let options = ImportOptions { site: Some(self.name.clone()), keys: vec![self.anchor], dir };
        self.imports = Some(Arc::new(Imports::open(catalog.clone(), options).unwrap()));
        self.catalog = Some(catalog);
    }

    async fn stop(&mut self) {
        self.imports = None;
        close(self.catalog.take().unwrap()).await;
    }

    /// It is killed, and started again: it counts what it counted.
    pub(super) async fn restart(&mut self) {
        let counted = self.counted();
        self.stop().await;
        self.start();
        assert_eq!(self.counted(), counted, "site {}: counted again", self.name);
    }

    fn counted(&self) -> Vec<RingTally> {
        self.catalog().ring_tallies(self.catalog().now())
    }

    /// Somebody copies its data directory.
    pub(super) async fn back_up(&mut self) {
        let counted = self.counted();
        self.stop().await;
        let copy = memory_dir();
        copy_tree(self.world.dir.path(), copy.path());
        self.copy = Some((copy, self.known.clone()));
        self.start();
        assert_eq!(self.counted(), counted, "site {}: counted again", self.name);
    }

    /// The copy takes the place of its data directory; false where there is none.
    pub(super) async fn put_back(&mut self) -> bool {
        let Some((copy, known)) = self.copy.take() else { return false };
        self.stop().await;
        empty(self.world.dir.path());
        copy_tree(copy.path(), self.world.dir.path());
        self.known = known;
        self.start();
        self.life += 1;
        self.cut = self.known.receipts;
        self.put_back_at = Some(self.catalog().now());
        true
    }

    /// Removes what nothing needs any more.
    pub(super) fn sweep(&self) {
        let snapshot = self.snapshot();
        let is_referenced = |digest: &Blake3Digest| {
            let holds = |product: &crate::model::ProductReleases| {
                product.with_blob(digest).any(|release| !product.is_absent(&release.id))
            };
            snapshot.products().any(|product| holds(product))
                || snapshot.applied_bundle().is_some_and(|applied| applied.state.blake3 == *digest)
        };
        let mut on_removed = |digest: &Blake3Digest| self.catalog().forget_blob(digest);
        sweep(&**self.catalog().store(), &is_referenced, &mut on_removed).unwrap();
    }

    /// Brings a medium; the site may be killed in between.
    pub(super) async fn take(&mut self, medium: &Medium, dice: &mut Dice) -> Outcome {
        let mut kills = u64::from(dice.chance(8));
        loop {
            let killed_after = (kills > 0).then(|| dice.below(4));
            match self.try_take(medium, killed_after).await {
                Err(error) => return Outcome::Refused(error),
                Ok(Some(finished)) => return Outcome::Ended(finished),
                Ok(None) => {
                    kills -= 1;
                    self.restart().await;
                }
            }
        }
    }

    async fn try_take(&self, medium: &Medium, killed_after: Option<u64>) -> Result<Option<Finished>, ImportError> {
        let imports = self.imports.as_ref().unwrap();
        let brought = || Brought {
            manifest: medium.text.clone(),
            signature: medium.signature.clone(),
            key: None,
            site: None,
            may_bind: true,
            accepts_restored: false,
        };
        let mut sent = 0;
        for round in 0.. {
            assert!(round < 3, "the first spans are asked for again and again");
            let needed = match imports.begin(brought()).await? {
                Begun::Applied(finished) => return Ok(Some(finished)),
                Begun::Needed(needed) => needed,
            };
            let Needed { bundle, first, spans, .. } = needed;
            let is_last = first.is_empty() || round == 1;
            for span in if is_last { &spans } else { &first } {
                if killed_after == Some(sent) {
                    return Ok(None);
                }
                sent += 1;
                self.send(&bundle, medium, span).await?;
            }
            if is_last {
                return imports.finish(&bundle, &actor("carrier")).await.map(Some);
            }
        }
        unreachable!("rounds do not end")
    }

    async fn send(&self, bundle: &BundleId, medium: &Medium, span: &NeededSpan) -> Result<(), ImportError> {
        let Some(volume) = &medium.volumes[span.volume as usize - 1] else { return Ok(()) };
        let cut = |place: u64| (place as usize).min(volume.len());
        let bytes: Bytes = volume.slice(cut(span.offset)..cut(span.offset + span.size));
        let imports = self.imports.as_ref().unwrap();
        imports.take(bundle, span.volume, span.offset, Full::new(bytes)).await.map(drop)
    }

    /// Gives up an import.
    pub(super) fn abandon(&mut self, bundle: &BundleId) {
        assert!(self.imports.as_ref().unwrap().abandon(bundle));
        self.known.parts.remove(bundle);
    }

    /// The next receipt.
    pub(super) async fn receipt(&mut self, about: About) -> Letter {
        let keys = keys_of(&self.snapshot());
        let signer = Signer { key: &self.key, keys: &keys };
        let (_, given) = give_receipt(self.catalog(), &actor("carrier"), &self.name, about, signer).await.unwrap();
        self.known.receipts = given.number;
        let truth = Truth { life: self.life, cut: self.cut, at: self.catalog().now() };
        Letter { given, is_harmed: false, truth }
    }

    /// What is to be said of an import.
    pub(super) fn about(&self, medium: &Medium, sequence: u64, outcome: &Outcome) -> About {
        let bundle = Some(medium.bundle);
        match outcome {
            Outcome::Ended(_) => About {
                bundle,
                sequence,
                outcome: ReceiptOutcome::Applied,
                reasons: Vec::new(),
                missing: BTreeSet::new(),
            },
            Outcome::Refused(ImportError::Partial { missing, .. }) => About {
                bundle,
                sequence,
                outcome: ReceiptOutcome::Partial,
                reasons: vec!["a volume is damaged or missing".into()],
                missing: missing.iter().copied().collect(),
            },
            Outcome::Refused(error) => {
                let is_believed = !matches!(error, ImportError::Untrusted(_));
                About {
                    bundle: bundle.filter(|_| is_believed),
                    sequence: if is_believed { sequence } else { 0 },
                    outcome: ReceiptOutcome::Refused,
                    reasons: vec![error.to_string()],
                    missing: BTreeSet::new(),
                }
            }
        }
    }

    /// Its devices are offered what runs, and say how it went with what they were offered before.
    pub(super) async fn devices(&mut self, dice: &mut Dice) {
        let reports = std::mem::take(&mut self.known.waiting);
        for (rollout, ring, mut report) in reports {
            let said = self.known.said.get_mut(&(rollout, ring)).unwrap();
            // A third of the releases fails everywhere.
            if rollout % 3 == 0 && dice.chance(70) {
                (report.event, said.failed) = (ReportEvent::Failed, said.failed + 1);
            } else {
                said.healthy += 1;
            }
            report.received_at = self.catalog().now();
            self.catalog().record_reports(vec![report]).await.unwrap();
        }
        let (snapshot, now) = (self.snapshot(), self.catalog().now());
        let Some(policy) = snapshot.policies().last().map(|applied| applied.policy().unwrap()) else { return };
        let groups: Vec<GroupName> = snapshot.applied_bundle().unwrap().groups.clone();
        for product in snapshot.products() {
            let name = &product.product().name;
            let is_forward = |kind: &RolloutKind| matches!(kind, RolloutKind::Release);
            for rollout in product.rollouts().iter().filter(|rollout| is_forward(&rollout.kind)) {
                let Some(release) = product.by_sequence(rollout.sequence) else { continue };
                for group in &groups {
                    let ring = policy.group(group).unwrap().ring(product.product().class).clone();
                    if self.known.said.contains_key(&(rollout.id, ring.clone())) {
                        continue;
                    }
                    for number in 0..2 + dice.below(3) {
                        let device = parse(&format!("{group}-{}-{number}", rollout.id));
                        self.catalog().note_offer(&snapshot, &device, release, &ring, now);
                        if !self.catalog().was_offered(&device, name, release.sequence) {
                            continue;
                        }
                        self.known.said.entry((rollout.id, ring.clone())).or_default().offered += 1;
                        let report = Report {
                            id: parse(&format!("r-{}-{number}", rollout.id)),
                            device,
                            product: name.clone(),
                            version: release.version().clone(),
                            event: ReportEvent::Healthy,
                            received_at: now,
                            at: None,
                            code: None,
                            metrics: Default::default(),
                        };
                        self.known.waiting.push((rollout.id, ring.clone(), report));
                    }
                }
            }
        }
    }
}
