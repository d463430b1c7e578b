//! The devices' votes in memory: which rollouts are counted, and what offers and reports add to them.
//!
//! The report lines are the truth: `recount` makes the same votes of them, of the rollouts that `watched` names.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

use super::watched::{counted_rollouts, is_forward, matters};
use crate::model::{
    Device, DeviceId, ProductName, ProductReleases, Release, Report, RingName, RingTally, Rollout, RolloutId, Snapshot,
};
use crate::policy::health::{Counted, Counts, DeviceKey, Health};

/// The votes of all products, each under a lock of its own.
#[derive(Default)]
pub(super) struct Tallies {
    /// Drawn for this process, so that nobody can choose ids whose keys collide.
    key: RandomState,
    products: RwLock<BTreeMap<ProductName, Arc<Mutex<Health>>>>,
    /// Written only while votes are counted anew.
    counting: RwLock<()>,
}

/// An offer that counts: which rollout and ring the device got the release from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exposed {
    pub(super) rollout: RolloutId,
    pub(super) ring: usize,
}

impl Tallies {
    /// Without votes, with the same keys.
    pub(super) fn fresh(&self) -> Self {
        Self { key: self.key.clone(), ..Self::default() }
    }

    /// Held while something is counted whose line is or will be queued.
    pub(super) fn counting(&self) -> RwLockReadGuard<'_, ()> {
        self.counting.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while nothing is counted and no line is queued.
    pub(super) fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.counting.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts these votes in place of those of the same products. What other places said stays.
    pub(super) fn take_over(&self, fresh: Self) {
        let fresh = fresh.products.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (product, health) in fresh {
            let known = self.product_or_new(&product);
            let (mut known, mut health) = (lock(&known), lock(&health));
            health.take_elsewhere(&mut known);
            *known = std::mem::take(&mut *health);
        }
    }

    /// Begins to count for a rollout; of too many, those are forgotten first that are not wanted. Does nothing where it is
    /// counted already.
    pub(super) fn watch(&self, rollout: &Rollout, is_wanted: impl Fn(RolloutId) -> bool) {
        let health = self.product_or_new(&rollout.product);
        let mut health = lock(&health);
        if health.is_watched(rollout.id) {
            return;
        }
        health.make_room(is_wanted);
        let gates = || rollout.plan.rings.iter().map(|ring| ring.gate.as_ref());
        let within: Vec<_> = gates().map(|gate| gate.map(|gate| gate.within)).collect();
        health.watch(rollout.id, rollout.sequence, &within);
        let bands = gates().flatten().flat_map(|gate| &gate.metrics);
        let metrics: BTreeSet<_> = bands.map(|band| band.metric.clone()).collect();
        health.watch_metrics(rollout.id, metrics);
    }

    /// Whether a rollout is counted.
    pub(super) fn is_watched(&self, rollout: &Rollout) -> bool {
        self.product(&rollout.product).is_some_and(|health| lock(&health).is_watched(rollout.id))
    }

    /// Whether one more rollout of a product is counted only if another is forgotten.
    pub(super) fn is_full(&self, product: &ProductName) -> bool {
        self.product(product).is_some_and(|health| lock(&health).is_full())
    }

    /// A device was offered a rollout of which nothing else is known any more.
    pub(super) fn went_on(&self, device: &DeviceId, product: &ProductName, rollout: RolloutId, at: Timestamp) {
        if let Some(health) = self.product(product) {
            lock(&health).went_on(self.key_of(device), rollout, at);
        }
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

    /// Takes over what another place said in all, in place of all that it said before; of rollouts that are not counted
    /// here nothing is kept.
    pub(super) fn set_elsewhere(&self, snapshot: &Snapshot, place: &str, tallies: &[RingTally]) {
        let products: Vec<_> = {
            let products = self.products.read().unwrap_or_else(PoisonError::into_inner);
            products.iter().map(|(product, health)| (product.clone(), health.clone())).collect()
        };
        for (product, health) in products {
            let mut health = lock(&health);
            health.forget_elsewhere(place);
            let known = snapshot.product(&product);
            for tally in tallies.iter().filter(|tally| tally.product == product) {
                let rollout = known.and_then(|product| product.rollout(tally.rollout));
                let ring = rollout.and_then(|rollout| rollout.plan.ring(&tally.ring));
                if let Some(ring) = ring.filter(|_| health.is_watched(tally.rollout)) {
                    health.set_elsewhere(tally.rollout, ring, place, counts_of(tally));
                }
            }
        }
    }

    /// What all devices said of the rollouts whose votes gates may ask for, here and in the places that reported here.
    pub(super) fn ring_tallies(&self, snapshot: &Snapshot, now: Timestamp) -> Vec<RingTally> {
        let mut tallies = Vec::new();
        for product in snapshot.products() {
            let Some(health) = self.product(&product.product().name) else { continue };
            let health = lock(&health);
            for rollout in counted_rollouts(product, now).values() {
                for (place, ring) in rollout.plan.rings.iter().enumerate() {
                    let counts = health.counts(rollout.id, place, now);
                    if counts.offered > 0 {
                        tallies.push(tally_of(rollout, &ring.ring, counts));
                    }
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
        let counts = is_forward(rollout) && rollout.started_at().is_some_and(|at| at <= now) && matters(rollout, now);
        let ring = rollout.plan.ring(ring).filter(|_| counts)?;
        Some(Exposed { rollout: rollout.id, ring })
    })
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
