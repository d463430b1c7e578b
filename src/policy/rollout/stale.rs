//! Groups that have stayed behind for longer than the policy wants to hear of.

use jiff::Timestamp;

use super::{RolloutState, standing};
use crate::model::policy::{Group, UNIDENTIFIED};
use crate::model::{GroupName, ProductName, ProductReleases, Release, ReleaseState, RolloutKind, Snapshot, Version};
use crate::policy::{Requester, decide_in_group};

/// A group that is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// The group.
    pub group: GroupName,
    /// The product.
    pub product: ProductName,
    /// What it gets; `None`: nothing.
    pub version: Option<Version>,
    /// The newest release that everyone may have.
    pub newest: Version,
    /// Since when what it gets is older than the policy wants.
    pub since: Timestamp,
}

/// The groups whose last devices are given a release that is older than their `staleness`, while a newer one has
/// completed its rollout. Decides once for each group and product that has such a rule.
pub fn stale_groups(snapshot: &Snapshot, now: Timestamp) -> Vec<Stale> {
    let Some(Ok(policy)) = snapshot.policy_at(now).map(|applied| applied.policy()) else { return Vec::new() };
    let groups = policy.groups().iter().filter(|group| group.name().as_str() != UNIDENTIFIED);
    let pairs = groups.flat_map(|group| snapshot.products().map(move |product| (group, product)));
    pairs.filter_map(|(group, product)| stale(snapshot, group, product, now)).collect()
}

fn stale(snapshot: &Snapshot, group: &Group, product: &ProductReleases, now: Timestamp) -> Option<Stale> {
    let name = &product.product().name;
    let rule = group.staleness(name, product.product().class)?;
    if !group.sees(name) {
        return None;
    }
    let newest = product.releases().iter().rev().find(|release| is_complete(product, release, now))?;
    // As for a share: no device, so the last wave.
    let decision = decide_in_group(snapshot, group, &Requester::default(), name, now);
    let given = decision.release.as_deref();
    if given.is_some_and(|given| given.sequence >= newest.sequence) {
        return None;
    }
    let published_at = given.unwrap_or(newest).published_at?;
    let since = rule.after.ends_at(published_at);
    let version = given.map(|release| release.version().clone());
    let (group, product, newest) = (group.name().clone(), name.clone(), newest.version().clone());
    (since <= now).then_some(Stale { group, product, version, newest, since })
}

/// Whether everyone may have the release by its rollout, or for want of one.
fn is_complete(product: &ProductReleases, release: &Release, now: Timestamp) -> bool {
    let forward = product
        .rollouts_of(release.sequence)
        .filter(|rollout| rollout.planned.at <= now && !matches!(rollout.kind, RolloutKind::Rollback { .. }));
    let mut states = forward.map(|rollout| standing(product, rollout, now).state).peekable();
    let is_unstaged = states.peek().is_none();
    release.state_at(now) == ReleaseState::Published
        && (is_unstaged || states.any(|state| state == RolloutState::Completed))
}
