//! The catalog's records in the index: advanced behind each commit, loaded at start instead of replaying the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sled::Batch;

use super::error::CatalogError;
use super::record::{Kind, Meta, PolicyRecord, decode, encode};
use crate::model::{
    AppliedPolicy, DeviceHistory, DeviceId, Event, EventRecord, Hold, Pin, Product, ProductName, Release, Snapshot,
    SnapshotParts, Token,
};

/// How many records one batch of a rewrite carries: bounds its memory.
const REWRITE_BATCH_RECORDS: usize = 10_000;

/// The records of a snapshot in one sled tree. One batch, applied atomically, carries a commit's records and the
/// journal position they bring the index to.
pub(super) struct Projection {
    tree: sled::Tree,
    /// Set after a failed write: a later one must not skip over it. The next start catches up from the journal.
    is_behind: AtomicBool,
}

impl Projection {
    pub(super) fn new(tree: sled::Tree) -> Self {
        Self { tree, is_behind: AtomicBool::new(false) }
    }

    /// Whether a write failed since the start, so that the next start has more to replay.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// Brings the index to `snapshot`, which `records` led to. The events are durable whatever happens here.
    pub(super) fn advance(&self, snapshot: &Snapshot, records: &[Arc<EventRecord>]) {
        if self.is_behind() {
            return;
        }
        let written = self.batch_of(snapshot, records).and_then(|batch| Ok(self.tree.apply_batch(batch)?));
        if let Err(error) = written {
            self.is_behind.store(true, Ordering::Relaxed);
            tracing::error!(%error, "the index cannot be written; serving goes on, and the next start replays the journal");
        }
    }

    fn batch_of(&self, snapshot: &Snapshot, records: &[Arc<EventRecord>]) -> Result<Batch, CatalogError> {
        let mut batch = Batch::default();
        for record in records {
            put_touched(&mut batch, snapshot, record)?;
        }
        batch.insert(Kind::Meta.key("", None), encode(&meta_of(snapshot))?);
        Ok(batch)
    }

    /// Writes the whole snapshot anew, in place of whatever is there.
    pub(super) fn rewrite(&self, snapshot: &Snapshot) -> Result<(), CatalogError> {
        self.tree.clear()?;
        let mut writer = Rewriter { tree: &self.tree, batch: Batch::default(), count: 0 };
        for releases in snapshot.products() {
            let product = releases.product();
            writer.put(Kind::Product.key(product.name.as_str(), None), product)?;
            for release in releases.releases() {
                writer.put(Kind::Release.key(product.name.as_str(), Some(release.sequence)), release)?;
            }
        }
        for policy in snapshot.policies() {
            writer.put(Kind::Policy.key("", Some(policy.seq)), &policy_record(policy))?;
        }
        for hold in snapshot.holds() {
            writer.put(Kind::Hold.key("", Some(hold.id)), hold)?;
        }
        for pin in snapshot.pins() {
            writer.put(Kind::Pin.key("", Some(pin.id)), pin)?;
        }
        for token in snapshot.tokens() {
            writer.put(Kind::Token.key("", Some(token.id)), token)?;
        }
        for (id, history) in snapshot.devices() {
            writer.put(Kind::Device.key(id.as_str(), None), history)?;
        }
        // Last, so that a rewrite that was cut short is seen as none.
        writer.put(Kind::Meta.key("", None), &meta_of(snapshot))?;
        writer.flush()?;
        self.is_behind.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The snapshot the index stands at; `None` if it holds none.
    pub(super) fn load(&self) -> Result<Option<Snapshot>, CatalogError> {
        let Some(meta) = self.tree.get(Kind::Meta.key("", None))? else { return Ok(None) };
        let meta: Meta = decode(&meta)?;
        let mut parts =
            SnapshotParts { seq: meta.seq, head: Some(meta.head), time: meta.time, ..SnapshotParts::default() };
        parts.products = self.load_products()?;
        for policy in self.all::<PolicyRecord>(Kind::Policy) {
            let PolicyRecord { seq, applied, digest, text } = policy?;
            parts.policies.push(AppliedPolicy::new(seq, applied, digest, text.into()));
        }
        parts.holds = self.all::<Hold>(Kind::Hold).collect::<Result<_, _>>()?;
        parts.pins = self.all::<Pin>(Kind::Pin).collect::<Result<_, _>>()?;
        parts.tokens = self.all::<Token>(Kind::Token).collect::<Result<_, _>>()?;
        parts.devices = self.load_devices()?;
        Snapshot::restore(parts).map(Some).map_err(|why| CatalogError::Index { why })
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

/// Collects a rewrite's records into batches of bounded size.
struct Rewriter<'a> {
    tree: &'a sled::Tree,
    batch: Batch,
    count: usize,
}

impl Rewriter<'_> {
    fn put<T: serde::Serialize>(&mut self, key: Vec<u8>, value: &T) -> Result<(), CatalogError> {
        self.batch.insert(key, encode(value)?);
        self.count += 1;
        if self.count >= REWRITE_BATCH_RECORDS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), CatalogError> {
        self.tree.apply_batch(std::mem::take(&mut self.batch))?;
        self.count = 0;
        Ok(())
    }
}

fn meta_of(snapshot: &Snapshot) -> Meta {
    Meta { seq: snapshot.seq(), head: snapshot.head(), time: snapshot.time() }
}

fn policy_record(policy: &AppliedPolicy) -> PolicyRecord {
    let AppliedPolicy { seq, applied, digest, text, .. } = policy;
    PolicyRecord { seq: *seq, applied: applied.clone(), digest: *digest, text: text.to_string() }
}

/// Puts what `record` touched as it stands in `snapshot`. Putting it again later, or again after a crash, does no harm.
fn put_touched(batch: &mut Batch, snapshot: &Snapshot, record: &EventRecord) -> Result<(), CatalogError> {
    match &record.event {
        Event::ProductAdded { product, .. } => {
            if let Some(releases) = snapshot.product(product) {
                batch.insert(Kind::Product.key(product.as_str(), None), encode(releases.product())?);
            }
        }
        Event::ReleaseAdded { release, manifest, .. } => put_release(batch, snapshot, &manifest.product, release)?,
        Event::ReleaseApproved { product, release }
        | Event::ReleasePublished { product, release }
        | Event::ReleaseWithdrawn { product, release, .. } => put_release(batch, snapshot, product, release)?,
        Event::HoldAdded { .. } => put_hold(batch, snapshot, record.seq)?,
        Event::HoldLifted { hold, .. } => put_hold(batch, snapshot, *hold)?,
        Event::PinAdded { product, .. } => {
            // A new pin may have replaced an older one, so all of the product's are put.
            for pin in snapshot.product(product).into_iter().flat_map(|releases| releases.pins()) {
                batch.insert(Kind::Pin.key("", Some(pin.id)), encode(pin)?);
            }
        }
        Event::PinRemoved { pin, .. } => {
            if let Some(pin) = snapshot.pin(*pin) {
                batch.insert(Kind::Pin.key("", Some(pin.id)), encode(pin)?);
            }
        }
        Event::PolicyApplied { .. } => {
            if let Some(policy) = snapshot.policies().iter().find(|policy| policy.seq == record.seq) {
                batch.insert(Kind::Policy.key("", Some(policy.seq)), encode(&policy_record(policy))?);
            }
        }
        Event::DevicesImported { devices } => {
            for device in devices {
                put_device(batch, snapshot, &device.id)?;
            }
        }
        Event::DevicesRemoved { devices } => {
            for id in devices {
                put_device(batch, snapshot, id)?;
            }
        }
        Event::TokenCreated { .. } => put_token(batch, snapshot, record.seq)?,
        Event::TokenRevoked { token } => put_token(batch, snapshot, *token)?,
    }
    Ok(())
}

fn put_release(
    batch: &mut Batch,
    snapshot: &Snapshot,
    product: &ProductName,
    release: &crate::model::ReleaseId,
) -> Result<(), CatalogError> {
    if let Some(release) = snapshot.product(product).and_then(|releases| releases.by_id(release)) {
        batch.insert(Kind::Release.key(product.as_str(), Some(release.sequence)), encode(release)?);
    }
    Ok(())
}

fn put_hold(batch: &mut Batch, snapshot: &Snapshot, id: u64) -> Result<(), CatalogError> {
    if let Some(hold) = snapshot.hold(id) {
        batch.insert(Kind::Hold.key("", Some(id)), encode(hold)?);
    }
    Ok(())
}

fn put_device(batch: &mut Batch, snapshot: &Snapshot, id: &DeviceId) -> Result<(), CatalogError> {
    if let Some(history) = snapshot.device(id) {
        batch.insert(Kind::Device.key(id.as_str(), None), encode(history)?);
    }
    Ok(())
}

fn put_token(batch: &mut Batch, snapshot: &Snapshot, id: u64) -> Result<(), CatalogError> {
    if let Some(token) = snapshot.token(id) {
        batch.insert(Kind::Token.key("", Some(id)), encode(token)?);
    }
    Ok(())
}
