//! Offers among the report lines: each device's first one of a rollout, so that a restart still knows who was asked to
//! report.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::commit::Catalog;
use super::error::CatalogError;
use super::health::Exposed;
use super::reports::Reports;
use crate::model::{DeviceId, ProductName, Release, Report, ReportEvent, ReportId, RingName, RolloutId, Snapshot};
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
        let _counting = self.tallies.counting();
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
