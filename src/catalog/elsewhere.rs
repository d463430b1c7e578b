//! What devices said in other places: at offline sites, whose receipts the journal has, and at mirrors.

use std::sync::Arc;

use jiff::Timestamp;

use super::commit::Catalog;
use crate::model::{Event, EventRecord, RingTally, SiteName, SiteRecord, Snapshot};

impl Catalog {
    /// What all devices said so far of the rollouts that can still be halted and of those that these are compared with,
    /// ring by ring: those that ask here, and those of the places that told this server. The same after a restart.
    pub fn ring_tallies(&self, now: Timestamp) -> Vec<RingTally> {
        self.tallies.ring_tallies(&self.snapshot(), now)
    }

    /// Counts what the devices of another place said in all, in place of what that place said before. Not durable: the
    /// place is asked again, or the caller keeps it.
    pub fn set_elsewhere(&self, place: &str, tallies: &[RingTally]) {
        self.tallies.set_elsewhere(&self.snapshot(), place, tallies);
        self.stirred.notify_one();
    }

    /// Counts the receipts among newly journaled events. A mirror does not: it would tell its origin of them again.
    pub(super) fn count_receipts(&self, snapshot: &Snapshot, records: &[Arc<EventRecord>]) {
        if self.origin().is_some() {
            return;
        }
        for record in records {
            if let Event::ReceiptTaken { site, .. } = &record.event
                && let Some(record) = snapshot.site(site)
            {
                self.count_receipt(snapshot, record);
            }
        }
    }

    /// Counts the last receipt of every site.
    pub(super) fn recount_receipts(&self, snapshot: &Snapshot) {
        if self.origin().is_some() {
            return;
        }
        for site in snapshot.sites() {
            self.count_receipt(snapshot, site);
        }
    }

    /// Counts what the last receipt of a site says, and nothing else of it.
    fn count_receipt(&self, snapshot: &Snapshot, site: &SiteRecord) {
        if let Some((receipt, _)) = &site.receipt {
            self.tallies.set_elsewhere(snapshot, &place_of(&site.name), &receipt.tallies);
        }
    }
}

fn place_of(site: &SiteName) -> String {
    format!("site {site}")
}
