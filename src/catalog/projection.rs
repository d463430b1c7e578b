//! The catalog's records in the index: advanced behind each commit, loaded at start instead of replaying the journal.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use sled::Batch;

use super::error::CatalogError;
use super::record::{Kind, Meta, PolicyRecord, decode, encode, share_path_key};
use super::sum::Sum;
use super::touched::{Changes, put_touched};
use crate::model::{
    AppliedPolicy, Denial, DeviceHistory, DeviceId, Enrolment, Event, EventRecord, Freeze, Hold, OwnSite, Pin, Product,
    ProductName, Refusal, Release, ReleaseId, Rollout, Share, ShareParts, SiteRecord, Snapshot, SnapshotParts, Token,
};
use crate::sys::fault;

const CANNOT_ADVANCE: &str =
    "the index cannot be written; serving goes on, and the next start replays what it lacks from the journal";

/// The records of a snapshot in one sled tree. One batch, applied atomically, carries a commit's records and the
/// journal position they bring the index to.
pub(super) struct Projection {
    tree: sled::Tree,
    /// Set after a failed write: a later one must not skip over it. The next start catches up from the journal.
    is_behind: AtomicBool,
    /// Over all records but the position's.
    sum: Mutex<Sum>,
}

impl Projection {
    pub(super) fn new(tree: sled::Tree) -> Self {
        Self { tree, is_behind: AtomicBool::new(false), sum: Mutex::default() }
    }

    /// Whether a write failed since the start, so that the next start has more to replay.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// Brings the index to `snapshot`, which `records` led to. The events are durable whatever happens here.
    pub(super) fn advance(&self, snapshot: &Snapshot, records: &[Arc<EventRecord>]) {
        // Behind until it is written, so that no later write can skip over a failed one, whichever way it failed.
        if self.is_behind.swap(true, Ordering::Relaxed) {
            return;
        }
        // sled panics where it finds itself in a state that it did not expect.
        match catch_unwind(AssertUnwindSafe(|| self.write(snapshot, records))) {
            Ok(Ok(())) => self.is_behind.store(false, Ordering::Relaxed),
            Ok(Err(error)) => tracing::error!(%error, "{CANNOT_ADVANCE}"),
            Err(_) => tracing::error!(error = "sled panicked", "{CANNOT_ADVANCE}"),
        }
    }

    fn write(&self, snapshot: &Snapshot, records: &[Arc<EventRecord>]) -> Result<(), CatalogError> {
        if records.iter().any(|record| matches!(record.event, Event::BundleApplied { .. })) {
            return self.rewrite(snapshot);
        }
        let mut changes = Changes::new();
        for record in records {
            put_touched(&mut changes, snapshot, record)?;
        }
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = *sum;
        let mut batch = Batch::default();
        for (key, value) in changes {
            if let Some(old) = self.tree.get(&key)? {
                next.take_out(&key, &old);
            }
            match value {
                Some(value) => {
                    next.add(&key, &value);
                    batch.insert(key, value);
                }
                None => batch.remove(key),
            }
        }
        batch.insert(Kind::Meta.key("", None), encode(&meta_of(snapshot, next))?);
        self.tree.apply_batch(batch)?;
        *sum = next;
        Ok(())
    }

    /// Writes the whole snapshot anew, in place of whatever is there.
    pub(super) fn rewrite(&self, snapshot: &Snapshot) -> Result<(), CatalogError> {
        // Until it is whole again, nothing may be added to it.
        self.is_behind.store(true, Ordering::Relaxed);
        self.tree.clear()?;
        fault::point("catalog.index-cleared");
        // Two halves at once: the devices are often as many records as everything else.
        let (devices, others) = std::thread::scope(|scope| {
            let devices = scope.spawn(|| self.write_devices(snapshot));
            let others = self.write_all_but_devices(snapshot);
            (devices.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), others)
        });
        let sum = devices?.and(others?);
        fault::point("catalog.index-rewritten");
        // Last, so that a rewrite that was cut short is seen as none.
        self.tree.insert(Kind::Meta.key("", None), encode(&meta_of(snapshot, sum))?)?;
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner) = sum;
        self.is_behind.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn write_devices(&self, snapshot: &Snapshot) -> Result<Sum, CatalogError> {
        let mut writer = Rewriter::new(&self.tree);
        for (id, history) in snapshot.devices() {
            writer.put(Kind::Device.key(id.as_str(), None), history)?;
        }
        Ok(writer.sum)
    }

    fn write_all_but_devices(&self, snapshot: &Snapshot) -> Result<Sum, CatalogError> {
        let mut writer = Rewriter::new(&self.tree);
        for releases in snapshot.products() {
            let product = releases.product();
            writer.put(Kind::Product.key(product.name.as_str(), None), product)?;
            for release in releases.releases() {
                writer.put(Kind::Release.key(product.name.as_str(), Some(release.sequence)), release)?;
            }
        }
        for releases in snapshot.products() {
            for rollout in releases.rollouts() {
                writer.put(Kind::Rollout.key("", Some(rollout.id)), rollout)?;
            }
            for freeze in releases.freezes() {
                writer.put(Kind::Freeze.key("", Some(freeze.id)), &(&releases.product().name, freeze))?;
            }
        }
        for policy in snapshot.policies() {
            writer.put(Kind::Policy.key("", Some(policy.seq)), &PolicyRecord::of(policy))?;
        }
        for hold in snapshot.holds() {
            writer.put(Kind::Hold.key("", Some(hold.id)), hold)?;
        }
        for pin in snapshot.pins() {
            writer.put(Kind::Pin.key("", Some(pin.id)), pin)?;
        }
        for share in snapshot.shares() {
            writer.put(Kind::Share.key(share.name.as_str(), None), share)?;
            for entry in share.paths() {
                writer.put(share_path_key(&share.name, entry.0), &entry)?;
            }
        }
        for token in snapshot.tokens() {
            writer.put(Kind::Token.key("", Some(token.id)), token)?;
        }
        write_security(&mut writer, snapshot)?;
        write_sites(&mut writer, snapshot)?;
        Ok(writer.sum)
    }

    /// The snapshot the index stands at; `None` if it holds none.
    pub(super) fn load(&self) -> Result<Option<Snapshot>, CatalogError> {
        let Some(meta) = self.tree.get(Kind::Meta.key("", None))? else { return Ok(None) };
        let meta: Meta = decode(&meta)?;
        self.check_sum(meta.sum)?;
        let mut parts =
            SnapshotParts { seq: meta.seq, head: Some(meta.head), time: meta.time, ..SnapshotParts::default() };
        parts.products = self.load_products()?;
        for policy in self.all::<PolicyRecord>(Kind::Policy) {
            let PolicyRecord { seq, applied, digest, text } = policy?;
            parts.policies.push(AppliedPolicy::new(seq, applied, digest, text.into()));
        }
        parts.holds = self.all::<Hold>(Kind::Hold).collect::<Result<_, _>>()?;
        parts.pins = self.all::<Pin>(Kind::Pin).collect::<Result<_, _>>()?;
        parts.rollouts = self.all::<Rollout>(Kind::Rollout).collect::<Result<_, _>>()?;
        parts.freezes = self.all::<(ProductName, Freeze)>(Kind::Freeze).collect::<Result<_, _>>()?;
        parts.shares = self.load_shares()?;
        parts.tokens = self.all::<Token>(Kind::Token).collect::<Result<_, _>>()?;
        parts.enrolments = self.all::<Enrolment>(Kind::Enrolment).collect::<Result<_, _>>()?;
        parts.denials = self.all::<Denial>(Kind::Denial).collect::<Result<_, _>>()?;
        parts.refusals = self.all::<(ProductName, Vec<Refusal>)>(Kind::Refusals).collect::<Result<_, _>>()?;
        if let Some(keys) = self.tree.get(Kind::Keys.key("", None))? {
            (parts.trusted_keys, parts.origin_keys) = decode(&keys)?;
        }
        parts.sites = self.all::<SiteRecord>(Kind::Site).collect::<Result<_, _>>()?;
        parts.own_site = self.all::<OwnSite>(Kind::OwnSite).next().transpose()?;
        parts.absent = self.all::<(ProductName, BTreeSet<ReleaseId>)>(Kind::Absent).collect::<Result<_, _>>()?;
        parts.devices = self.load_devices()?;
        Snapshot::restore(parts).map(Some).map_err(|why| CatalogError::Index { why })
    }

    /// Takes over the recorded sum if the records have it.
    fn check_sum(&self, recorded: Sum) -> Result<(), CatalogError> {
        let meta_key = Kind::Meta.key("", None);
        let mut sum = Sum::default();
        for entry in &self.tree {
            let (key, value) = entry?;
            if *key != *meta_key {
                sum.add(&key, &value);
            }
        }
        if sum != recorded {
            return Err(CatalogError::Index { why: "records are missing or out of date".into() });
        }
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner) = sum;
        Ok(())
    }

    fn load_products(&self) -> Result<Vec<(Product, Vec<Release>)>, CatalogError> {
        let mut products = Vec::new();
        for product in self.all::<Product>(Kind::Product) {
            let product = product?;
            let prefix = Kind::Release.key(product.name.as_str(), Some(0));
            let prefix = &prefix[..prefix.len() - size_of::<u64>()];
            let releases = self.tree.scan_prefix(prefix).map(|entry| decode(&entry?.1));
            products.push((product, releases.collect::<Result<_, _>>()?));
        }
        Ok(products)
    }

    fn load_shares(&self) -> Result<Vec<ShareParts>, CatalogError> {
        let mut shares = Vec::new();
        for share in self.all::<Share>(Kind::Share) {
            let share = share?;
            let mut prefix = Kind::SharePath.key(share.name.as_str(), None);
            prefix.push(0);
            let paths = self.tree.scan_prefix(prefix).map(|entry| decode(&entry?.1));
            shares.push((share, paths.collect::<Result<_, _>>()?));
        }
        Ok(shares)
    }

    fn load_devices(&self) -> Result<Vec<(DeviceId, DeviceHistory)>, CatalogError> {
        let not_a_key = || CatalogError::Index { why: "a device's key is not a device id".into() };
        let mut devices = Vec::new();
        for entry in self.tree.scan_prefix([Kind::Device as u8]) {
            let (key, value) = entry?;
            let id = std::str::from_utf8(&key[1..]).ok().and_then(|id| id.parse().ok()).ok_or_else(not_a_key)?;
            devices.push((id, decode(&value)?));
        }
        Ok(devices)
    }

    fn all<T: serde::de::DeserializeOwned>(&self, kind: Kind) -> impl Iterator<Item = Result<T, CatalogError>> {
        self.tree.scan_prefix([kind as u8]).map(|entry| decode(&entry?.1))
    }
}

fn write_security(writer: &mut Rewriter<'_>, snapshot: &Snapshot) -> Result<(), CatalogError> {
    for enrolment in snapshot.enrolments() {
        writer.put(Kind::Enrolment.key("", Some(enrolment.id)), enrolment)?;
    }
    for denial in snapshot.denials() {
        writer.put(Kind::Denial.key(denial.device.as_str(), None), denial)?;
    }
    for releases in snapshot.products().filter(|releases| !releases.refusals().is_empty()) {
        let name = &releases.product().name;
        writer.put(Kind::Refusals.key(name.as_str(), None), &(name, releases.refusals()))?;
    }
    if !(snapshot.trusted_keys().is_empty() && snapshot.origin_keys().is_empty()) {
        writer.put(Kind::Keys.key("", None), &(snapshot.trusted_keys(), snapshot.origin_keys()))?;
    }
    Ok(())
}

fn write_sites(writer: &mut Rewriter<'_>, snapshot: &Snapshot) -> Result<(), CatalogError> {
    for site in snapshot.sites() {
        writer.put(Kind::Site.key(site.name.as_str(), None), site)?;
    }
    if let Some(own) = snapshot.own_site() {
        writer.put(Kind::OwnSite.key("", None), own)?;
    }
    for releases in snapshot.products().filter(|releases| !releases.absent().is_empty()) {
        let name = &releases.product().name;
        writer.put(Kind::Absent.key(name.as_str(), None), &(name, releases.absent()))?;
    }
    Ok(())
}

/// Writes records one by one: nobody relies on them before the position's record is there.
struct Rewriter<'a> {
    tree: &'a sled::Tree,
    sum: Sum,
}

impl<'a> Rewriter<'a> {
    fn new(tree: &'a sled::Tree) -> Self {
        Self { tree, sum: Sum::default() }
    }

    fn put<T: serde::Serialize>(&mut self, key: Vec<u8>, value: &T) -> Result<(), CatalogError> {
        let value = encode(value)?;
        self.sum.add(&key, &value);
        self.tree.insert(key, value)?;
        Ok(())
    }
}

fn meta_of(snapshot: &Snapshot, sum: Sum) -> Meta {
    Meta { seq: snapshot.seq(), head: snapshot.head(), time: snapshot.time(), sum }
}
