//! Publishing a release together with its rollout.

use jiff::Timestamp;

use super::plan_release;
use crate::model::policy::ClassPlan;
use crate::model::{Event, ProductReleases, Promote, ReleaseId, RolloutChange, RolloutId, RolloutKind, Snapshot};

/// A release that is about to be published: as the commit that publishes it sees it.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// The state before the commit.
    pub snapshot: &'a Snapshot,
    /// The product.
    pub product: &'a ProductReleases,
    /// The release, which may be added by the same commit.
    pub release: ReleaseId,
    /// How many events come before these in the commit.
    pub before: usize,
    /// The commit's time.
    pub now: Timestamp,
}

impl Publication<'_> {
    /// The events that publish the release under the policy in force. Where the class has a plan, the rollout is planned
    /// first: a crash keeps a prefix of a commit's events, and a release without a rollout is visible to everybody.
    pub fn events(&self) -> Vec<Event> {
        let product = &self.product.product().name;
        let publish = Event::ReleasePublished { product: product.clone(), release: self.release };
        let Some(plan) = self.plan() else { return vec![publish] };
        // Planned by a commit that a crash cut off.
        if let Some(rollout) = self.planned() {
            return [Some(publish), self.start(plan, rollout)].into_iter().flatten().collect();
        }
        let rollout = self.snapshot.seq() + self.before as u64 + 1;
        let class = self.product.product().class;
        let planned = plan_release(product, class, self.release, plan, None, self.now);
        [Some(planned), Some(publish), self.start(plan, rollout)].into_iter().flatten().collect()
    }

    /// What a crash kept from following the publication: the start of its rollout.
    pub fn rest(&self) -> Vec<Event> {
        let rollout =
            self.planned().filter(|id| self.product.rollout(*id).is_some_and(|known| known.steps().is_empty()));
        let start = self.plan().zip(rollout).and_then(|(plan, rollout)| self.start(plan, rollout));
        start.into_iter().collect()
    }

    fn plan(&self) -> Option<&ClassPlan> {
        let policy = self.snapshot.policy_at(self.now)?.policy().ok()?;
        policy.plan(self.product.product().class)
    }

    /// The release's ordinary rollout, if it is planned.
    fn planned(&self) -> Option<RolloutId> {
        let sequence = self.product.by_id(&self.release)?.sequence;
        let mut rollouts = self.product.rollouts_of(sequence);
        rollouts.find(|rollout| rollout.kind == RolloutKind::Release).map(|rollout| rollout.id)
    }

    fn start(&self, plan: &ClassPlan, rollout: RolloutId) -> Option<Event> {
        let product = self.product.product().name.clone();
        let change = RolloutChange::Started;
        (plan.start == Promote::Automatic).then_some(Event::RolloutChanged { product, rollout, change })
    }
}
