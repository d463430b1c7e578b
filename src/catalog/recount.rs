//! The way from the report lines back to the votes, at start and where a rollout comes back.
//!
//! What is counted of a rollout is what the lines say of it, whenever they are read. A rollout that has left the content of
//! an offline site is not counted there, and nothing of it is kept but its lines, for as long as reports are kept; once a
//! bundle brings it again they are read again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::commit::Catalog;
use super::error::CatalogError;
use super::health::Tallies;
use super::offers::offer_of;
use super::record::{decode, encode};
use super::reports::Reports;
use super::watched::{Watched, counted_rollouts, forward_of, is_forward};
use crate::model::{Event, EventRecord, ProductName, Report, Rollout, RolloutId, Snapshot};
use crate::policy::health::Counted;

/// What is counted of each product.
type All = BTreeMap<ProductName, Watched>;

fn watched_of(snapshot: &Snapshot, now: Timestamp, is_asked: impl Fn(&ProductName) -> bool) -> All {
    let products = snapshot.products().filter(|product| is_asked(&product.product().name));
    products.filter_map(|product| Some((product.product().name.clone(), Watched::of(product, now)?))).collect()
}

impl Reports {
    /// Notes that no line up to now is about this rollout.
    fn note_begin(&self, rollout: RolloutId) -> Result<(), CatalogError> {
        self.tree.insert(begin_key(rollout), encode(&self.lines.head())?)?;
        Ok(())
    }

    /// Notes that lines after this position may be about this rollout, unless it is known where they begin.
    pub(super) fn note_begin_where_missing(&self, rollout: RolloutId, after: u64) -> Result<(), CatalogError> {
        if self.begin_of(rollout).is_none() {
            self.tree.insert(begin_key(rollout), encode(&after)?)?;
        }
        Ok(())
    }

    /// The position after which lines can be about this rollout; none where it was never known here.
    fn begin_of(&self, rollout: RolloutId) -> Option<u64> {
        decode(&self.tree.get(begin_key(rollout)).ok()??).ok()
    }

    /// All that is noted of where the lines on rollouts begin.
    pub(super) fn begins(&self) -> Result<BTreeMap<RolloutId, u64>, CatalogError> {
        let mut begins = BTreeMap::new();
        for entry in self.tree.scan_prefix(BEGIN) {
            let (key, value) = entry?;
            let rollout = key.get(BEGIN.len()..).and_then(|id| id.try_into().ok()).map(RolloutId::from_be_bytes);
            begins.extend(rollout.zip(decode(&value).ok()));
        }
        Ok(begins)
    }

    /// Counts the votes of these products from the lines, after the first `known` of them where these are counted already.
    /// Returns which lines it took: the last one before them, and the last of them.
    fn recount(
        &self,
        tallies: &Tallies,
        snapshot: &Snapshot,
        all: &All,
        known: Option<u64>,
    ) -> Result<Range<u64>, CatalogError> {
        watch_all(tallies, all);
        let rollouts = all.values().flat_map(Watched::all);
        let begins: BTreeMap<_, _> =
            rollouts.map(|rollout| (rollout.id, self.begin_of(rollout.id).unwrap_or(0))).collect();
        let Some(after) = known.or_else(|| begins.values().copied().min()) else { return Ok(0..0) };
        let after = after.min(self.lines.head());
        let gone_max = gone_max(snapshot);
        let last = self.lines.iterate(after, &mut |position, line| {
            let report: Report = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            let Some(watched) = all.get(&report.product) else { return Ok(()) };
            let Some(exposed) = offer_of(&report, line) else {
                tallies.reported(snapshot, &report);
                return Ok(());
            };
            // One from before belongs to another rollout: the journal was put back from a copy, and its numbers came again.
            if begins.get(&exposed.rollout).is_some_and(|begin| position <= *begin) {
                return Ok(());
            }
            let (device, product, at) = (&report.device, &report.product, report.received_at);
            let counted = tallies.count_offer(snapshot, device, product, exposed, at);
            if counted == Counted::NotWatched && watched.is_above_oldest(exposed.rollout) && exposed.rollout <= gone_max
            {
                tallies.went_on(device, product, exposed.rollout, at);
            }
            Ok(())
        })?;
        Ok(after..last)
    }
}

/// Of too many, those that gates may ask for come first, then the newest.
fn watch_all(tallies: &Tallies, all: &All) {
    for (product, watched) in all {
        for rollout in watched.all() {
            if watched.is_wanted(rollout.id) || !tallies.is_full(product) {
                tallies.watch(rollout, |known| watched.is_wanted(known));
            }
        }
    }
}

/// The newest rollout that may have left what is known here. Only the content of a site ever loses any; what is above the
/// origin's journal was lost with a part of that.
fn gone_max(snapshot: &Snapshot) -> RolloutId {
    snapshot.applied_bundle().map_or(0, |applied| applied.journal.sequence)
}

const BEGIN: &[u8] = b"w";

fn begin_key(rollout: RolloutId) -> Vec<u8> {
    [BEGIN, &rollout.to_be_bytes()].concat()
}

impl Catalog {
    /// Counts the votes on every rollout that still matters, at start. Returns how many lines it took.
    pub(super) fn count_votes(&self) -> Result<u64, CatalogError> {
        let (snapshot, now) = (self.snapshot(), self.now());
        for rollout in forward_of(&snapshot) {
            self.reports.note_begin_where_missing(rollout.id, self.reports.scanned_to())?;
        }
        let all = watched_of(&snapshot, now, |_| true);
        let taken = self.reports.recount(&self.tallies, &snapshot, &all, None)?;
        self.recount_receipts(&snapshot);
        Ok(taken.end - taken.start)
    }

    /// Begins to count for the rollouts that these records bring, before anybody can be offered anything of them. Where
    /// one was here before, the votes on it are in the lines.
    pub(super) fn begin_to_count(&self, snapshot: &Snapshot, records: &[Arc<EventRecord>]) {
        let planned = records.iter().filter_map(|record| match &record.event {
            Event::RolloutPlanned { product, .. } => snapshot.product(product)?.rollout(record.seq),
            _ => None,
        });
        let planned: Vec<_> = planned.filter(|rollout| is_forward(rollout)).collect();
        let has_bundle = records.iter().any(|record| matches!(record.event, Event::BundleApplied { .. }));
        if planned.is_empty() && !has_bundle {
            return;
        }
        let before = self.snapshot();
        let is_brought = |rollout: &&Arc<Rollout>| has_bundle && !has(&before, rollout);
        let brought = forward_of(snapshot).filter(is_brought);
        let (back, brought): (Vec<_>, Vec<_>) =
            brought.partition(|rollout| self.reports.begin_of(rollout.id).is_some());
        let new: Vec<_> = planned.into_iter().chain(brought).collect();
        let now = snapshot.present(self.clock.now());
        // An origin that was put back from a copy gives its numbers again.
        let is_lower = has_bundle && gone_max(snapshot) < gone_max(&before);
        let mut anew = BTreeSet::new();
        for releases in snapshot.products() {
            let product = &releases.product().name;
            let mut new = new.iter().filter(|rollout| rollout.product == *product).peekable();
            if new.peek().is_none() && !has_bundle {
                continue;
            }
            let wanted = counted_rollouts(releases, now);
            new.for_each(|rollout| self.tallies.watch(rollout, |known| wanted.contains_key(&known)));
            // What a gate will compare with may lie before the last start, which had no reason to count it.
            let is_uncounted = !wanted.values().all(|rollout| self.tallies.is_watched(rollout));
            if is_lower || is_uncounted || back.iter().any(|rollout| rollout.product == *product) {
                anew.insert(product.clone());
            }
        }
        for rollout in &new {
            if let Err(error) = self.reports.note_begin(rollout.id) {
                // Only a hint: without it the next start reads more lines.
                tracing::warn!(%error, rollout = rollout.id, "where the reports on a rollout begin cannot be noted");
            }
        }
        if !anew.is_empty() {
            self.count_anew(snapshot, &watched_of(snapshot, now, |product| anew.contains(product)));
        }
    }

    /// Counts the votes of these products again. Changes wait meanwhile; devices only while the last lines are read.
    fn count_anew(&self, snapshot: &Snapshot, all: &All) {
        match self.try_count_anew(snapshot, all) {
            Ok(lines) => {
                tracing::info!(products = all.len(), lines, "the votes on rollouts that are back were counted again");
            }
            Err(error) => {
                tracing::error!(%error, "the reports cannot be read; votes on rollouts that are back count after a restart");
                watch_all(&self.tallies, all);
            }
        }
        self.recount_receipts(snapshot);
    }

    fn try_count_anew(&self, snapshot: &Snapshot, all: &All) -> Result<u64, CatalogError> {
        if all.is_empty() {
            return Ok(0);
        }
        let (reports, fresh) = (&self.reports, self.tallies.fresh());
        let most = reports.recount(&fresh, snapshot, all, None)?;
        let _alone = self.tallies.alone();
        // Lines that are only queued cannot be read yet.
        reports.lines.synced_blocking(reports.lines.queued_to())?;
        let rest = reports.recount(&fresh, snapshot, all, Some(most.end))?;
        self.tallies.take_over(fresh);
        Ok(rest.end.saturating_sub(most.start))
    }
}

fn has(snapshot: &Snapshot, rollout: &Rollout) -> bool {
    snapshot.product(&rollout.product).is_some_and(|product| product.rollout(rollout.id).is_some())
}
