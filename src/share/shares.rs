//! The shares of a running server: watches what each should show, and switches it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::bodies::{BodyError, Remembered, Resolved, resolve};
use super::switch::{is_ahead, next_second, switch};
use super::targets::{TargetReport, Targets};
use super::wanted::Wanted;
use crate::catalog::{Catalog, CommitError};
use crate::model::policy::{Policy, SharePolicy};
use crate::model::{Actor, Event, ShareName, Shown, Snapshot};

/// The most attempts at one switch: each time something else was committed in between.
const ATTEMPTS_MAX: usize = 8;

/// Keeps every share of the policy at what its group's decisions say.
pub struct Shares {
    catalog: Arc<Catalog>,
    remembered: Remembered,
    problems: Mutex<BTreeMap<ShareName, Vec<String>>>,
    looked: Mutex<Looked>,
    targets: Targets,
    woken: Notify,
}

/// When there is a reason to look again.
#[derive(Debug, Default, Clone, Copy)]
struct Looked {
    /// The events that were seen.
    seq: u64,
    /// When something may change without one; `None`: never.
    again_at: Option<Timestamp>,
}

/// How one look at a share ended.
enum Look {
    /// It shows what it should, until then if nothing happens.
    Settled(Option<Timestamp>),
    /// It cannot show it, and why.
    Blocked(Vec<String>, Option<Timestamp>),
    /// It switches.
    Ready(Box<Ready>),
}

/// A switch that only has to be journaled.
struct Ready {
    event: Event,
    shows: Vec<Shown>,
    at: Timestamp,
    /// The switch before it, and the policy it is by.
    before_seq: Option<u64>,
    policy_seq: u64,
    /// Keeps its bodies until the journal names them.
    _resolved: Resolved,
}

impl Shares {
    /// Over this catalog.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            remembered: Remembered::default(),
            problems: Mutex::default(),
            looked: Mutex::default(),
            targets: Targets::default(),
            woken: Notify::new(),
        }
    }

    /// The catalog it watches.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Lets [`Shares::woken`] return: something may have changed.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Returns once it is time to look again. For one waiter.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Switches every share that should show something else; returns how many did. Each switch is durable on return and
    /// takes effect on the whole second that its event names. Does nothing where nothing can have changed.
    pub async fn advance(self: &Arc<Self>) -> Result<usize, CommitError<std::convert::Infallible>> {
        let snapshot = self.catalog.snapshot();
        let now = snapshot.present(self.catalog.clock_now());
        let looked = *lock(&self.looked);
        let is_due = looked.seq != snapshot.seq() || looked.again_at.is_some_and(|at| at <= now);
        if !is_due {
            return Ok(0);
        }
        let names = shares_of(&snapshot, now);
        lock(&self.problems).retain(|name, _| names.contains(name));
        let (mut switched, mut again_at) = (0, None);
        for name in names {
            let (did_switch, again) = self.advance_one(&name).await?;
            switched += usize::from(did_switch);
            again_at = earlier(again_at, again);
        }
        // What was committed since the first look is looked at next time, our own switches among it.
        *lock(&self.looked) = Looked { seq: snapshot.seq(), again_at };
        Ok(switched)
    }

    async fn advance_one(
        self: &Arc<Self>,
        name: &ShareName,
    ) -> Result<(bool, Option<Timestamp>), CommitError<std::convert::Infallible>> {
        for _ in 0..ATTEMPTS_MAX {
            let (shares, of) = (self.clone(), name.clone());
            let look = tokio::task::spawn_blocking(move || shares.look(&of)).await;
            match look.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())) {
                Look::Settled(again_at) => {
                    self.tell(name, Vec::new());
                    return Ok((false, again_at));
                }
                Look::Blocked(problems, again_at) => {
                    self.tell(name, problems);
                    return Ok((false, again_at));
                }
                Look::Ready(ready) => {
                    if self.commit(name, *ready).await? {
                        self.tell(name, Vec::new());
                        return Ok((true, None));
                    }
                }
            }
        }
        // Asked again within the second.
        Ok((false, Some(Timestamp::MIN)))
    }

    /// Journals the switch, unless anything it was made from has changed meanwhile.
    async fn commit(&self, name: &ShareName, ready: Ready) -> Result<bool, CommitError<std::convert::Infallible>> {
        let Ready { event, shows, at, before_seq, policy_seq, _resolved } = ready;
        let system = Actor::system();
        let committed = self.catalog.commit(&system, |snapshot, now| {
            let is_same = snapshot.policy_at(now).is_some_and(|applied| applied.seq == policy_seq)
                && snapshot.share(name).map(|share| share.switch.seq) == before_seq
                && is_ahead(at, now)
                && wants(snapshot, name, at, now).is_some_and(|wanted| wanted == shows);
            Ok(if is_same { vec![event] } else { Vec::new() })
        });
        let committed = committed.await?;
        let is_done = !committed.records.is_empty();
        if is_done {
            tracing::info!(share = %name, %at, "the share switches");
        }
        Ok(is_done)
    }

    /// Plans the share's next switch. Blocks where bodies have to be made.
    fn look(&self, name: &ShareName) -> Look {
        let snapshot = self.catalog.snapshot();
        let now = snapshot.present(self.catalog.clock_now());
        let state = snapshot.share(name).map(Arc::as_ref);
        // One switch at a time: until the last one is in effect, what was before it is still asked for.
        if let Some(state) = state.filter(|state| state.switch.at > now) {
            return Look::Settled(Some(state.switch.at));
        }
        let Some((policy, policy_seq, share)) = find(&snapshot, name, now) else { return Look::Settled(None) };
        let wanted = match Wanted::of(&snapshot, policy, share, now) {
            Ok(wanted) => wanted,
            Err(problem) => return Look::Blocked(vec![problem], None),
        };
        let valid_until = wanted.valid_until;
        let at = next_second(now, state);
        let planned = match wanted.plan(at) {
            Ok(planned) => planned,
            Err(problems) => return Look::Blocked(problems, valid_until),
        };
        let resolved = match resolve(&self.catalog, &self.remembered, &planned) {
            Ok(resolved) => resolved,
            Err(error) => return Look::Blocked(vec![error.to_string()], again_after(&error, now, valid_until)),
        };
        let shows = wanted.shows(at);
        match switch(name, state, share.layout(), shows.clone(), &resolved.files, at) {
            None => Look::Settled(valid_until),
            Some(event) => {
                let before_seq = state.map(|state| state.switch.seq);
                Look::Ready(Box::new(Ready { event, shows, at, before_seq, policy_seq, _resolved: resolved }))
            }
        }
    }

    fn tell(&self, name: &ShareName, problems: Vec<String>) {
        let mut known = lock(&self.problems);
        let before = known.get(name).map(Vec::as_slice).unwrap_or_default();
        if before != problems {
            for problem in problems.iter().filter(|problem| !before.contains(problem)) {
                tracing::error!(share = %name, problem, "the share stays as it is: it cannot show what its group gets");
            }
            known.insert(name.clone(), problems);
        }
    }

    /// Why a share does not show what its group gets, each as one sentence; empty where it does.
    pub fn problems(&self, share: &ShareName) -> Vec<String> {
        lock(&self.problems).get(share).cloned().unwrap_or_default()
    }

    /// Takes a stager's word on one of a share's targets.
    pub fn note_target(&self, share: &ShareName, report: TargetReport) {
        self.targets.note(share, report);
    }

    /// The last word on each of a share's targets.
    pub fn targets(&self, share: &ShareName) -> Vec<TargetReport> {
        self.targets.of(share)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}

/// What ails the store may pass; what ails an archive does not.
fn again_after(error: &BodyError, now: Timestamp, valid_until: Option<Timestamp>) -> Option<Timestamp> {
    let retry = now.checked_add(jiff::SignedDuration::from_secs(30)).ok();
    match error {
        BodyError::Store(_) | BodyError::Missing { .. } => earlier(retry, valid_until),
        BodyError::Archive { .. } | BodyError::Name { .. } | BodyError::Paths(_) => valid_until,
    }
}

fn policy_at(snapshot: &Snapshot, now: Timestamp) -> Option<(&Arc<Policy>, u64)> {
    let applied = snapshot.policy_at(now)?;
    applied.policy().ok().map(|policy| (policy, applied.seq))
}

fn shares_of(snapshot: &Snapshot, now: Timestamp) -> Vec<ShareName> {
    let shares = policy_at(snapshot, now).map(|(policy, _)| policy.shares()).unwrap_or_default();
    shares.iter().filter(|share| is_here(snapshot, share)).map(|share| share.name().clone()).collect()
}

fn find<'s>(snapshot: &'s Snapshot, name: &ShareName, now: Timestamp) -> Option<(&'s Policy, u64, &'s SharePolicy)> {
    let (policy, seq) = policy_at(snapshot, now)?;
    policy.share(name).filter(|share| is_here(snapshot, share)).map(|share| (&**policy, seq, share))
}

/// Whether this server has what the share's group sees: an offline site has it for the groups of its bundles only, and the
/// policy that comes with them names other sites' shares, too.
fn is_here(snapshot: &Snapshot, share: &SharePolicy) -> bool {
    snapshot.applied_bundle().is_none_or(|bundle| bundle.groups.contains(share.group()))
}

/// What the share would record as shown by a switch at `at`.
fn wants(snapshot: &Snapshot, name: &ShareName, at: Timestamp, now: Timestamp) -> Option<Vec<Shown>> {
    let (policy, _, share) = find(snapshot, name, now)?;
    Wanted::of(snapshot, policy, share, now).ok().map(|wanted| wanted.shows(at))
}
