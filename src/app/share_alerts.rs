//! What is wrong with shares, for people: read from the state, so that a start finds it again.

use jiff::Timestamp;

use super::alerts::Alert;
use crate::model::policy::SharePolicy;
use crate::model::{ShareName, Snapshot};
use crate::share::{Shares, Staleness, TargetReport, TargetState, age_of, lag_s, staleness};

/// How long a target may be behind its share before people are told: several looks and retries of its stager.
const BEHIND_AFTER_S: u64 = 300;

/// One thing that is wrong with a share. Two that are equal are the same alert: what grows meanwhile is not compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ailment {
    /// It cannot show what its group gets.
    Blocked(ShareName, String),
    /// Nothing new has reached it for long; whether critically so, and since when its newest release is published.
    Stale(ShareName, bool, Option<Timestamp>),
    /// A target does not show the newest switch: which, and why.
    Behind(ShareName, String, Option<String>),
    /// A target's files had been changed by hand: which, how many, and when they were put right.
    Edited(ShareName, String, u64, Timestamp),
}

impl Ailment {
    pub(super) fn alert(&self, now: Timestamp) -> Alert {
        let (alert, share, reason) = match self {
            Self::Blocked(share, problem) => {
                ("share_blocked", share, format!("share {share} stays as it is: {problem}"))
            }
            Self::Stale(share, is_critical, since) => {
                let since = since.map_or_else(|| "ever".to_owned(), |since| format!("since {since}"));
                let how = if *is_critical { "critically stale" } else { "stale" };
                (
                    "share_stale",
                    share,
                    format!("share {share} is {how}: nothing newer has been published for it {since}"),
                )
            }
            Self::Behind(share, target, why) => {
                let why = why.as_deref().unwrap_or("its stager has not reported it");
                ("share_behind", share, format!("{target} does not show the newest switch of share {share}: {why}"))
            }
            Self::Edited(share, target, files, _) => {
                let files = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
                (
                    "share_edited",
                    share,
                    format!("{files} of {target} had been changed by hand and are those of share {share} again"),
                )
            }
        };
        Alert {
            alert,
            product: None,
            share: Some(share.clone()),
            site: None,
            version: None,
            rollout: None,
            group: None,
            reason,
            evidence: None,
            time: now,
        }
    }
}

/// Everything that is wrong with shares at `now`.
pub(super) fn ailments(shares: &Shares, snapshot: &Snapshot, now: Timestamp) -> Vec<Ailment> {
    let policy = snapshot.policy_at(now).and_then(|applied| applied.policy().ok());
    policy
        .into_iter()
        .flat_map(|policy| policy.shares())
        .flat_map(|share| of_share(shares, snapshot, share, now))
        .collect()
}

fn of_share(shares: &Shares, snapshot: &Snapshot, share: &SharePolicy, now: Timestamp) -> Vec<Ailment> {
    let name = share.name();
    let mut found: Vec<_> =
        shares.problems(name).into_iter().map(|problem| Ailment::Blocked(name.clone(), problem)).collect();
    let state = snapshot.share(name);
    let since = state.and_then(|state| age_of(snapshot, state));
    match staleness(snapshot, share, now) {
        Staleness::Critical => found.push(Ailment::Stale(name.clone(), true, since)),
        Staleness::Warn => found.push(Ailment::Stale(name.clone(), false, since)),
        Staleness::Fresh | Staleness::None => {}
    }
    let Some(state) = state else { return found };
    for report in shares.targets(name) {
        let TargetReport { target, why, repaired_files, staged_at, .. } = &report;
        if *repaired_files > 0 {
            found.push(Ailment::Edited(name.clone(), target.clone(), *repaired_files, *staged_at));
        }
        let is_late = lag_s(state, &report, now) > BEHIND_AFTER_S;
        if is_late || report.state == TargetState::Failed {
            found.push(Ailment::Behind(name.clone(), target.clone(), why.clone()));
        }
    }
    found
}
