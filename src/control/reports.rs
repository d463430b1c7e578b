//! Device reports: which are taken.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::ControlError;
use crate::catalog::{Catalog, ReportOutcome};
use crate::model::{Release, Report, ReportError, Snapshot};
use crate::policy::{Requester, may_download};

/// How long after a release was last decided for a device the device may still report on it: laptops sleep for weeks.
const REPORT_GRACE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How far a device's clock may be ahead.
const CLOCK_GRACE: SignedDuration = SignedDuration::from_mins(10);
/// How many of a product's newest holds are looked behind.
const HOLDS_MAX: usize = 16;

/// Stores reports; where one is refused, none is stored. A report counts once, however often it comes, so that after an
/// error of the disk, which may have let some through, all can be sent again. A release that was never decided for the
/// device is refused in the same words as one that does not exist. Returns after fsync.
pub async fn record_reports(catalog: &Arc<Catalog>, reports: Vec<Report>) -> Result<ReportOutcome, ControlError> {
    let (snapshot, now) = (catalog.snapshot(), catalog.now());
    for report in &reports {
        report.check().map_err(ControlError::Report)?;
        if report.at.is_some_and(|at| at.duration_since(now) > CLOCK_GRACE) {
            return Err(ControlError::Report(ReportError::FromTheFuture));
        }
        if !was_offered(catalog, &snapshot, report) && !was_seen(&snapshot, report, now) {
            return Err(ControlError::Report(ReportError::UnknownRelease));
        }
    }
    catalog.record_reports(reports).await.map_err(ControlError::Catalog)
}

/// What a rollout has just offered needs no look at the past.
fn was_offered(catalog: &Catalog, snapshot: &Snapshot, report: &Report) -> bool {
    let release = snapshot.product(&report.product).and_then(|product| product.by_version(&report.version));
    release.is_some_and(|release| catalog.was_offered(&report.device, &report.product, release.sequence))
}

fn was_seen(snapshot: &Snapshot, report: &Report, now: Timestamp) -> bool {
    let Some(product) = snapshot.product(&report.product) else { return false };
    let Some(release) = product.by_version(&report.version) else { return false };
    let requester = Requester { device: Some(&report.device), address: None, platform: None, current: None };
    let before = |at: Timestamp| at.checked_sub(SignedDuration::from_millis(1)).unwrap_or(at);
    // What is withdrawn or held today was seen until then, and a report of its failure is the one that matters most.
    let withdrawn = release.withdrawn.as_ref().map(|(stamp, _)| before(stamp.at));
    let held = product.holds().iter().rev().take(HOLDS_MAX).map(|hold| before(hold.added_at));
    let mut moments = [Some(now), withdrawn].into_iter().flatten().chain(held);
    moments.any(|moment| saw(snapshot, &requester, report, release, moment))
}

fn saw(snapshot: &Snapshot, requester: &Requester<'_>, report: &Report, release: &Release, at: Timestamp) -> bool {
    may_download(snapshot, requester, &report.product, release, at, REPORT_GRACE)
}
