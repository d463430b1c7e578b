//! Planning the rollout of a release, ordinary or in an emergency.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::policy::{ClassPlan, EmergencyPlan};
use crate::model::{Class, Event, GroupName, ProductName, Reason, ReleaseId, RolloutKind};
use crate::policy::salt;

/// The event that plans the ordinary rollout of a release that is published at `now`.
pub fn plan_release(
    product: &ProductName,
    class: Class,
    release: ReleaseId,
    plan: &ClassPlan,
    reason: Option<Reason>,
    now: Timestamp,
) -> Event {
    Event::RolloutPlanned {
        product: product.clone(),
        release,
        rollout: RolloutKind::Release,
        plan: plan.plan.clone(),
        salt: salt(class, &release, now),
        reason,
    }
}

/// The event that asks for an emergency rollout of a release.
pub fn plan_expedite(
    (product, class, release): (&ProductName, Class, ReleaseId),
    plan: &EmergencyPlan,
    criteria: Reason,
    pinned_groups: BTreeSet<GroupName>,
    now: Timestamp,
) -> Event {
    Event::RolloutPlanned {
        product: product.clone(),
        release,
        rollout: RolloutKind::Expedite {
            criteria: criteria.clone(),
            pinned_groups,
            approvers: plan.approvers.clone(),
            approvals_needed: plan.approvals_needed,
            expires_at: plan.lasts.ends_at(now),
        },
        plan: plan.plan.clone(),
        salt: salt(class, &release, now),
        reason: Some(criteria),
    }
}
