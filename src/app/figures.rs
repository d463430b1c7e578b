//! Figures of the rooms below serving, read when metrics are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::catalog::Catalog;
use crate::publish::Publisher;

use super::rollout_figures::encode_rollouts;
use super::share_figures::encode_shares;
use super::site_figures::encode_sites;
use crate::share::Shares;

/// Reads the journal's and the catalog's figures at each scrape.
pub(super) struct Figures {
    pub(super) catalog: Arc<Catalog>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) shares: Arc<Shares>,
    pub(super) stale_groups: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let snapshot = self.catalog.snapshot();
        let journal = self.catalog.journal().stats();
        let releases: usize = snapshot.products().map(|product| product.releases().len()).sum();
        let counters = [
            ("ringfence_journal_appended_events", "Events appended since the start", journal.appends),
            ("ringfence_journal_syncs", "Group commits since the start", journal.syncs),
            ("ringfence_journal_written_bytes", "Bytes appended since the start", journal.bytes),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let gauges = [
            ("ringfence_journal_head_events", "Sequence of the last durable event", snapshot.seq() as i64),
            ("ringfence_catalog_products", "Products", snapshot.products().len() as i64),
            ("ringfence_catalog_releases", "Releases, withdrawn ones included", releases as i64),
            ("ringfence_catalog_devices", "Devices ever in the inventory", snapshot.devices().len() as i64),
            (
                "ringfence_catalog_index_behind",
                "1 if the index could not be written and the next start replays more",
                i64::from(self.catalog.is_index_behind()),
            ),
            (
                "ringfence_catalog_tallied_devices",
                "Devices with a vote on a rollout, over all products",
                self.catalog.tallied_devices() as i64,
            ),
            (
                "ringfence_policy_stale_groups",
                "Groups that get an older release than their staleness allows, once for each product",
                self.stale_groups.load(Ordering::Relaxed) as i64,
            ),
            ("ringfence_publish_uploads_open", "Open uploads", self.publisher.uploads().open_count() as i64),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let now = snapshot.present(self.catalog.clock_now());
        encode_rollouts(&mut encoder, &snapshot, now)?;
        encode_shares(&mut encoder, &self.shares, &snapshot, now)?;
        encode_sites(&mut encoder, &snapshot, now)
    }
}
