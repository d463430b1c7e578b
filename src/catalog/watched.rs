//! Which rollouts' votes count: the same of running servers and of those that have just been started.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{ProductReleases, Rollout, RolloutId, RolloutKind, Snapshot};

/// The rollouts of a product whose votes gates may ask for, by their ids: those that can still be halted, and for each the
/// one before it that completed, which its gates compare with.
pub fn counted_rollouts(product: &ProductReleases, now: Timestamp) -> BTreeMap<RolloutId, Arc<Rollout>> {
    let mut wanted = BTreeMap::new();
    for rollout in forward(product).filter(|rollout| matters(rollout, now)) {
        let is_before = |known: &&Arc<Rollout>| {
            known.id < rollout.id && known.sequence < rollout.sequence && known.completed_at().is_some()
        };
        let before = forward(product).rev().find(is_before);
        wanted.extend(before.into_iter().chain([rollout]).map(|rollout| (rollout.id, rollout.clone())));
    }
    wanted
}

/// Whether a rollout can still be halted by what devices say.
pub(super) fn matters(rollout: &Rollout, now: Timestamp) -> bool {
    rollout.ended().is_none() && rollout.completed_at().is_none_or(|at| now < rollout.plan.watch.ends_at(at))
}

/// All rollouts of a product but its ways back, on which nobody votes.
fn forward(product: &ProductReleases) -> impl DoubleEndedIterator<Item = &Arc<Rollout>> {
    product.rollouts().iter().filter(|rollout| is_forward(rollout))
}

pub(super) fn is_forward(rollout: &Rollout) -> bool {
    !matches!(rollout.kind, RolloutKind::Rollback { .. })
}

/// What is counted of one product when its votes are counted from the lines.
pub(super) struct Watched {
    /// Those that gates may ask for.
    pub(super) wanted: BTreeMap<RolloutId, Arc<Rollout>>,
    /// Newer ones: a device that was offered one of them has no vote in older ones from then on. Newest first.
    pub(super) newer: Vec<Arc<Rollout>>,
}

impl Watched {
    /// Nothing where no gate asks.
    pub(super) fn of(product: &ProductReleases, now: Timestamp) -> Option<Self> {
        let wanted = counted_rollouts(product, now);
        let oldest = *wanted.first_key_value()?.0;
        let is_newer = |rollout: &&Arc<Rollout>| rollout.id > oldest && !wanted.contains_key(&rollout.id);
        let newer = forward(product).rev().filter(is_newer).cloned().collect();
        Some(Self { wanted, newer })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Rollout>> {
        self.wanted.values().chain(&self.newer)
    }

    pub(super) fn is_wanted(&self, rollout: RolloutId) -> bool {
        self.wanted.contains_key(&rollout)
    }

    /// Whether it is newer than the oldest whose votes gates may ask for.
    pub(super) fn is_above_oldest(&self, rollout: RolloutId) -> bool {
        self.wanted.first_key_value().is_some_and(|(oldest, _)| *oldest < rollout)
    }
}

/// All rollouts of a state but its ways back.
pub(super) fn forward_of(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<Rollout>> {
    snapshot.products().flat_map(|product| forward(product))
}
