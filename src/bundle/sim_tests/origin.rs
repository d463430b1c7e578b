//! The origin: it publishes, holds, withdraws, goes back and changes its mind, as dice tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::place::world;
use super::random::Dice;
use crate::bundle::{BundleManifest, Exporter};
use crate::catalog::Catalog;
use crate::catalog::testing::{World, actor, commit, parse};
use crate::control::rollouts::{NewRollback, halt_rollout, promote_rollout, rollback};
use crate::control::{
    NewHold, NewPin, add_hold, add_pin, advance_rollouts, apply_policy, lift_hold, remove_pin, withdraw_release,
};
use crate::model::{
    ApprovalRule, Artifact, Blake3Digest, BundleId, Class, Device, Event, HoldScope, ObjectRef, Platform, ProductName,
    Reason, ReleaseManifest, ReleaseState, RolloutKind, Snapshot, Version,
};
use crate::policy::rollout::Publication;
use crate::signing::{KeysDocument, SecretKey, introduction};
use crate::store::BlobStore as _;
use crate::sys::clock::ManualClock;

pub(super) const FEEDS: [&str; 2] = ["feed-a", "feed-b"];
pub(super) const AGENT: &str = "agent";

/// What was known at the origin when a bundle was written.
pub(super) struct Exported {
    pub(super) at: Timestamp,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) manifest: BundleManifest,
    pub(super) held: BTreeMap<Blake3Digest, ObjectRef>,
}

pub(crate) struct Origin {
    world: World,
    pub(crate) catalog: Arc<Catalog>,
    pub(super) exporter: Arc<Exporter>,
    pub(crate) key: Arc<SecretKey>,
    pub(super) exports: BTreeMap<BundleId, Exported>,
    published: u64,
    variant: u64,
}

/// One of a few policies: what is changed is how far behind and how late two of the groups are.
fn policy(variant: u64) -> String {
    let (keep, defer) = (1 + variant % 2, 1 + variant / 2 % 2);
    format!(
        r#"
[approve]
intelligence = "auto"
platform = "auto"
[[ring]]
name = "canary"
[[ring]]
name = "broad"
[[group]]
name = "canaries"
match = {{ id = "canary-*" }}
ring = "canary"
[[group]]
name = "plain"
match = {{ id = "plain-*" }}
ring = "broad"
[[group]]
name = "behind"
match = {{ id = "behind-*" }}
ring = "broad"
keep = "N-{keep}"
[[group]]
name = "slow"
match = {{ id = "slow-*" }}
ring = "broad"
defer = "{defer}d"
cadence = "daily at 03:00"
[[group]]
name = "everyone"
match = "any"
ring = "broad"
[plan.platform]
watch = "72h"
rollback = {{ automatic = true, waves = ["100% bake 10m"], blast_limit = 5000 }}
canary = {{ waves = ["100% bake 6h"], gate = {{ samples = 3, failures = "10%", silence = "50%", within = "12h" }} }}
broad = {{ waves = ["50% bake 12h", "100% bake 12h"], gate = "canary" }}
[[site]]
name = "alpha"
groups = ["plain"]
valid_for = "10d"
[[site]]
name = "beta"
groups = ["behind", "canaries"]
valid_for = "12d"
[[site]]
name = "gamma"
groups = ["slow"]
valid_for = "20d"
preload = "3d"
"#
    )
}

/// The bytes of a version: most pieces are those of the versions around it.
fn body(name: &str, version: u64, pieces: u64) -> Vec<u8> {
    let piece = |index: u64| {
        let mut bytes = [0; 1024];
        let of = format!("{name} {index} {}", (version + index) / (2 + index % 7));
        blake3::Hasher::new().update(of.as_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    };
    (0..pieces).flat_map(piece).collect()
}

pub(super) fn reason() -> Reason {
    parse("the dice said so")
}

impl Origin {
    pub(crate) async fn new(clock: &Arc<ManualClock>, dice: &mut Dice) -> Self {
        let world = world(clock);
        let catalog = world.catalog();
        let grace = SignedDuration::from_hours(3);
        let exporter = Arc::new(Exporter::open(catalog.clone(), world.dir.path(), grace).unwrap());
        let key = Arc::new(SecretKey::from_random(dice.bytes(), dice.bytes()));
        apply_policy(&catalog, &actor("ada"), policy(0), None).await.unwrap();
        let product = |name: &str, class| Event::ProductAdded { product: parse(name), class };
        let device =
            |id: &str| Device { id: parse(id), platform: None, tags: BTreeSet::new(), attributes: BTreeMap::new() };
        let devices = ["canary-1", "canary-2", "plain-1", "behind-1", "slow-1"].map(device).to_vec();
        let added = Event::OriginKeyAdded { key: key.public(), introduced_by: None, introduction: None };
        let events = vec![
            product(FEEDS[0], Class::Intelligence),
            product(FEEDS[1], Class::Intelligence),
            product(AGENT, Class::Platform),
            Event::DevicesImported { devices },
            added,
        ];
        commit(&catalog, events).await;
        Self { world, catalog, exporter, key, exports: BTreeMap::new(), published: 0, variant: 0 }
    }

    /// Where its journal lies.
    pub(crate) fn journal_dir(&self) -> &Path {
        &self.world.options.journal_dir
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.catalog.now()
    }

    /// Signs with another key from now on, which the present one vouches for.
    pub(crate) async fn rotate(&mut self, dice: &mut Dice) {
        let next = SecretKey::from_random(dice.bytes(), dice.bytes());
        let present = &self.key;
        let by = present.public().id;
        let ada = actor("ada");
        let committed = self.catalog.commit(&ada, |_, now| {
            let text = introduction(&next.public(), by, now);
            let introduction = Some(present.sign(text.as_bytes(), "the next key"));
            let added = Event::OriginKeyAdded { key: next.public(), introduced_by: Some(by), introduction };
            Ok::<_, std::convert::Infallible>(vec![added])
        });
        committed.await.unwrap();
        self.key = Arc::new(next);
    }

    /// What happens in some hours.
    pub(crate) async fn live(&mut self, dice: &mut Dice, is_release_day: bool) {
        for (feed, percent) in [(FEEDS[0], 60), (FEEDS[1], 40)] {
            if dice.chance(percent) {
                self.publish(feed, 4 + dice.below(20), false).await;
            }
        }
        if is_release_day {
            let is_barrier = dice.chance(20);
            self.publish(AGENT, 60 + dice.below(20), is_barrier).await;
        }
        advance_rollouts(&self.catalog).await.unwrap();
        let name: &&str = dice.pick(&[FEEDS[0], FEEDS[1], AGENT]);
        let product: ProductName = parse(name);
        match dice.below(100) {
            0..8 => self.hold(&product, dice).await,
            8..16 => self.lift(dice).await,
            16..19 => self.withdraw(&product).await,
            19..21 => self.pin(&product, dice).await,
            21..24 => self.unpin().await,
            24..26 => {
                self.variant = dice.below(4);
                apply_policy(&self.catalog, &actor("ada"), policy(self.variant), None).await.unwrap();
            }
            26..50 => self.steer(dice).await,
            _ => {}
        }
        advance_rollouts(&self.catalog).await.unwrap();
    }

    async fn publish(&mut self, product: &str, pieces: u64, barrier: bool) {
        self.published += 1;
        let mut artifacts = Vec::new();
        for (target, pieces) in [("engine", pieces), ("notes", 1)] {
            let bytes = body(&format!("{product}/{target}"), self.published, pieces);
            let mut staged = self.catalog.store().stage(None).unwrap();
            staged.append(Bytes::from(bytes)).await.unwrap();
            let done = staged.finish().await.unwrap();
            artifacts.push(Artifact {
                target: parse(target),
                platform: Platform::any(),
                size: done.size(),
                blake3: *done.blake3(),
                sha256: *done.sha256(),
                media_type: "application/octet-stream".into(),
            });
            let _ = self.catalog.store().commit(done).unwrap();
        }
        let version: Version = parse(&format!("1.{}", self.published));
        let name: ProductName = parse(product);
        let manifest = ReleaseManifest { product: name.clone(), version, barrier, artifacts };
        let release = manifest.id();
        let ada = actor("ada");
        let committed = self.catalog.commit(&ada, |snapshot, now| {
            let product = snapshot.product(&name).unwrap();
            let sequence = product.next_sequence();
            let added = Event::ReleaseAdded { release, sequence, manifest, approval: ApprovalRule::Auto };
            let mut events = vec![added, Event::ReleaseApproved { product: name.clone(), release }];
            events.extend(Publication { snapshot, product, release, before: events.len(), now }.events());
            Ok::<_, std::convert::Infallible>(events)
        });
        committed.await.unwrap();
    }

    /// One of the newest versions that are published.
    fn newest(&self, product: &ProductName, back: usize) -> Option<Version> {
        let snapshot = self.catalog.snapshot();
        let releases = snapshot.product(product)?.releases();
        let is_there = |state| state == ReleaseState::Published;
        let mut found = releases.iter().rev().filter(|release| is_there(release.state_at(self.now())));
        found.nth(back).map(|release| release.version().clone())
    }

    async fn hold(&self, product: &ProductName, dice: &mut Dice) {
        let version = if dice.chance(70) { self.newest(product, dice.below(2) as usize) } else { None };
        let scope = match dice.below(5) {
            0 | 1 => HoldScope::Everyone,
            2 => HoldScope::Group(parse("plain")),
            3 => HoldScope::Group(parse("behind")),
            _ => HoldScope::Ring(parse("broad")),
        };
        let expires_at = dice.chance(50).then(|| self.now() + SignedDuration::from_hours(6 + dice.below(60) as i64));
        let hold = NewHold { product: product.clone(), version, scope, reason: reason(), expires_at };
        add_hold(&self.catalog, &actor("ada"), hold).await.unwrap();
    }

    async fn lift(&self, dice: &mut Dice) {
        let snapshot = self.catalog.snapshot();
        let active: Vec<_> =
            snapshot.holds().filter(|hold| hold.is_active_at(self.now())).map(|hold| hold.id).collect();
        if !active.is_empty() {
            lift_hold(&self.catalog, &actor("ada"), *dice.pick(&active), reason()).await.unwrap();
        }
    }

    async fn withdraw(&self, product: &ProductName) {
        if let Some(version) = self.newest(product, 0) {
            withdraw_release(&self.catalog, &actor("ada"), product, &version, reason()).await.unwrap();
        }
    }

    async fn pin(&self, product: &ProductName, dice: &mut Dice) {
        if let Some(version) = self.newest(product, 1) {
            let name: &&str = dice.pick(&["plain", "behind", "slow"]);
            let group = parse(name);
            let pin = NewPin { group, product: product.clone(), version, reason: reason() };
            add_pin(&self.catalog, &actor("ada"), pin).await.unwrap();
        }
    }

    async fn unpin(&self) {
        let snapshot = self.catalog.snapshot();
        let active = snapshot.pins().find(|pin| pin.is_active_at(self.now())).map(|pin| pin.id);
        if let Some(pin) = active {
            remove_pin(&self.catalog, &actor("ada"), pin, reason()).await.unwrap();
        }
    }

    /// What a person does with the newest rollout of the agent; what does not fit its state is refused, and nothing follows.
    async fn steer(&self, dice: &mut Dice) {
        let (snapshot, product) = (self.catalog.snapshot(), parse(AGENT));
        let rollouts = snapshot.product(&product).unwrap().rollouts();
        let newest = rollouts.iter().rev().find(|rollout| matches!(rollout.kind, RolloutKind::Release));
        let Some(rollout) = newest.map(|rollout| rollout.id) else { return };
        match dice.below(10) {
            0 => {
                let _ = halt_rollout(&self.catalog, &actor("ada"), rollout, reason()).await;
            }
            1 => {
                let (from, to, groups) = (None, None, BTreeSet::new());
                let asked = NewRollback { product, from, to, groups, reason: reason(), confirm_devices: Some(5) };
                let _ = rollback(&self.catalog, &actor("ada"), asked).await;
            }
            _ => {
                let _ = promote_rollout(&self.catalog, &actor("ada"), rollout, reason()).await;
            }
        }
    }
}

/// All keys that a journal knows, as sites are told of them.
pub(crate) fn keys_of(snapshot: &Snapshot) -> KeysDocument {
    crate::control::testing::origin().document_for_sites(snapshot)
}
