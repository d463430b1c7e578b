//! Alerts: what a person should hear of, each once, in the log and through the alert command.
//!
//! They are read from the state, not from whoever changed it: a halt by a person, a report or the clock is the same. An
//! alert that a crash swallows is not made up for at the next start; the journal has its event.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::alert_command::AlertQueue;
use super::share_alerts::{Ailment, ailments};
use super::site_alerts::{SiteAilment, site_ailments};
use crate::model::{
    Evidence, GroupName, ProductName, ProductReleases, Rollout, RolloutChange, RolloutId, RolloutKind, ShareName,
    SiteName, Snapshot, Version,
};
use crate::policy::rollout::{Stale, stale_groups};
use crate::share::Shares;

/// One alert, as the command gets it on its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Alert {
    /// `halted`, `overdue`, `frozen`, `rollback`, `stale`, or a share's: `share_blocked`, `share_stale`, `share_behind`,
    /// `share_edited`, or a site's: `site_silent`, `site_astray`, `site_expiring`.
    pub(super) alert: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) product: Option<ProductName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) share: Option<ShareName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) site: Option<SiteName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rollout: Option<RolloutId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<GroupName>,
    pub(super) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence: Option<Evidence>,
    pub(super) time: Timestamp,
}

impl Alert {
    /// The product, share or site that it is about.
    pub(super) fn about(&self) -> &str {
        let product = self.product.as_ref().map(ProductName::as_str);
        let share = self.share.as_ref().map(ShareName::as_str);
        product.or(share).or(self.site.as_ref().map(SiteName::as_str)).unwrap_or_default()
    }
}

/// Raises alerts.
pub(super) struct Alerts {
    queue: Option<Arc<AlertQueue>>,
    /// The last event whose alerts have been raised.
    seen_seq: AtomicU64,
    stale: Mutex<BTreeSet<(GroupName, ProductName)>>,
    stale_count: Arc<AtomicUsize>,
    ailing: Mutex<BTreeSet<Ailment>>,
    sites: Mutex<BTreeSet<SiteAilment>>,
}

impl Alerts {
    /// For everything that happens after event `seen_seq`. `stale_count` is set to the number of groups that are behind.
    pub(super) fn new(queue: Option<Arc<AlertQueue>>, seen_seq: u64, stale_count: Arc<AtomicUsize>) -> Self {
        Self {
            queue,
            seen_seq: AtomicU64::new(seen_seq),
            stale: Mutex::default(),
            stale_count,
            ailing: Mutex::default(),
            sites: Mutex::default(),
        }
    }

    /// Raises what has happened since the last call.
    pub(super) fn look(&self, snapshot: &Snapshot) {
        let seen_seq = self.seen_seq.fetch_max(snapshot.seq(), Ordering::Relaxed);
        if seen_seq >= snapshot.seq() {
            return;
        }
        let mut found: Vec<_> = snapshot.products().flat_map(|product| since(product, seen_seq)).collect();
        found.sort_by_key(|(seq, _)| *seq);
        for (_, alert) in found {
            self.raise(alert);
        }
    }

    /// Raises an alert for each group that is behind, once until it no longer is.
    pub(super) fn look_for_stale(&self, snapshot: &Snapshot, now: Timestamp) {
        let found = stale_groups(snapshot, now);
        self.stale_count.store(found.len(), Ordering::Relaxed);
        let mut known = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        for stale in found {
            let pair = (stale.group.clone(), stale.product.clone());
            if !before.contains(&pair) {
                self.raise(behind(&stale, now));
            }
            known.insert(pair);
        }
    }

    /// Raises an alert for whatever is wrong with a share, once until it no longer is.
    pub(super) fn look_at_shares(&self, shares: &Shares, snapshot: &Snapshot, now: Timestamp) {
        let mut known = self.ailing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        for ailment in ailments(shares, snapshot, now) {
            if !before.contains(&ailment) {
                self.raise(ailment.alert(now));
            }
            known.insert(ailment);
        }
    }

    /// Raises an alert for whatever is wrong with an offline site, once until it no longer is.
    pub(super) fn look_at_sites(&self, snapshot: &Snapshot, now: Timestamp) {
        let mut known = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        for ailment in site_ailments(snapshot, now) {
            if !before.contains(&ailment) {
                self.raise(ailment.alert(now));
            }
            known.insert(ailment);
        }
    }

    fn raise(&self, alert: Alert) {
        let Alert { alert: kind, product, share, site, version, rollout, group, reason, .. } = &alert;
        let product = product.as_ref().map(tracing::field::display);
        let share = share.as_ref().map(tracing::field::display);
        let site = site.as_ref().map(tracing::field::display);
        let version = version.as_ref().map(tracing::field::display);
        let group = group.as_ref().map(tracing::field::display);
        match *kind {
            "halted" | "frozen" | "share_blocked" | "site_astray" => {
                tracing::error!(alert = kind, product, share, site, version, rollout, group, reason, "alert");
            }
            _ => tracing::warn!(alert = kind, product, share, site, version, rollout, group, reason, "alert"),
        }
        if let Some(queue) = &self.queue {
            queue.push(alert);
        }
    }
}

/// The alerts of what happened to a product after event `seen_seq`.
fn since(product: &ProductReleases, seen_seq: u64) -> Vec<(u64, Alert)> {
    let name = &product.product().name;
    let mut found = Vec::new();
    for freeze in product.freezes().iter().filter(|freeze| freeze.id > seen_seq) {
        let alert = Alert {
            alert: "frozen",
            product: Some(name.clone()),
            share: None,
            site: None,
            version: None,
            rollout: None,
            group: None,
            reason: freeze.reason.to_string(),
            evidence: None,
            time: freeze.frozen.at,
        };
        found.push((freeze.id, alert));
    }
    for rollout in product.rollouts() {
        if rollout.id > seen_seq && matches!(rollout.kind, RolloutKind::Rollback { automatic: true, .. }) {
            let reason = rollout.reason.as_ref().map(ToString::to_string).unwrap_or_default();
            found.push((rollout.id, of_rollout(product, rollout, "rollback", reason, None, rollout.planned.at)));
        }
        for step in rollout.steps().iter().rev().take_while(|step| step.seq > seen_seq) {
            let alert = match &step.change {
                RolloutChange::Halted { reason, evidence, .. } => {
                    of_rollout(product, rollout, "halted", reason.to_string(), Some(evidence.clone()), step.at)
                }
                RolloutChange::Overdue { ring, wave, evidence } => {
                    let reason = format!("wave {} of ring {ring} is without a verdict: {}", wave + 1, evidence.detail);
                    of_rollout(product, rollout, "overdue", reason, Some(evidence.clone()), step.at)
                }
                _ => continue,
            };
            found.push((step.seq, alert));
        }
    }
    found
}

fn of_rollout(
    product: &ProductReleases,
    rollout: &Rollout,
    alert: &'static str,
    reason: String,
    evidence: Option<Evidence>,
    time: Timestamp,
) -> Alert {
    let version = product.by_sequence(rollout.sequence).map(|release| release.version().clone());
    let (product, rollout) = (rollout.product.clone(), Some(rollout.id));
    Alert {
        alert,
        product: Some(product),
        share: None,
        site: None,
        version,
        rollout,
        group: None,
        reason,
        evidence,
        time,
    }
}

fn behind(stale: &Stale, now: Timestamp) -> Alert {
    let Stale { group, product, version, newest, since } = stale;
    let given = version.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let reason =
        format!("group {group} gets {given} while everyone may have {newest}, longer than wanted since {since}");
    Alert {
        alert: "stale",
        product: Some(product.clone()),
        share: None,
        site: None,
        version: version.clone(),
        rollout: None,
        group: Some(group.clone()),
        reason,
        evidence: None,
        time: now,
    }
}
