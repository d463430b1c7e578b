//! Figures of offline sites, and of this server as one, read from the state when metrics are asked for.

use jiff::Timestamp;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::bundle::standing::standing;
use crate::model::Snapshot;

/// One site's figures.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SiteFigures {
    pub(super) site: String,
    /// Absent before the first receipt.
    pub(super) receipt_age_seconds: Option<i64>,
    pub(super) bundles_unacknowledged: i64,
    pub(super) astray: i64,
}

/// The sites that bundles were written for.
pub(super) fn figures(snapshot: &Snapshot, now: Timestamp) -> Vec<SiteFigures> {
    let of_site = |site: &std::sync::Arc<crate::model::SiteRecord>| {
        let stands = standing(site, now);
        SiteFigures {
            site: site.name.to_string(),
            receipt_age_seconds: stands.heard_at.map(|at| now.duration_since(at).as_secs().max(0)),
            bundles_unacknowledged: i64::try_from(stands.unacknowledged).unwrap_or(i64::MAX),
            astray: i64::from(site.astray.is_some()),
        }
    };
    snapshot.sites().map(of_site).collect()
}

pub(super) fn encode_sites(
    encoder: &mut DescriptorEncoder<'_>,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<(), std::fmt::Error> {
    let figures = figures(snapshot, now);
    type Read = fn(&SiteFigures) -> Option<i64>;
    let families: [(&str, &str, Read); 3] = [
        ("ringfence_site_receipt_age_seconds", "Since the last receipt of an offline site was taken", |site| {
            site.receipt_age_seconds
        }),
        ("ringfence_site_bundles_unacknowledged", "Bundles for an offline site that no receipt acknowledges", |site| {
            Some(site.bundles_unacknowledged)
        }),
        ("ringfence_site_astray", "1 if the next bundle for an offline site has to be a full one", |site| {
            Some(site.astray)
        }),
    ];
    for (name, help, read) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for site in &figures {
            let Some(value) = read(site) else { continue };
            ConstGauge::new(value).encode(family.encode_family(&[("site", site.site.clone())])?)?;
        }
    }
    let Some(applied) = snapshot.applied_bundle() else { return Ok(()) };
    let gauges = [
        (
            "ringfence_site_bundle_age_seconds",
            "Since the bundle that this offline site serves from was made",
            now.duration_since(applied.created_at).as_secs().max(0),
        ),
        (
            "ringfence_site_bundle_expires_seconds",
            "Until the bundle that this offline site serves from expires; below 0 it has",
            applied.expires_at.duration_since(now).as_secs(),
        ),
    ];
    for (name, help, value) in gauges {
        let gauge = ConstGauge::new(value);
        gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
    }
    Ok(())
}
