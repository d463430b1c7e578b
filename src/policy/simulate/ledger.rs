//! A journal in memory, and the snapshot that its events make.

use jiff::{SignedDuration, Timestamp};

use super::{Scenario, SimulateError};
use crate::model::policy::Policy;
use crate::model::{
    Actor, ApplyError, ApprovalRule, Artifact, Blake3Digest, Event, EventRecord, Evidence, ReleaseId, ReleaseManifest,
    RolloutChange, RolloutId, Sha256Digest, Snapshot, Version,
};
use crate::policy::rollout::{Census, plan_release};

/// The events so far, and what they make.
pub(super) struct Ledger {
    pub(super) records: Vec<EventRecord>,
    pub(super) snapshot: Snapshot,
}

/// The version every device has at the start, and the one that comes.
pub(super) const VERSIONS: [&str; 2] = ["1.0", "2.0"];

impl Ledger {
    /// A product with a policy, and an old release that everyone has, its rollout long completed and no longer watched.
    /// Says which rollout that was.
    pub(super) fn new(
        scenario: &Scenario,
        policy: &Policy,
        census: &Census,
    ) -> Result<(Self, Option<RolloutId>), SimulateError> {
        let mut ledger = Self { records: Vec::new(), snapshot: Snapshot::default() };
        let class_plan = policy.plan(scenario.class);
        let watch = class_plan.map_or(SignedDuration::ZERO, |plan| plan.plan.watch.as_duration());
        let ago = watch + SignedDuration::from_hours(48);
        let at = scenario.published_at.checked_sub(ago).unwrap_or(Timestamp::MIN);
        let text = scenario.policy.clone();
        ledger.push(Event::ProductAdded { product: scenario.product.clone(), class: scenario.class }, at)?;
        ledger.push(Event::PolicyApplied { digest: Blake3Digest::of(text.as_bytes()), text }, at)?;
        let rollout = ledger.publish(scenario, policy, 0, at)?;
        let Some(id) = rollout else { return Ok((ledger, None)) };
        ledger.change(scenario, id, RolloutChange::Started, at)?;
        for plan in class_plan.iter().flat_map(|plan| &plan.plan.rings) {
            let (ring, rated) = (&plan.ring, census.rated(policy, &plan.ring, &scenario.product, scenario.class));
            let devices = census.in_ring(policy, ring, scenario.class);
            for wave in 0..plan.waves.len() {
                let wave = u32::try_from(wave).unwrap_or(u32::MAX);
                let (rated, evidence) = (rated.clone(), Evidence::default());
                let opened = RolloutChange::WaveOpened { ring: ring.clone(), wave, devices, rated };
                ledger.change(scenario, id, opened, at)?;
                let passed = RolloutChange::WavePassed { ring: ring.clone(), wave, evidence };
                ledger.change(scenario, id, passed, at)?;
            }
        }
        ledger.change(scenario, id, RolloutChange::Completed, at)?;
        Ok((ledger, Some(id)))
    }

    /// Publishes a release; where the class has a plan, its rollout is planned in the same breath.
    pub(super) fn publish(
        &mut self,
        scenario: &Scenario,
        policy: &Policy,
        which: usize,
        at: Timestamp,
    ) -> Result<Option<RolloutId>, SimulateError> {
        let Some(manifest) = manifest(scenario, VERSIONS[which]) else { return Ok(None) };
        let (product, release, sequence) = (scenario.product.clone(), manifest.id(), which as u64 + 1);
        self.push(Event::ReleaseAdded { release, sequence, manifest, approval: ApprovalRule::Auto }, at)?;
        self.push(Event::ReleasePublished { product: product.clone(), release }, at)?;
        let Some(plan) = policy.plan(scenario.class) else { return Ok(None) };
        let planned = plan_release(&product, scenario.class, release, plan, None, at);
        Ok(Some(self.push(planned, at)?))
    }

    /// Takes a step of a rollout.
    pub(super) fn change(
        &mut self,
        scenario: &Scenario,
        rollout: RolloutId,
        change: RolloutChange,
        at: Timestamp,
    ) -> Result<u64, ApplyError> {
        self.push(Event::RolloutChanged { product: scenario.product.clone(), rollout, change }, at)
    }

    /// Appends an event; answers its number.
    pub(super) fn push(&mut self, event: Event, at: Timestamp) -> Result<u64, ApplyError> {
        let seq = self.snapshot.seq() + 1;
        // Nobody reads this journal back, so its lines are not chained.
        let none = Blake3Digest::from_bytes([0; 32]);
        let record = EventRecord { seq, time: at, actor: Actor::system(), event, prev: none, hash: none };
        self.snapshot.apply_draft(&record)?;
        self.records.push(record);
        Ok(seq)
    }
}

/// A release with one file for every platform.
fn manifest(scenario: &Scenario, version: &str) -> Option<ReleaseManifest> {
    let body = format!("{} {version}", scenario.product);
    let artifact = Artifact {
        target: "content.bin".parse().ok()?,
        platform: "any".parse().ok()?,
        size: body.len() as u64,
        blake3: Blake3Digest::of(body.as_bytes()),
        sha256: Sha256Digest::of(body.as_bytes()),
        media_type: "application/octet-stream".into(),
    };
    let version: Version = version.parse().ok()?;
    Some(ReleaseManifest { product: scenario.product.clone(), version, barrier: false, artifacts: vec![artifact] })
}

/// The release that comes.
pub(super) fn new_release(scenario: &Scenario) -> Option<ReleaseId> {
    manifest(scenario, VERSIONS[1]).map(|manifest| manifest.id())
}
