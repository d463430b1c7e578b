//! Going back from a release to an earlier one.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::ignored::{ignored_by_clients, ignored_by_shares};
use super::steer::wrong;
use super::{ControlError, RolloutRefusal, census_of, in_round, known_of, plan_in, planned_in, product_in, release_in};
use crate::catalog::Catalog;
use crate::control::policies::check_group;
use crate::model::{
    Actor, End, Event, GroupName, HaltCause, ProductName, ProductReleases, Reason, Release, ReleaseState, Rollout,
    RolloutKind, Snapshot, Stamp, Version,
};
use crate::policy::rollout::{
    Census, RolloutState, Round, devices_with, halt, plan_rollback, rollback_target, standing,
};

/// A rollback to be begun.
#[derive(Debug, Clone)]
pub struct NewRollback {
    /// The product.
    pub product: ProductName,
    /// The version that is gone back from; the newest that any device can have got where absent.
    pub from: Option<Version>,
    /// The version that is gone back to; the newest that is known to be good where absent.
    pub to: Option<Version>,
    /// The groups that go back; all, and then the release is halted for everyone, where empty.
    pub groups: BTreeSet<GroupName>,
    /// Why.
    pub reason: Reason,
    /// How many devices the person knows it touches; needed above the plan's blast limit.
    pub confirm_devices: Option<u64>,
}

/// What a rollback does.
#[derive(Debug, Clone)]
pub struct PlannedRollback {
    /// The release that is gone back from.
    pub from: Arc<Release>,
    /// The release that is gone back to.
    pub to: Arc<Release>,
    /// How many devices it touches.
    pub devices: u64,
    /// Above how many the number must be confirmed.
    pub blast_limit: u64,
    /// What clients will ignore, one sentence each.
    pub warnings: Vec<String>,
    /// The rollback; none where it was only looked at.
    pub rollout: Option<Arc<Rollout>>,
}

/// What a rollback would do. Changes nothing.
///
/// # Errors
/// It would be refused, for want of a confirmation aside.
pub async fn look_at_rollback(catalog: &Arc<Catalog>, asked: &NewRollback) -> Result<PlannedRollback, ControlError> {
    let census = census_of(catalog).await;
    let (snapshot, now) = (catalog.snapshot(), catalog.now());
    draft((catalog, &snapshot, &census), asked, (&Actor::system(), now)).map(|draft| draft.planned)
}

/// Begins a rollback: the release is halted where it still runs, and the way back opens in the plan's waves.
/// Returns after fsync.
pub async fn rollback(
    catalog: &Arc<Catalog>,
    actor: &Actor,
    asked: NewRollback,
) -> Result<PlannedRollback, ControlError> {
    let census = census_of(catalog).await;
    let mut planned = None;
    let committed = catalog.commit(actor, |snapshot, now| {
        let draft = draft((catalog, snapshot, &census), &asked, (actor, now))?;
        let (devices, limit) = (draft.planned.devices, draft.planned.blast_limit);
        if devices > limit && asked.confirm_devices != Some(devices) {
            return Err(RolloutRefusal::Unconfirmed { devices, limit }.into());
        }
        planned = Some(draft.planned);
        Ok::<_, ControlError>(draft.events)
    });
    let rollout = planned_in(&committed.await?)?;
    let unknown = ControlError::UnknownId { what: "rollout", id: rollout.id };
    planned.map(|planned| PlannedRollback { rollout: Some(rollout), ..planned }).ok_or(unknown)
}

struct Draft {
    planned: PlannedRollback,
    events: Vec<Event>,
}

fn draft(
    (catalog, snapshot, census): (&Catalog, &Snapshot, &Census),
    asked: &NewRollback,
    (actor, now): (&Actor, Timestamp),
) -> Result<Draft, ControlError> {
    let product = product_in(snapshot, &asked.product)?;
    for group in &asked.groups {
        check_group(snapshot, group, now)?;
    }
    let from = from(product, asked, now)?;
    let to = target(product, from, asked, now)?;
    refuse_again(product, (from, to), &asked.groups, now)?;
    let staged = product.rollouts_of(from.sequence).rfind(|rollout| is_forward(rollout));
    // A release without a rollout goes back by the plan that its class has now.
    let phantom;
    let bad = match staged {
        Some(rollout) => rollout.as_ref(),
        None => {
            let (_, plan) = plan_in(snapshot, product, now)?;
            let of = (asked.product.clone(), from.id, from.sequence);
            let planned = Stamp { at: now, by: actor.clone() };
            let (id, salt) = (snapshot.seq(), String::new());
            phantom = Rollout::new(id, of, RolloutKind::Release, plan.plan.clone(), salt, planned, None);
            &phantom
        }
    };
    in_round((catalog, snapshot, census), product, now, |round| {
        let devices = touched(round, snapshot, from, staged.is_some(), &asked.groups);
        let mut events = if asked.groups.is_empty() { halts(round, bad, actor, asked) } else { Vec::new() };
        let mut plan = plan_rollback(product, bad, to, devices, false, asked.reason.clone());
        if let Event::RolloutPlanned { rollout: RolloutKind::Rollback { groups, .. }, .. } = &mut plan {
            *groups = asked.groups.clone();
        }
        events.push(plan);
        let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
        let mut warnings = ignored_by_clients(from, to);
        warnings.extend(ignored_by_shares(policy.map(Arc::as_ref), &asked.product));
        let blast_limit = bad.plan.rollback.blast_limit;
        let (from, to) = (from.clone(), to.clone());
        Draft { planned: PlannedRollback { from, to, devices, blast_limit, warnings, rollout: None }, events }
    })
}

fn is_forward(rollout: &Rollout) -> bool {
    !matches!(rollout.kind, RolloutKind::Rollback { .. })
}

/// The release that is gone back from: the one named, or the newest that any device can have got and that is not gone
/// back from already.
fn from<'a>(
    product: &'a ProductReleases,
    asked: &NewRollback,
    now: Timestamp,
) -> Result<&'a Arc<Release>, ControlError> {
    let was_open = |release: &Release| {
        let mut rollouts = product.rollouts_of(release.sequence).filter(|rollout| is_forward(rollout)).peekable();
        let is_unstaged = rollouts.peek().is_none();
        let is_open = |rollout: &Arc<Rollout>| {
            let is_back = matches!(rollout.ended(), Some((_, End::RolledBack(_))));
            !is_back && rollout.rings().iter().any(|ring| !ring.opened.is_empty())
        };
        is_unstaged || rollouts.any(is_open)
    };
    let published = |release: &Release| release.state_at(now) == ReleaseState::Published;
    if let Some(version) = &asked.from {
        let release = release_in(product, version)?;
        return match release.state_at(now) {
            ReleaseState::Published | ReleaseState::Withdrawn => Ok(release),
            ReleaseState::Draft | ReleaseState::Approved => {
                Err(RolloutRefusal::Draft { product: asked.product.clone(), version: version.clone() }.into())
            }
        };
    }
    let found = product.releases().iter().rev().find(|release| published(release) && was_open(release));
    Ok(found.ok_or_else(|| RolloutRefusal::NothingOut(asked.product.clone()))?)
}

/// The release that is gone back to.
fn target<'a>(
    product: &'a ProductReleases,
    from: &Release,
    asked: &NewRollback,
    now: Timestamp,
) -> Result<&'a Arc<Release>, ControlError> {
    let name = || asked.product.clone();
    let Some(version) = &asked.to else {
        let good = rollback_target(product, from.sequence, now).and_then(|good| product.by_sequence(good.sequence));
        return Ok(good.ok_or_else(|| RolloutRefusal::NoTarget { product: name(), version: from.version().clone() })?);
    };
    let release = release_in(product, version)?;
    let bad = product.rollouts_of(release.sequence).rev().filter(|rollout| is_forward(rollout)).find_map(|rollout| {
        let state = standing(product, rollout, now).state;
        let is_halted = rollout.stop_at(now).is_some_and(|stop| stop.is_halt);
        match state {
            RolloutState::RolledBack => Some(format!("it is gone back from itself (rollout {})", rollout.id)),
            _ if is_halted => Some(format!("it was halted (rollout {})", rollout.id)),
            _ => None,
        }
    });
    let why = match release.state_at(now) {
        ReleaseState::Withdrawn => Some("it was withdrawn".to_owned()),
        ReleaseState::Draft | ReleaseState::Approved => Some("it was never published".to_owned()),
        ReleaseState::Published if release.sequence >= from.sequence => {
            Some(format!("it is not older than {}", from.version()))
        }
        ReleaseState::Published => bad,
    };
    match why {
        Some(why) => Err(RolloutRefusal::BadTarget { product: name(), version: version.clone(), why }.into()),
        None => Ok(release),
    }
}

fn refuse_again(
    product: &ProductReleases,
    (from, to): (&Release, &Release),
    wanted: &BTreeSet<GroupName>,
    now: Timestamp,
) -> Result<(), ControlError> {
    let same = product.rollouts_of(to.sequence).filter(|rollout| rollout.ended().is_none()).find(|rollout| {
        matches!(&rollout.kind, RolloutKind::Rollback { from: bad, groups, .. }
            if *bad == from.sequence && groups == wanted)
    });
    let Some(same) = same else { return Ok(()) };
    let state = standing(product, same, now).state;
    Err(wrong(same, state, "begun again", &format!("`ringfence rollout show {}` shows how far it is", same.id)))
}

/// The halts that come first, and the freeze that they may bring. The way back is the person's, not the policy's.
fn halts(round: &Round<'_>, bad: &Rollout, actor: &Actor, asked: &NewRollback) -> Vec<Event> {
    let running = round.product.rollouts_of(bad.sequence).filter(|rollout| is_forward(rollout));
    let mut running = running.filter(|rollout| rollout.ended().is_none());
    let is_halted = |rollout: &Arc<Rollout>| rollout.stop_at(round.now).is_some_and(|stop| stop.is_halt);
    if !running.any(|rollout| !is_halted(rollout)) {
        return Vec::new();
    }
    let evidence = known_of(round, bad, format!("{actor} goes back from it"));
    let mut events = halt(round, bad, HaltCause::Person, asked.reason.clone(), evidence);
    events.retain(|event| !matches!(event, Event::RolloutPlanned { .. }));
    events
}

/// How many devices have got the release; of one without a rollout, how many there are.
fn touched(
    round: &Round<'_>,
    snapshot: &Snapshot,
    from: &Release,
    is_staged: bool,
    groups: &BTreeSet<GroupName>,
) -> u64 {
    let all = if is_staged { devices_with(round, from.sequence) } else { snapshot.devices().len() as u64 };
    if groups.is_empty() { all } else { all.min(groups.iter().map(|group| round.census.in_group(group)).sum()) }
}
