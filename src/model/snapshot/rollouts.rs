//! Applying what happens to rollouts, and to products that are frozen.

use std::sync::Arc;

use super::Snapshot;
use crate::model::{Event, EventRecord, Freeze, Rollout, RolloutStep, Stamp};

impl Snapshot {
    /// Applies an event of a rollout or a freeze; others are no business of this.
    pub(super) fn apply_rollout_event(&mut self, record: &EventRecord, stamp: Stamp) -> Result<(), String> {
        match &record.event {
            Event::RolloutPlanned { product, release, rollout: kind, plan, salt, reason } => {
                let known = self.product(product).ok_or_else(|| format!("there is no product {product}"))?;
                let release =
                    known.by_id(release).ok_or_else(|| format!("there is no release {release} of {product}"))?;
                if plan.rings.is_empty() {
                    return Err("a plan without rings".into());
                }
                let of = (product.clone(), release.id, release.sequence);
                let (plan, salt, reason) = (plan.clone(), salt.clone(), reason.clone());
                self.set_rollout(Rollout::new(record.seq, of, kind.clone(), plan, salt, stamp, reason))
            }
            Event::RolloutChanged { product, rollout, change } => {
                let known = self.product(product).and_then(|releases| releases.rollout(*rollout));
                let mut changed = known.ok_or_else(|| format!("{product} has no rollout {rollout}"))?.as_ref().clone();
                changed.push(RolloutStep { seq: record.seq, at: stamp.at, by: stamp.by, change: change.clone() })?;
                self.set_rollout(changed)
            }
            Event::ProductFrozen { product, reason } => {
                let known = self.product(product).ok_or_else(|| format!("there is no product {product}"))?;
                if known.freezes().iter().any(|freeze| freeze.reset.is_none()) {
                    return Err(format!("{product} is frozen already"));
                }
                let product = product.clone();
                let freeze = Freeze { id: record.seq, frozen: stamp, reason: reason.clone(), reset: None };
                self.set_freeze(&product, freeze)
            }
            Event::ProductReset { product, reason } => {
                let known = self.product(product).ok_or_else(|| format!("there is no product {product}"))?;
                let freeze = known.freezes().iter().rfind(|freeze| freeze.reset.is_none());
                let freeze = freeze.ok_or_else(|| format!("{product} is not frozen"))?.as_ref().clone();
                let product = product.clone();
                self.set_freeze(&product, Freeze { reset: Some((stamp, reason.clone())), ..freeze })
            }
            other => Err(format!("{} is no event of a rollout", other.name())),
        }
    }

    pub(super) fn set_rollout(&mut self, rollout: Rollout) -> Result<(), String> {
        let product = rollout.product.clone();
        self.product_mut(&product)?.set_rollout(Arc::new(rollout));
        Ok(())
    }

    pub(super) fn set_freeze(&mut self, product: &crate::model::ProductName, freeze: Freeze) -> Result<(), String> {
        self.product_mut(product)?.set_freeze(Arc::new(freeze));
        Ok(())
    }
}
