//! Offers among the report lines: each device's first one of a rollout, so that a restart still knows who was asked to
//! report; and the way back from the lines to the votes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::commit::Catalog;
use super::error::CatalogError;
use super::health::{Exposed, Tallies, to_recount};
use super::record::{decode, encode};
use super::reports::Reports;
use crate::model::{
    DeviceId, Event, EventRecord, ProductName, Release, Report, ReportEvent, ReportId, RingName, Rollout, RolloutId,
    Snapshot,
};
use crate::policy::health::Health;

/// An offer as a line. To who reads it as a report it is one of the event `offered`.
#[derive(Serialize)]
struct OfferLine<'a> {
    #[serde(flatten)]
    report: &'a Report,
    rollout: RolloutId,
    ring: usize,
}

/// What only such a line has: devices cannot send it.
#[derive(Deserialize)]
struct OfferedBy {
    rollout: RolloutId,
    ring: usize,
}

/// Offers that could not be written. They count all the same until the next start.
#[derive(Default)]
pub(super) struct LostOffers(AtomicU64);

impl LostOffers {
    fn add(&self, error: &CatalogError) {
        let lost = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        // One line for each doubling: a full disk must not fill the log as well.
        if lost.is_power_of_two() {
            tracing::error!(%error, lost, "an offer cannot be written to the reports; after a restart its device does not count until it is offered the release again");
        }
    }
}

/// The rollout and ring of a line that is an offer of ours.
pub(super) fn offer_of(report: &Report, line: &[u8]) -> Option<Exposed> {
    if report.event != ReportEvent::Offered {
        return None;
    }
    let OfferedBy { rollout, ring } = serde_json::from_slice(line).ok()?;
    Some(Exposed { rollout, ring })
}

impl Reports {
    /// Queues an offer, and waits for nothing.
    fn append_offer(&self, report: &Report, exposed: Exposed) -> Result<(), CatalogError> {
        let Exposed { rollout, ring } = exposed;
        let line = serde_json::to_vec(&OfferLine { report, rollout, ring });
        self.lines.append(line.map_err(|error| CatalogError::Index { why: error.to_string() })?)?;
        Ok(())
    }

    /// Notes that no line up to now is about this rollout.
    fn note_begin(&self, rollout: RolloutId) -> Result<(), CatalogError> {
        self.tree.insert(begin_key(rollout), encode(&self.lines.head())?)?;
        Ok(())
    }

    /// The position after which lines can be about this rollout.
    fn begin_of(&self, rollout: RolloutId) -> Option<u64> {
        decode(&self.tree.get(begin_key(rollout)).ok()??).ok()
    }

    /// Counts the votes on every rollout that still matters again. Returns how many lines it took.
    pub(super) fn recount(&self, tallies: &Tallies, snapshot: &Snapshot, now: Timestamp) -> Result<u64, CatalogError> {
        let rollouts = to_recount(snapshot, now);
        for rollout in &rollouts {
            tallies.watch(rollout);
        }
        let begins = rollouts.iter().map(|rollout| self.begin_of(rollout.id).unwrap_or(0));
        let Some(after) = begins.min() else { return Ok(0) };
        let after = after.min(self.lines.head());
        let last = self.lines.iterate(after, &mut |_, line| {
            let report: Report = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            match offer_of(&report, line) {
                Some(exposed) => {
                    let (device, product, at) = (&report.device, &report.product, report.received_at);
                    tallies.count_offer(snapshot, device, product, exposed, at);
                }
                None => {
                    tallies.reported(snapshot, &report);
                }
            }
            Ok(())
        })?;
        Ok(last.saturating_sub(after))
    }
}

fn begin_key(rollout: RolloutId) -> Vec<u8> {
    [b"w".as_slice(), &rollout.to_be_bytes()].concat()
}

impl Catalog {
    /// A device is being offered a release that it does not have, in the ring of its group. It counts for the release's
    /// rollout from the first time on, also after a restart. Never waits for the disk, and never fails: what cannot be
    /// written is logged.
    pub fn note_offer(
        &self,
        snapshot: &Snapshot,
        device: &DeviceId,
        release: &Release,
        ring: &RingName,
        now: Timestamp,
    ) {
        let Some(exposed) = self.tallies.offered(snapshot, device, release, ring, now) else { return };
        let Some(report) = offer(device, release, exposed.rollout, now) else { return };
        if let Err(error) = self.reports.append_offer(&report, exposed) {
            self.lost_offers.add(&error);
        }
    }

    /// Whether this release is the last one that a rollout offered the device.
    pub fn was_offered(&self, device: &DeviceId, product: &ProductName, sequence: u64) -> bool {
        self.tallies.was_offered(device, product, sequence)
    }

    /// What `look` makes of the devices' votes on a product's rollouts. Nothing is counted meanwhile: be brief.
    pub fn with_health<T>(&self, product: &ProductName, look: impl FnOnce(&Health) -> T) -> T {
        self.tallies.with(product, look)
    }

    /// How many devices have a vote, over all products.
    pub fn tallied_devices(&self) -> usize {
        self.tallies.devices()
    }

    /// Begins to count for the rollouts that these records plan, before anybody can be offered anything of them.
    pub(super) fn begin_to_count(&self, snapshot: &Snapshot, records: &[Arc<EventRecord>]) {
        for record in records {
            match &record.event {
                Event::RolloutPlanned { product, .. } => {
                    let rollout = snapshot.product(product).and_then(|product| product.rollout(record.seq));
                    rollout.into_iter().for_each(|rollout| self.begin_to_count_one(rollout));
                }
                // Those that are counted already go on.
                Event::BundleApplied { content, .. } => {
                    content.rollouts.iter().for_each(|rollout| self.begin_to_count_one(rollout));
                }
                _ => {}
            }
        }
    }

    fn begin_to_count_one(&self, rollout: &Rollout) {
        if !self.tallies.watch(rollout) {
            return;
        }
        if let Err(error) = self.reports.note_begin(rollout.id) {
            // Only a hint: without it the next start reads more lines.
            tracing::warn!(%error, rollout = rollout.id, "where the reports on a rollout begin cannot be noted");
        }
    }
}

fn offer(device: &DeviceId, release: &Release, rollout: RolloutId, now: Timestamp) -> Option<Report> {
    let release_hex: String = release.id.0.as_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let id: ReportId = format!("o-{release_hex}-{rollout}").parse().ok()?;
    Some(Report {
        id,
        device: device.clone(),
        product: release.manifest.product.clone(),
        version: release.version().clone(),
        event: ReportEvent::Offered,
        received_at: now,
        at: None,
        code: None,
        metrics: Default::default(),
    })
}
