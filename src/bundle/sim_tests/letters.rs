//! Receipts at the origin: which are taken, what they prove, and whether the sums of devices are those that were said.

use std::collections::BTreeMap;

use super::carrier::{Letter, Truth};
use super::origin::Origin;
use super::site::{Said, Site};
use crate::bundle::receipt::Receipt;
use crate::bundle::receive::{Carried, ReceiptRefusal, Told, take_receipt};
use crate::catalog::CommitError;
use crate::catalog::testing::actor;
use crate::model::{ReceiptId, ReceiptOutcome, RingName, RingTally, RolloutId, SiteName};

/// What is known of the receipts that were given and taken.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// What the devices of each site said by the last receipt that tells of a rollout's ring.
    heard: BTreeMap<(SiteName, RolloutId, RingName), Said>,
    /// The last that was taken of each site.
    last: BTreeMap<SiteName, (u64, ReceiptId, Truth)>,
    /// In which of its lives a site gave a receipt.
    pub(super) lives: BTreeMap<ReceiptId, u64>,
    pub(super) astray: u64,
    pub(super) moved: u64,
    pub(super) old: u64,
    pub(super) known: u64,
}

fn said(tally: &RingTally) -> Said {
    Said { offered: tally.offered, healthy: tally.healthy, failed: tally.failed }
}

impl Letters {
    /// Looks at a receipt that was just given.
    pub(super) fn given(&mut self, site: &Site, letter: &Letter, when: &str) {
        let (receipt, id) = Receipt::parse(&letter.given.text).unwrap();
        self.lives.insert(id, letter.truth.life);
        for tally in &receipt.tallies {
            let known = site.known.said.get(&(tally.rollout, tally.ring.clone()));
            assert_eq!(Some(&said(tally)), known, "{when}: rollout {} in {}", tally.rollout, tally.ring);
        }
        let snapshot = site.snapshot();
        for (rollout, ring) in site.known.said.keys() {
            let mut rollouts = snapshot.products().filter_map(|product| product.rollout(*rollout));
            let runs = rollouts.any(|rollout| rollout.ended().is_none() && rollout.completed_at().is_none());
            let is_told = receipt.tallies.iter().any(|tally| tally.rollout == *rollout && tally.ring == *ring);
            assert!(is_told || !runs, "{when}: nothing is told of rollout {rollout} in {ring}");
        }
        let missing = snapshot.applied_bundle().filter(|_| receipt.outcome == ReceiptOutcome::Applied);
        assert!(missing.is_none_or(|applied| applied.root == receipt.root), "{when}: the receipt's root");
    }

    /// Brings a receipt to the origin.
    pub(super) async fn take(&mut self, origin: &Origin, site: &SiteName, letter: &Letter, when: &str) {
        let head = origin.catalog.head();
        let astray_before = origin.catalog.snapshot().site(site).and_then(|record| record.astray.clone());
        let answer = match Carried::whole(letter.given.text.clone(), letter.given.signature.clone()) {
            Ok(carried) => take_receipt(&origin.catalog, &actor("carrier"), carried, None).await,
            Err(refusal) => Err(CommitError::Refused(refusal)),
        };
        let (number, id, truth) = (letter.given.number, letter.given.receipt, letter.truth);
        if letter.is_harmed {
            use ReceiptRefusal::{Receipt, Signature};
            let is_told = matches!(answer, Err(CommitError::Refused(Receipt(_) | Signature(_))));
            assert!(is_told, "{when}: a receipt with another bit: {answer:?}");
            assert_eq!(origin.catalog.head(), head, "{when}");
            return;
        }
        let last = self.last.get(site).copied();
        let is_old = last.is_some_and(|(last_number, _, last)| number < last_number && truth.at <= last.at);
        if is_old && last.is_some_and(|(_, last_id, _)| last_id != id) {
            let is_told = matches!(answer, Err(CommitError::Refused(ReceiptRefusal::Old { .. })));
            assert!(is_told, "{when}: receipt {number} after {last:?}: {answer:?}");
            assert_eq!(origin.catalog.head(), head, "{when}");
            self.old += 1;
            return;
        }
        if let Some((_, _, last)) = last.filter(|(_, last_id, last)| *last_id != id && last.life > truth.life) {
            let is_noticed = match &answer {
                Ok(told) => told.astray.is_some(),
                Err(error) => matches!(error, CommitError::Refused(ReceiptRefusal::Old { .. })),
            };
            assert!(
                is_noticed,
                "{when}: receipt {number} of life {} after one of {}: {answer:?}",
                truth.life, last.life
            );
        }
        let told = match answer {
            Ok(told) => told,
            Err(CommitError::Refused(ReceiptRefusal::Old { .. })) => {
                self.old += 1;
                return;
            }
            Err(error) => panic!("{when}: receipt {number}: {error}"),
        };
        if !told.is_new {
            assert_eq!(last.map(|(_, id, _)| id), Some(id), "{when}: receipt {number} is said to be known");
            assert_eq!(origin.catalog.head(), head, "{when}");
            self.known += 1;
            return;
        }
        self.check_astray(&told, last, truth, astray_before.as_ref(), when);
        if told.astray.is_none() {
            let applied = Receipt::parse(&letter.given.text).unwrap().0.applied;
            let proven = told.proven.map(|(bundle, _)| bundle);
            assert!(applied.is_none() || proven == applied, "{when}: the base is {proven:?}, and {applied:?} is there");
            self.moved += u64::from(applied.is_some());
        } else {
            self.astray += 1;
        }
        self.last.insert(site.clone(), (number, id, truth));
        let snapshot = origin.catalog.snapshot();
        let (taken, _) = snapshot.site(site).and_then(|record| record.receipt.as_ref()).unwrap();
        assert_eq!(taken.receipt, id, "{when}");
        for tally in &taken.tallies {
            self.heard.insert((site.clone(), tally.rollout, tally.ring.clone()), said(tally));
        }
        self.check_tallies(origin, when);
    }

    fn check_astray(
        &self,
        told: &Told,
        last: Option<(u64, ReceiptId, Truth)>,
        truth: Truth,
        before: Option<&String>,
        when: &str,
    ) {
        let Some((last_number, _, last)) = last else { return };
        if last.life == truth.life {
            let is_new = told.astray.is_some() && before.is_none();
            assert!(!is_new, "{when}: a site that was never put back is astray: {told:?}");
        } else if last_number > truth.cut && told.number <= last_number + 1 {
            assert!(told.astray.is_some(), "{when}: nobody noticed that the site was put back: {told:?}");
        }
    }

    /// Whether the origin counts what the devices of all sites said.
    pub(super) fn check_tallies(&self, origin: &Origin, when: &str) {
        for tally in origin.catalog.ring_tallies(origin.now()) {
            let mut sum = Said::default();
            for ((_, rollout, ring), said) in &self.heard {
                if *rollout == tally.rollout && *ring == tally.ring {
                    sum.offered += said.offered;
                    sum.healthy += said.healthy;
                    sum.failed += said.failed;
                }
            }
            assert_eq!(said(&tally), sum, "{when}: rollout {} in {}", tally.rollout, tally.ring);
        }
    }

    /// In which life of the site the last receipt that was taken was given.
    pub(super) fn last_life(&self, site: &SiteName) -> Option<u64> {
        self.last.get(site).map(|(_, _, truth)| truth.life)
    }
}
