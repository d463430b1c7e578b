//! One product with its releases, and what looks them up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    Blake3Digest, Freeze, Hold, Pin, Product, Refusal, Release, ReleaseId, Rollout, RolloutId, RolloutKind,
    Sha256Digest, Version,
};

/// How many refused versions of a product are kept: the newest ones.
const REFUSALS_MAX: usize = 100;

/// A product, its releases in order of sequence, and the holds and pins that concern it.
#[derive(Debug, Clone)]
pub struct ProductReleases {
    product: Product,
    /// Sequence `n` stands at index `n - 1`, unless some are missing before it: at an offline site.
    releases: Vec<Arc<Release>>,
    by_version: HashMap<Version, u64>,
    by_id: HashMap<ReleaseId, u64>,
    by_blob: BTreeSet<(Blake3Digest, u64)>,
    aliases: BTreeMap<Sha256Digest, Blake3Digest>,
    /// At index `i` the index of the highest version among the releases up to `i`.
    highest: Vec<usize>,
    /// Indexes of the barriers.
    barriers: Vec<usize>,
    holds: Vec<Arc<Hold>>,
    pins: Vec<Arc<Pin>>,
    /// In order of id.
    rollouts: Vec<Arc<Rollout>>,
    /// At the index of a release the places in `rollouts` of those that are for it.
    rollouts_by_release: Vec<Vec<usize>>,
    /// The places in `rollouts` of rollbacks.
    rollbacks: Vec<usize>,
    freezes: Vec<Arc<Freeze>>,
    refusals: Vec<Refusal>,
    absent: BTreeSet<ReleaseId>,
    /// Sorted times at which something that a decision looks at changed or will change.
    changes: Vec<Timestamp>,
}

impl ProductReleases {
    /// A product without releases.
    pub fn new(product: Product) -> Self {
        Self {
            product,
            releases: Vec::new(),
            by_version: HashMap::new(),
            by_id: HashMap::new(),
            by_blob: BTreeSet::new(),
            aliases: BTreeMap::new(),
            highest: Vec::new(),
            barriers: Vec::new(),
            holds: Vec::new(),
            pins: Vec::new(),
            rollouts: Vec::new(),
            rollouts_by_release: Vec::new(),
            rollbacks: Vec::new(),
            freezes: Vec::new(),
            refusals: Vec::new(),
            absent: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    /// The product.
    pub fn product(&self) -> &Product {
        &self.product
    }

    /// Its releases, lowest sequence first.
    pub fn releases(&self) -> &[Arc<Release>] {
        &self.releases
    }

    /// The sequence that the next release gets.
    pub fn next_sequence(&self) -> u64 {
        self.releases.last().map_or(0, |last| last.sequence) + 1
    }

    /// The release with this sequence.
    pub fn by_sequence(&self, sequence: u64) -> Option<&Arc<Release>> {
        self.index_of(sequence).map(|index| &self.releases[index])
    }

    /// Where the release with this sequence stands.
    fn index_of(&self, sequence: u64) -> Option<usize> {
        let expected = usize::try_from(sequence.checked_sub(1)?).ok()?;
        if self.releases.get(expected).is_some_and(|release| release.sequence == sequence) {
            return Some(expected);
        }
        self.releases.binary_search_by_key(&sequence, |release| release.sequence).ok()
    }

    /// Whether a release's bytes are not here, and were never meant to be: an offline site knows some releases only by
    /// name.
    pub fn is_absent(&self, release: &ReleaseId) -> bool {
        self.absent.contains(release)
    }

    /// The releases whose bytes are not here.
    pub fn absent(&self) -> &BTreeSet<ReleaseId> {
        &self.absent
    }

    /// The release of this version.
    pub fn by_version(&self, version: &Version) -> Option<&Arc<Release>> {
        self.by_version.get(version).and_then(|sequence| self.by_sequence(*sequence))
    }

    /// The release with this manifest digest.
    pub fn by_id(&self, id: &ReleaseId) -> Option<&Arc<Release>> {
        self.by_id.get(id).and_then(|sequence| self.by_sequence(*sequence))
    }

    /// The releases that contain this blob, lowest sequence first.
    pub fn with_blob(&self, blob: &Blake3Digest) -> impl DoubleEndedIterator<Item = &Arc<Release>> {
        self.by_blob.range((*blob, 0)..=(*blob, u64::MAX)).filter_map(|(_, sequence)| self.by_sequence(*sequence))
    }

    /// The blob that has this SHA-256, if a release of this product contains it.
    pub fn blob_with_sha256(&self, sha256: &Sha256Digest) -> Option<Blake3Digest> {
        self.aliases.get(sha256).copied()
    }

    /// The highest version among the releases up to this sequence, published or not: versions may fall where an older
    /// one was published on purpose.
    pub fn highest_version_up_to(&self, sequence: u64) -> Option<&Version> {
        let index = match self.index_of(sequence) {
            Some(index) => index,
            None => self.releases.partition_point(|release| release.sequence <= sequence).checked_sub(1)?,
        };
        self.highest.get(index).map(|highest| self.releases[*highest].version())
    }

    /// The releases that must be installed before any later one, lowest sequence first.
    pub fn barriers(&self) -> impl Iterator<Item = &Arc<Release>> {
        self.barriers.iter().map(|index| &self.releases[*index])
    }

    /// The versions that the gates turned down and that were not published since, oldest first.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// The holds ever added for it, oldest first.
    pub fn holds(&self) -> &[Arc<Hold>] {
        &self.holds
    }

    /// The pins ever added for it, oldest first.
    pub fn pins(&self) -> &[Arc<Pin>] {
        &self.pins
    }

    /// The rollouts ever planned for it, oldest first.
    pub fn rollouts(&self) -> &[Arc<Rollout>] {
        &self.rollouts
    }

    /// One rollout.
    pub fn rollout(&self, id: RolloutId) -> Option<&Arc<Rollout>> {
        let place = self.rollouts.binary_search_by_key(&id, |rollout| rollout.id).ok()?;
        self.rollouts.get(place)
    }

    /// The rollouts for the release with this sequence, oldest first: its own, emergencies, and rollbacks to it.
    pub fn rollouts_of(&self, sequence: u64) -> impl DoubleEndedIterator<Item = &Arc<Rollout>> {
        let places = self.index_of(sequence).and_then(|index| self.rollouts_by_release.get(index));
        places.into_iter().flatten().map(|place| &self.rollouts[*place])
    }

    /// The rollbacks ever planned for it, oldest first.
    pub fn rollbacks(&self) -> impl DoubleEndedIterator<Item = &Arc<Rollout>> {
        self.rollbacks.iter().map(|place| &self.rollouts[*place])
    }

    /// The freezes there ever were, oldest first.
    pub fn freezes(&self) -> &[Arc<Freeze>] {
        &self.freezes
    }

    /// The first time after `at` at which a release, hold, pin, rollout or freeze of this product changes.
    pub fn next_change_after(&self, at: Timestamp) -> Option<Timestamp> {
        let later = self.changes.partition_point(|time| *time <= at);
        self.changes.get(later).copied()
    }

    /// Says which releases' bytes are not here.
    pub(super) fn set_absent(&mut self, absent: BTreeSet<ReleaseId>) {
        self.absent = absent;
    }

    /// Keeps a refusal in place of an earlier one of the same version.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refusals.retain(|known| known.version != refusal.version);
        if self.refusals.len() == REFUSALS_MAX {
            self.refusals.remove(0);
        }
        self.refusals.push(refusal);
    }

    /// Adds a release; its sequence is the next one.
    pub(super) fn push(&mut self, release: Release) {
        let sequence = release.sequence;
        self.refusals.retain(|known| known.version != *release.version());
        self.by_version.insert(release.version().clone(), sequence);
        self.by_id.insert(release.id, sequence);
        for artifact in &release.manifest.artifacts {
            self.by_blob.insert((artifact.blake3, sequence));
            self.aliases.insert(artifact.sha256, artifact.blake3);
        }
        let approved_at = release.approved.as_ref().map(|stamp| stamp.at);
        let withdrawn_at = release.withdrawn.as_ref().map(|(stamp, _)| stamp.at);
        for at in [approved_at, release.published_at, withdrawn_at].into_iter().flatten() {
            self.note_change(at);
        }
        let index = self.releases.len();
        let higher = |highest: &usize| self.releases[*highest].version() > release.version();
        self.highest.push(self.highest.last().copied().filter(higher).unwrap_or(index));
        if release.manifest.barrier {
            self.barriers.push(index);
        }
        self.releases.push(Arc::new(release));
    }

    /// The release with this id, to be changed at `at`.
    pub(super) fn change(&mut self, id: &ReleaseId, at: Timestamp) -> Option<&mut Release> {
        let index = self.index_of(*self.by_id.get(id)?)?;
        self.note_change(at);
        self.releases.get_mut(index).map(Arc::make_mut)
    }

    /// Replaces or adds a hold, and notes when it begins, is lifted and would end by itself: each is noted though an
    /// earlier one ended it, so that a snapshot put together again has the very same times.
    pub(super) fn set_hold(&mut self, hold: Arc<Hold>) {
        let lifted_at = hold.lifted.as_ref().map(|(stamp, _)| stamp.at);
        for at in [Some(hold.added_at), hold.expires_at, lifted_at].into_iter().flatten() {
            self.note_change(at);
        }
        match self.holds.iter_mut().find(|known| known.id == hold.id) {
            Some(known) => *known = hold,
            None => self.holds.push(hold),
        }
    }

    /// Replaces or adds a pin, and notes when it begins and ends.
    pub(super) fn set_pin(&mut self, pin: Arc<Pin>) {
        self.note_change(pin.added_at);
        if let Some(stamp) = &pin.removed {
            self.note_change(stamp.at);
        }
        match self.pins.iter_mut().find(|known| known.id == pin.id) {
            Some(known) => *known = pin,
            None => self.pins.push(pin),
        }
    }

    /// Replaces or adds a rollout, and notes when each of its steps was taken. New ones come in order of id.
    pub(super) fn set_rollout(&mut self, rollout: Arc<Rollout>) {
        self.note_change(rollout.planned.at);
        let known = self.rollouts.binary_search_by_key(&rollout.id, |known| known.id).ok();
        let steps_known = known.map_or(0, |place| self.rollouts[place].steps().len());
        for step in rollout.steps().iter().skip(steps_known) {
            self.note_change(step.at);
        }
        let Some(place) = known else {
            let Some(index) = self.index_of(rollout.sequence) else { return };
            if self.rollouts_by_release.len() <= index {
                self.rollouts_by_release.resize(self.releases.len(), Vec::new());
            }
            self.rollouts_by_release[index].push(self.rollouts.len());
            if matches!(rollout.kind, RolloutKind::Rollback { .. }) {
                self.rollbacks.push(self.rollouts.len());
            }
            self.rollouts.push(rollout);
            return;
        };
        self.rollouts[place] = rollout;
    }

    /// Replaces or adds a freeze, and notes when it begins and ends.
    pub(super) fn set_freeze(&mut self, freeze: Arc<Freeze>) {
        self.note_change(freeze.frozen.at);
        if let Some((stamp, _)) = &freeze.reset {
            self.note_change(stamp.at);
        }
        match self.freezes.iter_mut().find(|known| known.id == freeze.id) {
            Some(known) => *known = freeze,
            None => self.freezes.push(freeze),
        }
    }

    fn note_change(&mut self, at: Timestamp) {
        let place = self.changes.partition_point(|time| *time < at);
        if self.changes.get(place) != Some(&at) {
            self.changes.insert(place, at);
        }
    }
}
