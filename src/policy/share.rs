//! What a share shows: its group's decision, for whoever reads it.
//!
//! A share has no device and no version of its own. It is in the last wave, a release that is taken away makes room for
//! the next lower one, and what it shows or has shown before does not wait for a maintenance window or a rate: these
//! delay only what is new to it.

use std::sync::Arc;

use jiff::Timestamp;

use super::decide::{known_product, next_recorded};
use super::requester::Requester;
use super::view::View;
use super::walk::{earlier, walk};
use super::words;
use super::{Rule, site};
use crate::model::policy::Group;
use crate::model::{Platform, ProductName, Release, Snapshot, Version};

/// What a share shows of one product on one platform.
#[derive(Debug, Clone)]
pub struct ShareDecision {
    /// The release; `None`: nothing may be shown.
    pub release: Option<Arc<Release>>,
    /// The rule that decided.
    pub rule: Rule,
    /// Why, as one sentence.
    pub reason: String,
    /// Until when this holds if nothing happens; `None`: for ever.
    pub valid_until: Option<Timestamp>,
}

/// Decides what a share of `group` shows of `product` on `platform` (all of them where absent) at `now`, when it shows or
/// has shown the versions `shown`.
pub fn decide_for_share(
    snapshot: &Snapshot,
    group: &Group,
    (product, platform): (&ProductName, Option<&Platform>),
    shown: &[&Version],
    now: Timestamp,
) -> ShareDecision {
    let who = Requester { platform: platform.cloned(), ..Requester::default() };
    let next = next_recorded(snapshot, &who, product, now);
    let nothing = |reason| ShareDecision { release: None, rule: Rule::Identity, reason, valid_until: next };
    let Some(releases) = known_product(snapshot, product, now) else {
        return nothing(format!("there is no product {product}"));
    };
    if !group.sees(product) {
        return nothing(format!("{product} is not among the products of group {}", group.name()));
    }
    if site::is_not_carried(snapshot, group) {
        return nothing(site::not_carried(group));
    }
    let mut view = View::new(snapshot, releases, group, &who, now);
    view.shown = shown.to_vec();
    let found = walk(&view, None, &mut ());
    ShareDecision {
        release: found.release.cloned(),
        rule: found.rule,
        reason: words::reason(&view, None, &found),
        valid_until: earlier(found.valid_until, next),
    }
}

/// Whether a release may be shown in a share of `group` at `now`, whenever it got there: published, not withdrawn, halted,
/// frozen, held or gone back from. Asked with every request, so that withholding does not wait for the next switch.
pub fn may_stay_shown(
    snapshot: &Snapshot,
    group: &Group,
    product: &ProductName,
    sequence: u64,
    now: Timestamp,
) -> bool {
    let who = Requester::default();
    let Some(releases) = known_product(snapshot, product, now).filter(|_| group.sees(product)) else { return false };
    if site::is_not_carried(snapshot, group) {
        return false;
    }
    let view = View::new(snapshot, releases, group, &who, now);
    releases.by_sequence(sequence).is_some_and(|release| {
        view.is_candidate(release) && view.gate_here(release).is_ok() && view.gone_back(release).is_none()
    })
}
