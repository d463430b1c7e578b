//! The devices' votes in memory: which rollouts are counted, and what offers and reports add to them.
//!
//! The report lines are the truth. At start the votes are counted again from the position that was noted when the
//! oldest rollout that still matters was planned.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::Timestamp;

use crate::model::{
    Device, DeviceId, ProductName, ProductReleases, Release, Report, RingName, RingTally, Rollout, RolloutId,
    RolloutKind, Snapshot,
};
use crate::policy::health::{Counted, Counts, DeviceKey, Health};

/// The votes of all products, each under a lock of its own.
#[derive(Default)]
pub(super) struct Tallies {
    /// Drawn for this process, so that nobody can choose ids whose keys collide.
    key: RandomState,
    products: RwLock<BTreeMap<ProductName, Arc<Mutex<Health>>>>,
}

/// An offer that counts: which rollout and ring the device got the release from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exposed {
    pub(super) rollout: RolloutId,
    pub(super) ring: usize,
}

impl Tallies {
    /// Begins to count for a rollout, where it is one that gates ask about; says whether it did.
    pub(super) fn watch(&self, rollout: &Rollout) -> bool {
        if matches!(rollout.kind, RolloutKind::Rollback { .. }) {
            return false;
        }
        let health = self.product_or_new(&rollout.product);
        let mut health = lock(&health);
        if health.is_watched(rollout.id) {
            return false;
        }
        let gates = || rollout.plan.rings.iter().map(|ring| ring.gate.as_ref());
        let within: Vec<_> = gates().map(|gate| gate.map(|gate| gate.within)).collect();
        health.watch(rollout.id, rollout.sequence, &within);
        let bands = gates().flatten().flat_map(|gate| &gate.metrics);
        let metrics: BTreeSet<_> = bands.map(|band| band.metric.clone()).collect();
        health.watch_metrics(rollout.id, metrics);
        true
    }

    /// Counts an offer once for each device and rollout; `Some` the first time.
    pub(super) fn offered(
        &self,
        snapshot: &Snapshot,
        device: &DeviceId,
        release: &Release,
        ring: &RingName,
        now: Timestamp,
    ) -> Option<Exposed> {
        let product = &release.manifest.product;
        let exposed = exposed(snapshot.product(product)?, release.sequence, ring, now)?;
        let is_new = self.count_offer(snapshot, device, product, exposed, now) == Counted::New;
        is_new.then_some(exposed)
    }

    /// As [`Tallies::offered`], where the rollout and the ring are known.
    pub(super) fn count_offer(
        &self,
        snapshot: &Snapshot,
        device: &DeviceId,
        product: &ProductName,
        exposed: Exposed,
        at: Timestamp,
    ) -> Counted {
        let Some(health) = self.product(product) else { return Counted::NotWatched };
        let shared = Shared::new(snapshot, device, at);
        lock(&health).offered(self.key_of(device), exposed.rollout, exposed.ring, at, shared.texts())
    }

    /// Counts a report that is known to be new.
    pub(super) fn reported(&self, snapshot: &Snapshot, report: &Report) -> Counted {
        let release = snapshot.product(&report.product).and_then(|product| product.by_version(&report.version));
        let (Some(release), Some(health)) = (release, self.product(&report.product)) else {
            return Counted::NotWatched;
        };
        let (key, shared) = (self.key_of(&report.device), Shared::new(snapshot, &report.device, report.received_at));
        lock(&health).reported(key, release.sequence, report.event, &report.metrics, shared.texts())
    }

    /// Whether this release is the last one that a rollout offered the device.
    pub(super) fn was_offered(&self, device: &DeviceId, product: &ProductName, sequence: u64) -> bool {
        self.product(product).is_some_and(|health| lock(&health).was_offered(self.key_of(device), sequence))
    }

    /// What `look` makes of a product's votes; of none where nothing is counted.
    pub(super) fn with<T>(&self, product: &ProductName, look: impl FnOnce(&Health) -> T) -> T {
        match self.product(product) {
            Some(health) => look(&lock(&health)),
            None => look(&Health::new()),
        }
    }

    /// Takes over what another place said in all; of rollouts that are not counted here nothing is kept.
    pub(super) fn set_elsewhere(&self, snapshot: &Snapshot, place: &str, tallies: &[RingTally]) {
        for tally in tallies {
            let rollout = snapshot.product(&tally.product).and_then(|product| product.rollout(tally.rollout));
            let ring = rollout.and_then(|rollout| rollout.plan.ring(&tally.ring));
            let (Some(ring), Some(health)) = (ring, self.product(&tally.product)) else { continue };
            lock(&health).set_elsewhere(tally.rollout, ring, place, counts_of(tally));
        }
    }

    /// What all devices said of the rollouts that are counted, here and in the places that reported here.
    pub(super) fn ring_tallies(&self, snapshot: &Snapshot, now: Timestamp) -> Vec<RingTally> {
        let rollouts = snapshot.products().flat_map(|product| product.rollouts());
        let mut tallies = Vec::new();
        for rollout in rollouts {
            let Some(health) = self.product(&rollout.product) else { continue };
            let health = lock(&health);
            if !health.is_watched(rollout.id) {
                continue;
            }
            for (place, ring) in rollout.plan.rings.iter().enumerate() {
                let counts = health.counts(rollout.id, place, now);
                if counts.offered > 0 {
                    tallies.push(tally_of(rollout, &ring.ring, counts));
                }
            }
        }
        tallies
    }

    /// How many devices are counted, over all products.
    pub(super) fn devices(&self) -> usize {
        let products = self.products.read().unwrap_or_else(PoisonError::into_inner);
        products.values().map(|health| lock(health).devices()).sum()
    }

    fn key_of(&self, device: &DeviceId) -> DeviceKey {
        DeviceKey(self.key.hash_one(device.as_str()))
    }

    fn product(&self, product: &ProductName) -> Option<Arc<Mutex<Health>>> {
        self.products.read().unwrap_or_else(PoisonError::into_inner).get(product).cloned()
    }

    fn product_or_new(&self, product: &ProductName) -> Arc<Mutex<Health>> {
        if let Some(known) = self.product(product) {
            return known;
        }
        let mut products = self.products.write().unwrap_or_else(PoisonError::into_inner);
        products.entry(product.clone()).or_default().clone()
    }
}

fn counts_of(tally: &RingTally) -> Counts {
    let RingTally { offered, fetched, installed, healthy, failed, rolled_back, pending, silent, .. } = *tally;
    Counts { offered, fetched, installed, healthy, failed, rolled_back, pending, silent }
}

fn tally_of(rollout: &Rollout, ring: &RingName, counts: Counts) -> RingTally {
    let Counts { offered, fetched, installed, healthy, failed, rolled_back, pending, silent } = counts;
    let (product, ring, rollout) = (rollout.product.clone(), ring.clone(), rollout.id);
    RingTally { product, rollout, ring, offered, fetched, installed, healthy, failed, rolled_back, pending, silent }
}

/// A panic in the middle of a count leaves sums that are off by one device at most.
fn lock(health: &Mutex<Health>) -> MutexGuard<'_, Health> {
    health.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The rollout through which a ring gets a release now, if its gates want to know.
fn exposed(product: &ProductReleases, sequence: u64, ring: &RingName, now: Timestamp) -> Option<Exposed> {
    product.rollouts_of(sequence).rev().find_map(|rollout| {
        let counts = !matches!(rollout.kind, RolloutKind::Rollback { .. })
            && rollout.started_at().is_some_and(|at| at <= now)
            && matters(rollout, now);
        let ring = rollout.plan.ring(ring).filter(|_| counts)?;
        Some(Exposed { rollout: rollout.id, ring })
    })
}

/// Whether a rollout can still be halted by what devices say.
fn matters(rollout: &Rollout, now: Timestamp) -> bool {
    rollout.ended().is_none() && rollout.completed_at().is_none_or(|at| now < rollout.plan.watch.ends_at(at))
}

/// The rollouts whose votes are to be counted from the lines at start, oldest first: those that can still be halted,
/// and for each the one before it that completed, which its gates compare with.
pub(super) fn to_recount(snapshot: &Snapshot, now: Timestamp) -> Vec<Arc<Rollout>> {
    let mut wanted = BTreeMap::new();
    for product in snapshot.products() {
        let forward =
            || product.rollouts().iter().filter(|rollout| !matches!(rollout.kind, RolloutKind::Rollback { .. }));
        for rollout in forward().filter(|rollout| matters(rollout, now)) {
            let is_before = |known: &&Arc<Rollout>| {
                known.id < rollout.id && known.sequence < rollout.sequence && known.completed_at().is_some()
            };
            let before = forward().rev().find(is_before);
            wanted.extend(before.into_iter().chain([rollout]).map(|rollout| (rollout.id, rollout.clone())));
        }
    }
    wanted.into_values().collect()
}

/// What a device shares with others by the inventory's word, put together only where it is asked for: nearly every
/// offer and report is one that is counted already.
struct Shared<'a> {
    device: Option<&'a Arc<Device>>,
    texts: OnceCell<Vec<String>>,
}

impl<'a> Shared<'a> {
    fn new(snapshot: &'a Snapshot, device: &DeviceId, at: Timestamp) -> Self {
        let device = snapshot.device(device).and_then(|history| history.at(at));
        Self { device, texts: OnceCell::new() }
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(()).flat_map(|()| self.texts.get_or_init(|| self.write()).iter().map(String::as_str))
    }

    fn write(&self) -> Vec<String> {
        let Some(device) = self.device else { return Vec::new() };
        let attributes = device.attributes.iter().map(|(name, value)| format!("attr.{name}={value}"));
        attributes.chain(device.tags.iter().map(|tag| format!("tag={tag}"))).collect()
    }
}
