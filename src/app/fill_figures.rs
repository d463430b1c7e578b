//! Figures of pulling and filling.

use jiff::Timestamp;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::mirror::{FillState, Filler};

/// Writes them.
pub(super) fn encode_filling(
    encoder: &mut DescriptorEncoder<'_>,
    filler: &Filler,
    now: Timestamp,
) -> Result<(), std::fmt::Error> {
    let (counts, standing) = (filler.pulls().figures().counts(), filler.standing());
    let (under_way, _) = filler.pulls().under_way();
    let counters = [
        ("ringfence_mirror_pull_bytes", "Bytes of blobs that came from the upstream", counts.bytes),
        ("ringfence_mirror_pull_blobs", "Blobs that were pulled and are in the store", counts.completed),
        ("ringfence_mirror_pull_failures", "Pulls that ended without their blob", counts.failed),
        ("ringfence_mirror_pull_broken_ranges", "Ranges that broke off or never began", counts.broken_ranges),
        (
            "ringfence_mirror_pull_wrong_groups",
            "Groups of blobs, or lists of them, that were not what the journal says",
            counts.wrong_groups,
        ),
    ];
    for (name, help, value) in counters {
        let counter = ConstCounter::new(value);
        counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
    }
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let left_s = standing.complete_at.map(|at| now.duration_since(at).as_secs().saturating_neg().max(0));
    let gauges = [
        ("ringfence_mirror_pull_under_way", "Blobs that are being pulled", Some(count(under_way as u64))),
        ("ringfence_mirror_pull_waiters", "Answers that are read from pulls", Some(count(counts.waiters))),
        ("ringfence_mirror_fill_desired_blobs", "Blobs that devices may get now", Some(count(standing.desired_blobs))),
        ("ringfence_mirror_fill_desired_bytes", "Their bytes", Some(count(standing.desired_bytes))),
        (
            "ringfence_mirror_fill_bytes_per_second",
            "How fast blobs come in, smoothed over 10 s",
            Some(count(standing.bytes_per_second)),
        ),
        ("ringfence_mirror_fill_left_seconds", "How long filling takes if it goes on like this", left_s),
        (
            "ringfence_mirror_fill_waiting",
            "1 while blobs are missing and no window is open",
            Some(i64::from(standing.state == FillState::Waiting)),
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
    }
    Ok(())
}
